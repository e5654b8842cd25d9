"""Whether a device computes in bfloat16 itself."""

from functools import cache

import torch

# What torch.cpu.get_capabilities calls instructions that multiply bfloat16: vectors and tiles of x86, vectors of ARM.
_CPU_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


@cache
def computes_bfloat16(device_type: str) -> bool:
    """Return whether this machine's devices of a kind have instructions for bfloat16.

    Others convert every number to float32 and back: one CPU without them took ten times as long as in float32. A torch
    that cannot say what the processor has (before `torch.cpu.get_capabilities`) counts as one of them.

    Args:
        device_type: cpu or cuda.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(unit, False) for unit in _CPU_UNITS)
