"""Networks for inference alone: batch normalisation folded into the layers before it.

Shapes: B clips x persons, T frames, V joints, W joints that receive, C channels.
"""

from copy import deepcopy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_weights

from pcan_pose.models.channel_refinement import ChannelRefinedGraphConv
from pcan_pose.models.graph_conv import SpatialGraphConv
from pcan_pose.models.multi_scale_conv import MultiScaleTemporalConv
from pcan_pose.models.pose_encoder import PoseBlock
from pcan_pose.models.refined_encoder import RefinedBlock
from pcan_pose.models.rgb.efficientnet import ConvNorm
from pcan_pose.models.st_gcn import STGCNBlock
from pcan_pose.models.stgcn_plus_plus import MultiBranchTemporalConv, SubsetGraphConv

Network = TypeVar("Network", bound=nn.Module)


def fold(network: Network) -> Network:
    """Return a copy for inference whose batch norms are part of the layers before them, wherever such a layer is.

    The copy is in evaluation mode and its parameters want no gradients; the network stays as it is. Norms are folded
    with the statistics that evaluation uses, whatever mode the network is in. A norm that no linear layer precedes, at
    the input or behind a maximum, stays a norm.

    Args:
        network: Any module; of a network that runs in bfloat16 the weights are folded in their own precision, before
            autocast rounds them.
    """
    folded = deepcopy(network).eval().requires_grad_(False)
    for module in list(folded.modules()):
        match module:
            case nn.Sequential():
                _fold_sequence(module)
            case PoseBlock(spatial=SpatialGraphConv() as spatial, norm=nn.BatchNorm2d() as norm):
                if len(spatial.adjacency) == 1:
                    module.spatial = FoldedGraphConv(spatial, norm)
                    module.add_module("norm", nn.Identity())
                else:
                    module.add_module("norm", _scaled(spatial.linear, norm))
            case RefinedBlock(norm=nn.BatchNorm2d() as norm):
                module.add_module("norm", _scaled(module.spatial.value, norm))
            case SubsetGraphConv(norm=nn.BatchNorm2d() as norm):
                module.add_module("norm", _scaled(module.conv, norm))
            case ChannelRefinedGraphConv(norm=nn.BatchNorm2d() as norm):
                module.add_module("norm", _scaled(module.value, norm))
            case STGCNBlock() if isinstance(first := module.temporal[0], nn.BatchNorm2d):
                module.temporal[0] = _scaled(module.spatial.conv, first)
            case MultiBranchTemporalConv(norm=nn.BatchNorm2d()):
                _fold_multi_branch(module)
            case MultiScaleTemporalConv(norm=nn.BatchNorm2d()):
                _fold_multi_scale(module)
            case ConvNorm(norm=nn.BatchNorm2d() as norm):
                module.conv = fuse_conv_bn_eval(module.conv, norm)
                module.add_module("norm", nn.Identity())
    return folded


class Shift(nn.Module):
    """What is left of a norm whose scale went elsewhere: a constant for each channel.

    Shapes:
        input (B, C, T, V) -> output (B, C, T, V).
    """

    shift: Tensor

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift[:, None, None])  # (C, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the shifted features."""
        return x + self.shift.to(x.dtype)


class Affine(Shift):
    """A norm as one multiplication and one addition, for channels that no linear layer gives."""

    scale: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__(shift)
        self.register_buffer("scale", scale[:, None, None])  # (C, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled and shifted features."""
        return torch.addcmul(self.shift.to(x.dtype), x, self.scale.to(x.dtype))


