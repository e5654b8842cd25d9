from fractions import Fraction

import numpy as np
import pytest

from pcan_extract.display import square_width
from pcan_extract.video import VideoReader

UPRIGHT, TURNED, OVER, BACK = (1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)
MIRRORED, UPSIDE_DOWN, TRANSPOSED, ACROSS = (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [
        (UPRIGHT, 0, False),
        (TURNED, 90, False),
        (OVER, 180, False),
        (BACK, 270, False),
        (MIRRORED, 0, True),
        (UPSIDE_DOWN, 180, True),
        (TRANSPOSED, 270, True),
        (ACROSS, 90, True),
    ],
)
def test_every_display_matrix_is_applied(matrix, rotation, mirrored, film, tmp_path, make_video):
    a, b, c, d = matrix
    one = 1 << 16
    whole = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
    path = make_video(tmp_path / "turned.mp4", film[:2], matrix=whole)
    with VideoReader(make_video(tmp_path / "stored.mp4", film[:2])) as reader:
        stored = np.stack(list(reader))
    with VideoReader(path) as reader:
        frames = np.stack(list(reader))
        info = reader.info
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.height, info.width) == frames.shape[1:3]
    # Every pixel goes to where the matrix sends it; what would lie left of or above the picture is moved in.
    y, x = np.mgrid[:144, :176]
    shown_x, shown_y = a * x + c * y, b * x + d * y
    expected = np.zeros_like(frames)
    expected[:, shown_y - shown_y.min(), shown_x - shown_x.min()] = stored
    np.testing.assert_array_equal(frames, expected)


@pytest.mark.parametrize(
    ("width", "ratio", "expected"),
    [
        (1440, Fraction(4, 3), 1920),
        (720, Fraction(16, 15), 768),
        (720, Fraction(8, 9), 640),
        (151, Fraction(3, 2), 226),
        (151, Fraction(1), 151),
        (151, None, 151),
        (151, Fraction(0), 151),
        # Less than a pixel is nothing.
        (1920, Fraction(2025, 2024), 1920),
        (640, Fraction(1, 1000), 640),
    ],
)
def test_width_of_square_pixels(width, ratio, expected):
    assert square_width(width, ratio) == expected


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 234), (Fraction(8, 9), 156)])
@pytest.mark.parametrize("rotation", [0, 90])
def test_pixels_are_made_square(aspect, width, rotation, film, tmp_path, make_video):
    path = make_video(tmp_path / "wide.mp4", film[:3], aspect=aspect, rotation=rotation)
    with VideoReader(path) as reader:
        assert rotation or (reader.info.width, reader.info.height) == (width, 144)
        frames = np.stack(list(reader))
        info = reader.info
    assert (info.height, info.width) == frames.shape[1:3] == ((width, 144) if rotation else (144, width))
    # What the film shows at a point of its width, the frames show at the same part of theirs.
    columns = ((np.arange(width) + 0.5) * 176 / width).astype(int)
    shown = np.rot90(film[:3, :, columns], rotation // 90, axes=(1, 2))
    assert np.abs(frames.astype(int) - shown).mean() < 8
