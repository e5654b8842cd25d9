"""Batch norm over the batch of all processes, on any device; torch's own SyncBatchNorm needs a GPU.

Each direction is torch's fused kernels around one exchange of a few hundred numbers. Every process has the same number
of rows (`Processes.rows`), so means of means are means.

Shapes: C channels, P processes.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def use_global_batch_norm(module: nn.Module) -> None:
    """Replace every batch norm inside a module by one over all processes' batch; weights, state and freezing stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            norm = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
            norm.load_state_dict(child.state_dict())
            for weight, old in zip(norm.parameters(), child.parameters(), strict=True):
                weight.requires_grad_(old.requires_grad)
            setattr(module, name, norm.train(child.training).to(child.weight.device))
        else:
            use_global_batch_norm(child)


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batch of all processes.

    Evaluation and the state's names are those of the layer that it replaces.

    Shapes:
        input (N, C, ...) -> output (N, C, ...), in the input's type and memory format.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Take any shape (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the normalised input, (N, C, ...)."""
        if not self.training:
            return super().forward(input)
        output, mean, variance = _Normalise.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            momentum = self.momentum if self.momentum is not None else 0.1
            total = dist.get_world_size() * input.numel() / input.shape[1]
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * (total / (total - 1)), momentum)  # type: ignore[union-attr]
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        normalised: Tensor = output
        return normalised


class _Normalise(torch.autograd.Function):
    """(N, C, ...), weight (C,), bias (C,) -> (N, C, ...), and the batch's mean and biased variance, (C,)."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        # Statistics come in the type of the running ones, which a momentum of 0 leaves alone.
        unused = torch.zeros_like(weight), torch.ones_like(weight)
        own = torch.stack(torch.batch_norm_update_stats(x, *unused, 0.0))  # (2, C)
        means, variances = _of_all(own).unbind(1)  # (P, C) each
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        context.save_for_backward(x, weight, mean, variance)
        context.eps = eps
        context.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, variance = context.saved_tensors
        eps = context.eps
        # As if the statistics were constants: the gradient of weight and bias, and most of the input's.
        invstd = torch.rsqrt(variance + eps)
        # A GPU wants the saved statistics in this mode too, where a CPU does not look at them.
        to_x, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, mean, invstd, False, eps, [True, True, True]
        )
        # The rest of it, by way of the statistics, is an affine function of the normalised input.
        rows = dist.get_world_size() * x.numel() / x.shape[1]
        by_variance, by_mean = _of_all(torch.stack([to_weight, to_bias])).sum(0) / rows  # (C,) each
        scale = weight * invstd
        to_x -= F.batch_norm(x, mean, variance, scale * by_variance, scale * by_mean, eps=eps)
        return to_x, to_weight, to_bias, None


def _of_all(values: Tensor) -> Tensor:
    """Return every process's values, (P, ...); a gather takes half the time of a sum through gloo."""
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values)
    return torch.stack(parts)