class FoldedGraphConv(nn.Module):
    """A graph convolution with one adjacency and the norm behind it: (A X) W + b.

    Joints are mixed before the weights are applied, in the narrower of both widths, so that the shift is the bias of
    the matrix product and costs nothing.

    Args:
        conv: The graph convolution.
        norm: The norm behind it.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V), channels last in memory.
    """

    adjacency: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, conv: SpatialGraphConv, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        mean, variance = _statistics(norm)
        weight, bias = fuse_linear_bn_weights(
            conv.linear.weight, None, mean, variance, norm.eps, norm.weight, norm.bias
        )
        self.register_buffer("adjacency", conv.adjacency.detach()[0].clone())  # (V, W)
        self.register_buffer("weight", weight.detach())  # (C_out, C_in)
        self.register_buffer("bias", bias.detach())  # (C_out,)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, W)."""
        if torch.onnx.is_in_onnx_export():
            # ONNX knows channels first alone: mixing is then a product over the last axis, without transposing.
            return F.conv2d(torch.matmul(x, self.adjacency), self.weight[:, :, None, None], self.bias)
        batch, _, frames, joints = x.shape
        x = x.permute(0, 2, 3, 1).reshape(batch * frames, joints, -1)  # (BT, V, C_in)
        x = torch.bmm(self.adjacency.to(x.dtype).T.expand(batch * frames, -1, -1), x)  # (BT, W, C_in)
        x = F.linear(x, self.weight, self.bias)  # (BT, W, C_out)
        return x.view(batch, frames, joints, -1).permute(0, 3, 1, 2)  # (B, C_out, T, W)


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance that evaluation subtracts and divides by, (C,) each."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a norm multiplies by and adds, (C,) each."""
    mean, variance = _statistics(norm)
    scale = norm.weight.detach() * (variance + norm.eps).rsqrt()
    return scale, norm.bias.detach() - mean * scale


def _scaled(layer: nn.Linear | nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module:
    """Move a norm's scale into the layer before a mixing of joints, with which it commutes; return what is left of it.

    The shift would be mixed as well, so it stays behind. A layer of K * C channels, C for each subset of the graph,
    scales every subset alike.
    """
    scale, shift = _affine(norm)
    scale = scale.repeat(len(layer.weight) // len(scale))  # (K * C,)
    layer.weight.mul_(scale.view(-1, *[1] * (layer.weight.dim() - 1)))
    if layer.bias is not None:
        layer.bias.mul_(scale)
    return Shift(shift)


def _fold_sequence(layers: nn.Sequential) -> None:
    """Fold each norm of a sequence that follows a convolution."""
    for i in range(len(layers) - 1, 0, -1):
        conv, norm = layers[i - 1], layers[i]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i - 1] = fuse_conv_bn_eval(conv, norm)
            del layers[i]


def _fold_multi_branch(module: MultiBranchTemporalConv) -> None:
    """Fold the norm over the branches side by side into each of them, and the last one into the fusing convolution."""
    norm, activation, fuse = module.fuse
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(fuse, nn.Conv2d) and isinstance(module.norm, nn.BatchNorm2d)
    branches = [list(branch) if isinstance(branch, nn.Sequential) else [branch] for branch in module.branches]
    widths = [
        next(layer.out_channels for layer in reversed(layers) if isinstance(layer, nn.Conv2d)) for layers in branches
    ]
    last = _rescaled([layers[-1] for layers in branches], widths, norm)
    for i, layer in enumerate(last):
        branch = module.branches[i]
        if isinstance(branch, nn.Sequential):
            branch[-1] = layer  # in its place, as the norms within are folded too
        else:
            module.branches[i] = layer
    module.fuse = nn.Sequential(activation, fuse_conv_bn_eval(fuse, module.norm))
    module.add_module("norm", nn.Identity())


def _fold_multi_scale(module: MultiScaleTemporalConv) -> None:
    """Fold the norm over the branches side by side into each of them."""
    assert isinstance(module.norm, nn.BatchNorm2d)
    width = module.point.out_channels
    *branches, _ = _rescaled([*module.branches, module.point], [width] * (len(module.branches) + 1), module.norm)
    module.branches = nn.ModuleList(branches)
    module.add_module("norm", nn.Identity())


def _rescaled(layers: list[nn.Module], widths: list[int], norm: nn.BatchNorm2d) -> list[nn.Module]:
    """Return layers side by side, `widths` channels each, with their share of the norm behind all of them."""
    scales, shifts = (torch.split(values, widths) for values in _affine(norm))
    rescaled: list[nn.Module] = []
    for layer, scale, shift in zip(layers, scales, shifts, strict=True):
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            layer.weight.mul_(scale[:, None, None, None])
            layer.bias.mul_(scale).add_(shift)
            rescaled.append(layer)
        else:  # a maximum, which a negative scale would turn into a minimum
            rescaled.append(nn.Sequential(layer, Affine(scale, shift)))
    return rescaled
