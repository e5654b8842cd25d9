"""Constants on the device: made once, as a number sent from the host would make the loop wait for a GPU's queue."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=128)
def constant(numbers: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a tensor, (N,), the same one each time: it must not be changed in place."""
    # A tensor made in inference mode could not take part in a later training step.
    with torch.inference_mode(False):
        return torch.tensor(numbers, dtype=dtype, device=device)
