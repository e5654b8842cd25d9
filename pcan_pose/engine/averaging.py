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
        self._averaged = _tensors(self.network)
        self._followed: nn.Module | None = None
        self._current: dict[bool, list[Tensor]] = {}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Return nothing; take a network of the same weights and buffers in."""
        # Looking for a network's tensors takes longer than averaging them.
        if network is not self._followed:
            self._followed, self._current = network, _tensors(network)
        # The first update is all that there is.
        kept = min(self._decay, (1 + self.updates) / (10 + self.updates)) if self.updates else 0.0
        torch._foreach_lerp_(self._averaged[True], self._current[True], 1 - kept)
        if self._averaged[False]:
            torch._foreach_copy_(self._averaged[False], self._current[False])
        self.updates += 1


def _tensors(network: nn.Module) -> dict[bool, list[Tensor]]:
    """Return weights and buffers by whether they are floats."""
    tensors = [*network.parameters(), *network.buffers()]
    return {floats: [tensor for tensor in tensors if tensor.is_floating_point() == floats] for floats in (True, False)}
