"""Axes and limbs keep their lengths and reach what they can."""

import numpy as np
import pytest

from pcan_pose.data.simulate_geometry import cross, dot, place, rotation, two_bones, unit


def angles(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (3, count)).astype(np.float32)


def test_axes_are_right_handed_and_of_length_one() -> None:
    axes = rotation(*angles(50))
    for i in range(3):
        np.testing.assert_allclose(dot(axes[i], axes[i]), 1, atol=1e-5)
        np.testing.assert_allclose(dot(axes[i], axes[(i + 1) % 3]), 0, atol=1e-5)
    np.testing.assert_allclose(cross(axes[0], axes[1]), axes[2], atol=1e-5)


@pytest.mark.parametrize(
    ("angle", "axis", "expected"),
    [("pitch", 1, (0, 0, 1)), ("yaw", 2, (1, 0, 0)), ("roll", 1, (1, 0, 0))],
    ids=["pitch leans forward", "yaw turns to the left", "roll leans to the left"],
)
def test_a_quarter_turn_goes_where_the_name_says(angle: str, axis: int, expected: tuple[int, int, int]) -> None:
    turn = {name: np.zeros(1, np.float32) for name in ("pitch", "yaw", "roll")} | {
        angle: np.full(1, np.pi / 2, np.float32)
    }
    np.testing.assert_allclose(rotation(**turn)[axis][:, 0], expected, atol=1e-6)


def test_place_is_the_matrix_product() -> None:
    axes = rotation(*angles(4))
    local = np.array([1.0, -2.0, 0.5], np.float32)
    np.testing.assert_allclose(place(axes, local), np.einsum("acn,a->cn", axes, local), rtol=1e-5)


@pytest.mark.parametrize(("away", "reached"), [(0.4, 0.4), (5.0, 0.55 * 0.985), (0.001, 0.07)])
def test_a_limb_keeps_its_bones_and_reaches_what_it_can(away: float, reached: float) -> None:
    start, first, second = np.zeros((3, 1), np.float32), np.float32(0.3), np.float32(0.25)
    target = np.array([[away], [0], [0]], np.float32)
    pole = np.array([[0.0], [-1.0], [0.0]], np.float32)
    middle, end = two_bones(start, target, first, second, pole)
    np.testing.assert_allclose(np.linalg.norm(middle), first, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(end - middle), second, rtol=1e-3)
    np.testing.assert_allclose(end[0], reached, rtol=1e-3)
    assert middle[1] <= 0


def test_unit_of_nothing_is_finite() -> None:
    assert np.isfinite(unit(np.zeros((3, 2), np.float32))).all()
