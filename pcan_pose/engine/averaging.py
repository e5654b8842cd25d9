"""Averaged weights: what a run tests and saves."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """An exponential moving average of a network's weights and buffers; counts are copied.

    The number of updates is counted on the host: torch's `AveragedModel` reads it back from the device in every step,
    for which the step would have to wait.

    Args:
        network: Where it starts; a copy is kept.
        decay: Share of the old average in the new one, in (0, 1); the first updates weigh more than it says.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Return nothing; take a network of the same weights and buffers in."""
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        # The first update is all that there is.
        kept = min(self._decay, (1 + self.updates) / (10 + self.updates)) if self.updates else 0.0
        if floats:
            averaged, current = map(list, zip(*floats, strict=True))
            if kept:
                torch._foreach_lerp_(averaged, current, 1 - kept)
            else:
                torch._foreach_copy_(averaged, current)
        if counts:
            averaged, current = map(list, zip(*counts, strict=True))
            torch._foreach_copy_(averaged, current)
        self.updates += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
