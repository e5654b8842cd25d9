"""What every encoder over skeletons must do in evaluation."""

import torch
from torch import Tensor

from pcan_pose.models.encoder import Encoder


def assert_clips_are_independent(network: Encoder, x: Tensor, found: Tensor) -> None:
    """Check that a clip's features do not depend on the clips around it.

    Args:
        network: In float64.
        x: (N, M, T, V, C).
        found: bool (N, M, T, V).
    """
    x = x.double()
    network(x, found)  # running statistics of its own
    network.eval()
    whole = network(x, found)
    for n in range(len(x)):
        torch.testing.assert_close(network(x[n : n + 1], found[n : n + 1]), whole[n : n + 1])


def assert_what_is_missing_has_no_influence(network: Encoder, x: Tensor, found: Tensor) -> None:
    """Check that neither the coordinates of missing joints count, nor a third person who is not there.

    Args:
        network: In evaluation mode.
        x: (N, 3, T, V, C).
        found: bool (N, 3, T, V); the third person's is changed.
    """
    found[:, 2] = False
    other = torch.where(found[..., None], x, torch.randn_like(x))
    torch.testing.assert_close(network(other, found), network(x, found))
    torch.testing.assert_close(network(x, found), network(x[:, :2], found[:, :2]), rtol=1e-4, atol=1e-5)
