"""Whether a device is faster in bfloat16 than in float32."""

from functools import cache

import torch

# What torch.cpu.get_capabilities calls units that multiply bfloat16 faster than float32: tiles of x86, vectors of ARM.
_CPU_UNITS = ("amx_bf16", "bf16")


@cache
def prefers_bfloat16(device_type: str) -> bool:
    """Return whether this machine's devices of a kind have units that are faster in bfloat16.

    The vectors of x86 for it (AVX-512) are fast on AMD's processors, 2.2 times as fast as in float32, and not on
    others: a Xeon with them and without tiles was half as fast. A CPU without any instructions for it converts every
    number to float32 and back: one took ten times as long as in float32. A torch that cannot say what the processor has
    (before `torch.cpu.get_capabilities`) counts as such a CPU.

    Args:
        device_type: cpu or cuda.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if capabilities.get("avx512_bf16", False) and str(capabilities.get("cpu_name", "")).startswith("AMD"):
        return True
    return any(capabilities.get(unit, False) for unit in _CPU_UNITS)
