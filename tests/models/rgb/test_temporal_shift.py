import pytest
import torch

from pcan_pose.models.rgb.temporal_shift import temporal_shift


def naive(x: torch.Tensor, frames: int, fold: int) -> torch.Tensor:
    moved = x.shape[1] // fold
    out = torch.zeros_like(x)
    for row in range(len(x)):
        time = row % frames
        for channel in range(x.shape[1]):
            if channel < moved:
                source = row + 1 if time + 1 < frames else None
            elif channel < 2 * moved:
                source = row - 1 if time > 0 else None
            else:
                source = row
            if source is not None:
                out[row, channel] = x[source, channel]
    return out


@pytest.mark.parametrize(("clips", "frames"), [(3, 4), (1, 5), (2, 1)])
@pytest.mark.parametrize(("channels", "fold"), [(16, 8), (20, 8), (8, 4), (6, 8)])
def test_equals_a_loop_over_frames(clips: int, frames: int, channels: int, fold: int) -> None:
    x = torch.randn(clips * frames, channels, 3, 2).contiguous(memory_format=torch.channels_last)
    assert torch.equal(temporal_shift(x, frames, fold), naive(x, frames, fold))


def test_gradient_goes_where_the_channels_came_from() -> None:
    x = torch.randn(4, 8, 1, 1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: temporal_shift(x, 2, 4), x)


def test_channels_stay_last_in_memory() -> None:
    x = torch.randn(6, 16, 5, 4).contiguous(memory_format=torch.channels_last)
    assert temporal_shift(x, 3).is_contiguous(memory_format=torch.channels_last)
