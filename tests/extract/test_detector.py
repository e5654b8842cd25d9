"""Finding people with networks whose answers are known."""

import re

import numpy as np
import pytest
from tiny_onnx import helper, write_brightest, write_detector, write_network

from pcan_extract.backends import BackendOptions
from pcan_extract.backends.crops import Size
from pcan_extract.backends.detections import count_anchors, letterbox, suppress, surest, yolox_boxes
from pcan_extract.backends.detector import detector_settings, load_detector
from pcan_extract.backends.onnx import OnnxBackend
from pcan_extract.backends.onnx_session import fingerprint
from pcan_pose.errors import CheckpointError, ConfigError

SIZE = Size(width=64, height=32)  # what the detectors of these tests take
BOXES = np.array(
    [[4, 2, 20, 30, 0.9], [8, 0, 60, 16, 0.5], [1, 1, 9, 9, 0.2], [30, 20, 30, 28, 0.9], [40, 4, 50, 30, 0.8]],
    np.float32,
)


@pytest.fixture
def frames():
    """Return a white, a grey and a black picture of twice the network's input."""
    return np.stack([np.full((64, 128, 3), level, np.uint8) for level in (255, 153, 0)])


def options(path, **more):
    return BackendOptions(detector=str(path), **more)


def test_without_a_detector_the_picture_is_the_box(frames):
    boxes = load_detector(BackendOptions())(frames)
    np.testing.assert_array_equal(boxes, np.tile([[0, 0, 128, 64]], (3, 1, 1)))
    assert detector_settings(BackendOptions()) == {"detector": "whole picture"}


@pytest.mark.parametrize("batch", ["N", 1, 2])
def test_people_are_those_sure_enough_surest_first(tmp_path, frames, batch):
    labels = np.array([0, 0, 0, 0, 16])  # the last is a dog
    detect = load_detector(options(write_detector(tmp_path / "yolox.onnx", BOXES, labels=labels, batch=batch)))
    white, grey, black = detect(frames)
    np.testing.assert_allclose(white, [[8, 4, 40, 60], [16, 0, 120, 32]])
    # At 153, scores are 0.6 of what they are at 255: 0.54 and just 0.3.
    np.testing.assert_allclose(grey, white)
    assert black.shape == (0, 4)
    assert {boxes.dtype for boxes in (white, grey, black)} == {np.dtype(np.float32)}


def test_files_without_labels_find_people_only(tmp_path, frames):
    detect = load_detector(options(write_detector(tmp_path / "yolox.onnx", BOXES)))
    np.testing.assert_allclose(detect(frames)[0], np.array([BOXES[0, :4], BOXES[4, :4], BOXES[1, :4]]) * 2)


def test_rtmdet_takes_normalised_colours_and_both_take_blue_first(tmp_path):
    blue = np.zeros((1, 64, 128, 3), np.uint8)
    blue[..., 2] = 200
    boxes = np.array([[4, 2, 20, 30, 1]], np.float32)
    normal = (200 - 103.53) / 57.375
    for name, score in (("yolox", 200), ("rtmdet", normal)):
        for scale, found in ((0.299 / score, 0), (0.301 / score, 1)):
            path = write_detector(tmp_path / f"{name}{found}.onnx", boxes, scale=scale)
            assert len(load_detector(options(path))(blue)[0]) == found
            assert len(load_detector(options(path))(blue[..., ::-1])[0]) == 0


def raw_answer(boxes, scores, classes=2):
    """Return YOLOX's raw answer with boxes at the first two anchors of stride 8 and the last of stride 32."""
    anchors = [(x, y, 8) for y in range(4) for x in range(8)] + [(x, y, 16) for y in range(2) for x in range(4)]
    anchors += [(0, 0, 32), (1, 0, 32)]
    raw = np.zeros((len(anchors), 5 + classes), np.float32)
    for place, box, score in zip((0, 1, 41), boxes, scores, strict=True):
        x, y, stride = anchors[place]
        left, top, right, bottom = box
        raw[place, :2] = (left + right) / 2 / stride - x, (top + bottom) / 2 / stride - y
        raw[place, 2:4] = np.log([(right - left) / stride, (bottom - top) / stride])
        raw[place, 4], raw[place, 5:] = score, (0.9, 1)[:classes]
    return raw


def test_yoloxs_raw_answer_is_decoded_and_doubles_are_dropped(tmp_path, frames):
    boxes = [(2, 3, 30, 29), (4, 3, 32, 30), (40, 1, 63, 31)]
    raw = raw_answer(boxes, [0.8, 0.9, 0.5])
    assert len(raw) == count_anchors(SIZE)
    np.testing.assert_allclose(yolox_boxes(raw[None], SIZE)[0, [0, 1, 41]], boxes, rtol=1e-5)
    detect = load_detector(options(write_detector(tmp_path / "yolox_tiny.onnx", raw)))
    white, grey, black = detect(frames)
    np.testing.assert_allclose(white, np.array([boxes[1], boxes[2]]) * 2, rtol=1e-5)
    np.testing.assert_allclose(grey, np.array([boxes[1]]) * 2, rtol=1e-5)  # 0.5 * 0.9 * 0.6 is not enough
    assert black.shape == (0, 4)


