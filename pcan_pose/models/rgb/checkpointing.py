"""Gradient checkpointing of layers with batch statistics."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def checkpointed(layer: nn.Module, *inputs: Tensor | int) -> Tensor:
    """Return what the layer returns, and compute its inside again for the gradient instead of keeping it.

    The second pass leaves the batch statistics alone, which torch's own would move twice a step.

    Args:
        layer: A layer without dropout: the second pass does not draw the same numbers.
        inputs: What it takes.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(layer)

    output: Tensor = checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return output


@contextmanager
def _statistics_kept(layer: nn.Module) -> Iterator[None]:
    # A momentum of 0 and no count; without running statistics the two passes would not save the same tensors.
    norms = [module for module in layer.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
