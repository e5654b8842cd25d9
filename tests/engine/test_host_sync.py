"""A training step must never wait for the device: no number is read back and none is sent from the host.

On a GPU each such operation stops the loop until the queue is empty. They are counted on the CPU, where they are the
same: an epoch of six steps may have as many as one of two, as what an epoch does once is no part of a step.
"""

from collections import Counter
from typing import Any

import pytest
import torch
from test_train import trainer
from tiny_runs import Configure
from torch.utils._python_dispatch import TorchDispatchMode

READS = {"_local_scalar_dense", "nonzero", "masked_select", "unique_consecutive", "_unique2", "unique_dim"}
"""Operations whose result the host needs before it can go on."""
SENDS = {"lift_fresh"}
"""What ``torch.tensor`` and ``torch.as_tensor`` of Python's and NumPy's numbers call."""


class HostSyncs(TorchDispatchMode):
    """Counts operations for which the host would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name in READS | SENDS or masks:
            self.found[f"{name} (mask)" if masks else name] += 1
        return func(*args, **(kwargs or {}))


def syncs(configure: Configure, steps: int, **changes: Any) -> Counter[str]:
    run = trainer(configure(**changes))
    run.train_epoch()  # what is made once for a device is there afterwards
    run.steps_per_epoch = steps
    with HostSyncs() as counted:
        run.train_epoch()
    return counted.found


MOVED = {"flip": 0.5, "rotation": [30, 30, 30], "scale": 0.1, "shear": 0.1}
ALL = MOVED | {"noise": 0.01, "bone_noise": 0.1, "joint_dropout": 0.1}


@pytest.mark.parametrize(
    "changes",
    [
        {"data__augment": ALL | {"crop": [0.8, 1.0], "resampling": "random"}, "optim__clip_norm": 1.0},
        {"data__scale": "axes", "data__streams": ["joint", "bone", "joint_motion", "bone_motion"]},
        {"data__short_clips": "pad", "data__augment": {"tempo": 0.5, "resampling": "random"}},
        {"head__mode": "as_published"},
        {"encoder": {"type": "ctr-gcn"}},
        {"encoder": {"type": "refined"}},
        {"encoder": {"type": "stgcn++"}},
    ],
)
def test_a_step_waits_for_nothing(configure: Configure, changes: dict[str, Any]) -> None:
    changes = {"train__batch_size": 4, "train__ema": 0.9, **changes}
    assert syncs(configure, 6, **changes) == syncs(configure, 2, **changes)


def test_the_count_finds_what_waits() -> None:
    numbers = torch.arange(4.0)
    with HostSyncs() as counted:
        numbers[numbers > 1].sum().item()
        torch.tensor([1.0, 2.0])
        torch.as_tensor((3, 4))
    assert counted.found == {"index (mask)": 1, "_local_scalar_dense": 1, "lift_fresh": 2}