def test_doubles_are_boxes_that_share_more_than_allowed():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4], [20, 0, 30, 10], [0, 5, 10, 10]], np.float32)
    np.testing.assert_array_equal(suppress(boxes, 0.5), boxes[[0, 1, 3, 4]])
    np.testing.assert_array_equal(suppress(boxes, 0.45), boxes[[0, 2, 3]])
    assert suppress(boxes[:0], 0.5).shape == (0, 4)


def test_equally_sure_boxes_keep_their_order():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [5, 5, 4, 6]], np.float32)
    np.testing.assert_array_equal(surest(boxes, np.array([0.5, 0.75, 0.5, 1]), 0.5), boxes[[1, 0, 2]])


@pytest.mark.parametrize(("height", "width", "shown"), [(64, 128, (32, 64)), (50, 40, (32, 25)), (10, 40, (16, 64))])
def test_pictures_are_scaled_into_the_corner_beside_grey(height, width, shown):
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([rows * 4, columns, np.full_like(rows, 7)], -1).astype(np.uint8)
    (boxed,), ratio = letterbox([picture], SIZE)
    assert boxed.shape == (32, 64, 3)
    assert ratio == np.float32(min(32 / height, 64 / width))
    assert (boxed[shown[0] :] == 114).all()
    assert (boxed[:, shown[1] :] == 114).all()
    inside = boxed[: shown[0], : shown[1]].astype(float)
    # Pixels' middles are scaled, and what lies beyond the outermost middles is the outermost pixel.
    y = ((np.arange(shown[0]) + 0.5) * height / shown[0] - 0.5).clip(0, height - 1)
    x = ((np.arange(shown[1]) + 0.5) * width / shown[1] - 0.5).clip(0, width - 1)
    assert abs(inside[..., 0] - 4 * y[:, None]).max() <= 0.51
    assert abs(inside[..., 1] - x).max() <= 0.51
    assert (inside[..., 2] == 7).all()


def test_the_kind_comes_from_metadata_file_or_folder(tmp_path):
    path = write_detector(tmp_path / "rtmdet_nano" / "end2end.onnx", BOXES)
    assert detector_settings(options(path)) == {
        "detector": "end2end.onnx",
        "detector_sha256": fingerprint(path),
        "detector_kind": "rtmdet",
        "detector_threshold": "0.3",
    }
    for unclear in ("end2end.onnx", "yolox_rtmdet.onnx"):
        path = write_detector(tmp_path / "plain" / unclear, BOXES)
        with pytest.raises(ConfigError, match="is this detector a YOLOX or an RTMDet"):
            load_detector(options(path))


def test_other_networks_are_refused(tmp_path, frames):
    path = write_brightest(tmp_path / "yolox.onnx")
    with pytest.raises(
        CheckpointError, match=re.escape("answers with simcc_x (3, 17, 48), simcc_y (3, 17, 64); expected")
    ):
        load_detector(options(path))(frames)
    nodes = [helper.make_node("ReduceMax", ["input"], ["out"], axes=[1], keepdims=0)]
    path = write_network(tmp_path / "rtmdet.onnx", nodes, {}, ["out"], shape=["N", 3, 32, 64])
    with pytest.raises(CheckpointError, match=re.escape("answers with out (3, 32, 64); expected boxes with scores")):
        load_detector(options(path))(frames)


def test_options_that_do_not_fit_are_named(tmp_path):
    path = write_detector(tmp_path / "yolox.onnx", BOXES)
    with pytest.raises(ConfigError, match="persons 2 needs a detector: without one the whole picture is one person's"):
        detector_settings(BackendOptions(persons=2))
    assert detector_settings(options(path, persons=2))["detector"] == "yolox.onnx"
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_detector(options(tmp_path / "b.onnx"))


def test_the_backend_looks_for_joints_in_the_people_found(tmp_path, frames):
    detector = write_detector(tmp_path / "yolox.onnx", BOXES)
    pose = write_brightest(tmp_path / "rtmpose.onnx")
    made = OnnxBackend(BackendOptions(model=str(pose), detector=str(detector)))
    assert made.settings["detector_kind"] == "yolox"
    with made as opened:
        boxes = opened.find_people(frames)
        assert [len(box) for box in boxes] == [3, 3, 0]
        assert [keypoints.shape for keypoints, _ in opened.find_joints(frames, boxes)] == [
            (3, 17, 2),
            (3, 17, 2),
            (0, 17, 2),
        ]
