"""Crops against a naive loop, and against what MMPose's affine transform is by definition."""

import numpy as np
import numpy.typing as npt
import pytest

from pcan_extract.backends.crops import Regions, Size, cut, regions, sample, to_picture

SIZE = Size(width=6, height=8)


@pytest.fixture
def picture() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def naive(picture: npt.NDArray[np.uint8], row: float, column: float) -> npt.NDArray[np.float64]:
    colour = np.zeros(3)
    for y in (int(np.floor(row)), int(np.floor(row)) + 1):
        for x in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]:
                colour += (1 - abs(row - y)) * (1 - abs(column - x)) * picture[y, x]
    return colour


@pytest.mark.parametrize(
    "box",
    [(3, 2, 20, 15), (4.5, 1.25, 9.75, 17), (-20, -10, 12, 9), (25, 15, 50, 60), (0, 0, 30, 20), (100, 100, 120, 130)],
)
def test_a_crop_is_the_bilinear_reading_of_its_region(picture: npt.NDArray[np.uint8], box: tuple[float, ...]) -> None:
    where = regions(np.array([box], np.float32), SIZE)
    crop = cut([picture], [0], where, SIZE)[0]
    (centre,), (extent,) = where
    for v in range(SIZE.height):
        for u in range(SIZE.width):
            # MMPose's affine takes the region's middle to (w / 2, h / 2) and its sides to the crop's.
            x = centre[0] + (u - SIZE.width / 2) * extent[0] / SIZE.width
            y = centre[1] + (v - SIZE.height / 2) * extent[1] / SIZE.height
            assert abs(crop[v, u] - naive(picture, y, x)).max() <= 0.51


def test_a_region_grows_by_a_quarter_and_to_the_crops_aspect() -> None:
    where = regions(np.array([[10, 20, 50, 40], [0, 0, 10, 100]], np.float32), Size(192, 256))
    np.testing.assert_allclose(where.centres, [[30, 30], [5, 50]])
    np.testing.assert_allclose(where.extents, [[50, 50 / 0.75], [125 * 0.75, 125]])


def test_a_crop_of_the_picture_itself_is_the_picture(picture: npt.NDArray[np.uint8]) -> None:
    size = Size(30, 20)
    where = Regions(np.array([[15, 10]], np.float32), np.array([[30, 20]], np.float32))
    np.testing.assert_array_equal(cut([picture], [0], where, size)[0], picture)


def test_each_crop_comes_from_its_own_picture(picture: npt.NDArray[np.uint8]) -> None:
    frames = [picture, 255 - picture, picture // 2]
    where = regions(np.array([[2, 3, 20, 18]] * 4, np.float32), SIZE)
    crops = cut(frames, [2, 0, 1, 0], where, SIZE)
    np.testing.assert_array_equal(crops[1], crops[3])
    for crop, owner in zip(crops, [2, 0, 1, 0], strict=True):
        np.testing.assert_array_equal(crop, cut([frames[owner]], [0], Regions(*(a[:1] for a in where)), SIZE)[0])


def test_points_go_back_to_where_the_crop_was_read() -> None:
    where = regions(np.array([[10, 20, 50, 40], [-5, 3, 7, 90]], np.float32), SIZE)
    points = np.array([[[0, 0], [3, 4], [6, 8]]] * 2, np.float32)  # top left corner, middle, bottom right corner
    back = to_picture(points, where, SIZE)
    expected = where.centres[:, None] + np.array([-0.5, 0, 0.5])[:, None] * where.extents[:, None]
    np.testing.assert_allclose(back, expected, rtol=1e-6)
    assert back.dtype == np.float32


def test_reading_needs_only_a_part_of_the_picture(picture: npt.NDArray[np.uint8]) -> None:
    rows, columns = np.array([4.0, 5.5, 7.25]), np.array([10.0, 10.5, 28.9])
    got = sample(picture, rows, columns)
    expected = np.array([[naive(picture, row, column) for column in columns] for row in rows])
    assert abs(got - expected).max() <= 0.51
