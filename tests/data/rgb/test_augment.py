"""Augmentations of a batch against the same ones clip by clip and frame by frame."""

import pytest
import torch
from torch.nn import functional

from pcan_pose.config import RGBAugmentConfig
from pcan_pose.data.rgb.augment import RGBChange, change, draw_changes, resize

ALL = RGBAugmentConfig(
    scale=(0.3, 0.9), ratio=(0.75, 4 / 3), flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, erasing=0.5
)


def crops(clips: int = 3, frames: int = 2, side: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (clips, frames, side, side, 3), dtype=torch.uint8)


def drawn(batch: int, config: RGBAugmentConfig = ALL, seed: int = 0) -> RGBChange:
    return draw_changes(batch, config, torch.Generator().manual_seed(seed))


def naive(crops: torch.Tensor, changes: RGBChange, size: int) -> torch.Tensor:
    """Return the changed clips, one frame and one colour operation at a time."""
    side = crops.shape[2]
    clips = []
    for i, clip in enumerate(crops.permute(0, 1, 4, 2, 3).float() / 255):
        x, y, width, height = changes.window[i].tolist()
        steps = (torch.arange(size) + 0.5) / size * 2 - 1
        columns = ((x + width * steps + 1) * side / 2 - 0.5).clamp(0, side - 1)
        rows = ((y + height * steps + 1) * side / 2 - 0.5).clamp(0, side - 1)
        frames = []
        for frame in clip:
            result = torch.zeros(3, size, size)
            for r, row in enumerate(rows):
                for c, column in enumerate(columns):
                    top, left = int(row), int(column)
                    bottom, right = min(top + 1, side - 1), min(left + 1, side - 1)
                    down, across = row - top, column - left
                    upper = frame[:, top, left] * (1 - across) + frame[:, top, right] * across
                    lower = frame[:, bottom, left] * (1 - across) + frame[:, bottom, right] * across
                    result[:, r, c] = upper * (1 - down) + lower * down
            frames.append(result)
        cut = torch.stack(frames)  # (T, 3, S, S)
        brightness, contrast, saturation = changes.colour[i]
        grey = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
        cut = cut * brightness
        cut = contrast * cut + (1 - contrast) * (cut * grey).sum(1).mean()
        cut = saturation * cut + (1 - saturation) * (cut * grey).sum(1, keepdim=True)
        cut = cut.clamp(0, 1)
        left, top, right, bottom = changes.hole[i].tolist()
        for r in range(size):
            for c in range(size):
                if left <= (c + 0.5) / size < right and top <= (r + 0.5) / size < bottom:
                    cut[:, :, r, c] = 0.5
        clips.append(cut)
    return torch.stack(clips)


@pytest.mark.parametrize("size", [12, 9, 16])
def test_change_equals_the_naive_one(size: int) -> None:
    batch, changes = crops(), drawn(3)
    found = change(batch, changes, size)
    assert found.shape == (3, 2, 3, size, size) and found.dtype == torch.float32
    torch.testing.assert_close(found, naive(batch, changes, size), rtol=0, atol=1e-5)


def test_half_the_side_is_the_mean_of_finer_samples() -> None:
    batch, changes = crops(), drawn(3, RGBAugmentConfig(scale=(0.3, 0.9), flip=0.5))
    fine = naive(batch, changes, 12)
    expected = functional.avg_pool2d(fine.flatten(0, 1), 2).view(3, 2, 3, 6, 6)
    torch.testing.assert_close(change(batch, changes, 6), expected, rtol=0, atol=1e-5)


def test_defaults_change_nothing() -> None:
    batch = crops()
    expected = batch.permute(0, 1, 4, 2, 3) / 255
    torch.testing.assert_close(change(batch, drawn(3, RGBAugmentConfig()), 12), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(resize(batch, 12), expected)


def test_resize_is_antialiased() -> None:
    stripes = torch.zeros(1, 1, 16, 16, 3, dtype=torch.uint8)
    stripes[..., ::2, :] = 200
    small = resize(stripes, 4)
    assert small.shape == (1, 1, 3, 4, 4)
    assert (small - 100 / 255).abs().max() < 0.06


def test_flip_alone_mirrors() -> None:
    batch = crops()
    mirrored = change(batch, drawn(3, RGBAugmentConfig(flip=1.0)), 12)
    torch.testing.assert_close(mirrored, batch.permute(0, 1, 4, 2, 3).flip(-1) / 255, rtol=0, atol=1e-5)


def test_changes_stay_in_their_ranges() -> None:
    changes = drawn(4000)
    x, y, width, height = changes.window.unbind(1)
    assert 0.4 < (width < 0).float().mean() < 0.6
    width = width.abs()
    assert ((x.abs() + width) <= 1 + 1e-5).all() and ((y.abs() + height) <= 1 + 1e-5).all()
    inside = (width < 1) & (height < 1)
    area, ratio = (width * height)[inside], (width / height)[inside]
    assert area.min() >= 0.3 - 1e-4 and area.max() <= 0.9 + 1e-4 and area.max() - area.min() > 0.5
    assert ratio.min() >= 0.75 - 1e-4 and ratio.max() <= 4 / 3 + 1e-4
    assert (changes.colour - 1).abs().max() <= 0.4 and (changes.colour - 1).abs().max() > 0.38
    holes = changes.hole[:, 2:] - changes.hole[:, :2]
    assert 0.4 < (holes[:, 0] > 0).float().mean() < 0.6
    assert changes.hole.min() >= 0 and changes.hole.max() <= 1 + 1e-6


def test_a_switch_changes_what_it_switches_only() -> None:
    without = drawn(8, ALL.model_copy(update={"flip": 0.0, "brightness": 0.0}))
    torch.testing.assert_close(without.window.abs(), drawn(8).window.abs())
    torch.testing.assert_close(without.colour[:, 1:], drawn(8).colour[:, 1:])
    torch.testing.assert_close(without.hole, drawn(8).hole)


def test_rows_and_one_change_for_all() -> None:
    batch, changes = crops(), drawn(3)
    torch.testing.assert_close(change(batch[1:], changes.rows(slice(1, 3)), 8), change(batch, changes, 8)[1:])
    one = drawn(1)
    torch.testing.assert_close(change(batch, one.expand(3), 8)[2:], change(batch[2:], one, 8), rtol=0, atol=1e-6)
