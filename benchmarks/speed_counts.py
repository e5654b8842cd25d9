"""What a piece of work asks of the machine: operations, bytes moved, peak memory, and where its time goes."""

import json
import tempfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

# They make a tensor or a name for one, and touch no numbers.
_MOVES_NOTHING = frozenset({"_unsafe_view", "_reshape_alias", "empty", "empty_like", "empty_strided", "new_empty"})


def gflops(work: Callable[[], object]) -> float:
    """Return the billions of operations of convolutions and matrix products; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def traffic(work: Callable[[], object]) -> int:
    """Return the bytes that the operations read and write, one after the other, as the eager mode runs them.

    It is a floor of a network whose operations do not share their passes over memory. What stays in a cache between two
    of them does not reach the memory, so small batches may go below it.
    """
    with _Traffic() as counter:
        work()
    return int(counter.bytes)


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # In inference mode composite operations arrive whole; what they are made of moves the bytes.
        with self:
            made_of = func.decompose(*args, **kwargs)
        if made_of is not NotImplemented:
            return made_of
        out = func(*args, **kwargs)
        if not func.is_view and func.overloadpacket.__name__ not in _MOVES_NOTHING:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            # An expanded tensor names more numbers than there are.
            self.bytes += sum(min(x.numel() * x.element_size(), x.untyped_storage().nbytes()) for x in tensors)
        return out


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return the most memory that tensors took at any moment, over what there was before.

    On a GPU it is what the allocator says, on a CPU the running sum of what torch took and gave back; what a kernel's
    library keeps for itself is not in it.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    return int(max(accumulate((size for _, size in changes), initial=0)))


def top_operations(work: Callable[[], object], device: torch.device, count: int = 8) -> list[tuple[str, float]]:
    """Return the operations that take most of the time themselves, and their shares of it, largest first."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=kinds) as profiler:
        work()
    field = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = [(str(event.key), float(getattr(event, field))) for event in profiler.key_averages()]
    total = sum(time for _, time in times)
    return [(name, time / total) for name, time in sorted(times, key=lambda pair: -pair[1])[:count]]
