import itertools
from pathlib import Path

import pytest
import torch

from pcan_pose.config import DataConfig
from pcan_pose.data.streams import fuse_streams, input_channels, network_input, stretch_axes
from pcan_pose.skeleton import skeleton

LAYOUT = skeleton("kinect20")
ALL = ("joint", "bone", "joint_motion", "bone_motion")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def naive(keypoints: torch.Tensor, scores: torch.Tensor, streams: tuple[str, ...]) -> torch.Tensor:
    clips, persons, frames, joints, dims = keypoints.shape
    out = torch.zeros(clips, persons, frames, joints, dims * len(streams) + 1)
    for n, m, t, v in itertools.product(range(clips), range(persons), range(frames), range(joints)):

        def joint(t: int, v: int, n: int = n, m: int = m) -> torch.Tensor | None:
            return keypoints[n, m, t, v] if scores[n, m, t, v] > 0 else None

        def bone(t: int, v: int) -> torch.Tensor | None:
            child, parent = joint(t, v), joint(t, int(LAYOUT.parents[v]))
            return None if child is None or parent is None else child - parent

        for s, stream in enumerate(streams):
            part = joint if stream.startswith("joint") else bone
            value = part(t, v)
            if stream.endswith("motion"):
                later = part(t + 1, v) if t + 1 < frames else None
                value = None if value is None or later is None else later - value
            if value is not None:
                out[n, m, t, v, s * dims : (s + 1) * dims] = value
        out[n, m, t, v, -1] = scores[n, m, t, v]
    return out


@pytest.mark.parametrize(
    "streams", [*((stream,) for stream in ALL), ALL, ("bone_motion", "joint"), ("joint_motion", "bone")]
)
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("frames", [1, 4])
def test_equals_a_naive_loop(streams: tuple[str, ...], dims: int, frames: int) -> None:
    scores = torch.rand(2, 2, frames, 20) * (torch.rand(2, 2, frames, 20) < 0.7)
    scores[0, 1] = 0
    # Coordinates of missing joints are arbitrary here: they must not come through.
    keypoints = torch.randn(2, 2, frames, 20, dims)
    fused = fuse_streams(keypoints, scores, LAYOUT, streams)
    assert fused.shape[-1] == input_channels(dims, streams)
    torch.testing.assert_close(fused, naive(keypoints, scores, streams))


def test_bones_do_not_change_when_a_person_moves_and_motions_not_when_the_picture_does() -> None:
    keypoints, scores = torch.randn(1, 1, 6, 20, 3), torch.ones(1, 1, 6, 20)
    path = torch.randn(6, 1, 3)
    before, after = (fuse_streams(x, scores, LAYOUT, ("bone",)) for x in (keypoints, keypoints + path))
    torch.testing.assert_close(before, after)
    before, after = (fuse_streams(x, scores, LAYOUT, ("joint_motion",)) for x in (keypoints, keypoints + 5))
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


def test_motions_add_up_to_the_whole_way() -> None:
    keypoints, scores = torch.randn(2, 1, 6, 20, 2), torch.ones(2, 1, 6, 20)
    motion = fuse_streams(keypoints, scores, LAYOUT, ("joint_motion",))[..., :2]
    torch.testing.assert_close(motion.sum(2), keypoints[:, :, -1] - keypoints[:, :, 0])
    assert motion[:, :, -1].abs().sum() == 0


def test_the_input_is_left_alone_and_the_result_is_dense() -> None:
    keypoints, scores = torch.randn(2, 1, 4, 20, 2), torch.rand(2, 1, 4, 20)
    before = keypoints.clone()
    assert fuse_streams(keypoints, scores, LAYOUT, ALL).is_contiguous()
    assert torch.equal(keypoints, before)


def test_stretching_equals_a_naive_loop_and_leaves_missing_joints_out() -> None:
    scores = torch.rand(3, 2, 5, 20) * (torch.rand(3, 2, 5, 20) < 0.7)
    scores[0, 1] = 0
    scores[2] = 0  # a clip without any joint
    keypoints = 3 + torch.randn(3, 2, 5, 20, 3)
    keypoints[1, ..., 2] = 4  # an axis without extent
    stretched = stretch_axes(keypoints, scores)
    for clip in (0, 1):
        found = scores[clip] > 0
        for axis in range(3):
            values = keypoints[clip, ..., axis][found]
            span = (values.max() - values.min()).item()
            expected = 2 * (values - values.min()) / span - 1 if span else torch.zeros_like(values)
            torch.testing.assert_close(stretched[clip, ..., axis][found], expected)
            assert (stretched[clip, ..., axis][~found] == 0).all()
    assert (stretched[2] == 0).all()


def test_the_network_s_input_is_stretched_on_request_before_its_streams_are_derived() -> None:
    keypoints, scores = torch.randn(2, 1, 4, 20, 2), torch.ones(2, 1, 4, 20)
    data = DataConfig(path=Path("set"), streams=("joint", "bone"))
    torch.testing.assert_close(
        network_input(keypoints, scores, LAYOUT, data), fuse_streams(keypoints, scores, LAYOUT, ("joint", "bone"))
    )
    data = DataConfig(path=Path("set"), streams=("joint", "bone"), scale="axes")
    torch.testing.assert_close(
        network_input(keypoints, scores, LAYOUT, data),
        fuse_streams(stretch_axes(keypoints, scores), scores, LAYOUT, ("joint", "bone")),
    )
