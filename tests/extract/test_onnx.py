"""The ONNX backend on networks whose answers are known: every joint is where the picture is brightest."""

import importlib.util
import pickle
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_onnx import helper, write_brightest, write_network

from pcan_extract.backends import BackendOptions, create_backend, onnx_session
from pcan_extract.backends.onnx import OnnxBackend
from pcan_extract.video import VideoInfo
from pcan_pose.errors import CheckpointError, ConfigError, MissingDependencyError
from pcan_pose.skeleton import SKELETONS

INFO = VideoInfo(width=60, height=40, fps=25, frames=9, rotation=0)
# A crop's pixel is this many of the picture's, in a crop of all of it: the width rules, 60 * 1.25 / 24.
STEP = 60 * 1.25 / 24


@pytest.fixture
def frames():
    """Return nine dark pictures with a light square on its way, and the square's middles (9, 2)."""
    pictures = np.full((9, 40, 60, 3), 20, np.uint8)
    middles = np.stack([np.linspace(8, 52, 9), np.linspace(30, 9, 9)], 1).round()
    for picture, (x, y) in zip(pictures, middles.astype(int), strict=True):
        picture[y - 3 : y + 4, x - 3 : x + 4] = 200
    return pictures, middles


def backend(path, **options):
    return OnnxBackend(BackendOptions(model=str(path), **options))


def test_joints_are_found_where_the_network_says(tmp_path, frames):
    pictures, middles = frames
    with backend(write_brightest(tmp_path / "rtmpose.onnx"), batch_size=4) as opened:
        keypoints, scores = opened.estimate(iter(pictures), INFO)
    assert keypoints.shape == (9, 1, 17, 2)
    assert abs(keypoints - middles[:, None, None]).max() <= 3 + STEP
    # 200 in every colour is normalised to at most 1.68, of which joint v gets (v + 1) / 17.
    normal = (200 - 103.53) / 57.375
    np.testing.assert_allclose(
        scores, np.broadcast_to((normal * (np.arange(17) + 1) / 17).clip(0, 1), (9, 1, 17)), rtol=2e-2
    )


def test_colours_enter_in_the_order_red_green_blue_and_normalised(tmp_path):
    taps = {"first": np.array([0]), "second": np.array([1]), "axis": np.array([1]), "bins": np.array([1, 17, 48])}
    taps |= {"rows": np.array([1, 17, 64])}
    nodes = [
        helper.make_node("Slice", ["input", "first", "second", "axis"], ["red"]),
        helper.make_node("ReduceMax", ["red"], ["peak"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["peak", "axis"], ["peak_3"]),
        helper.make_node("Expand", ["peak_3", "bins"], ["simcc_x"]),
        helper.make_node("Expand", ["peak_3", "rows"], ["simcc_y"]),
    ]
    path = write_network(tmp_path / "red.onnx", nodes, taps, ["simcc_x", "simcc_y"], shape=["N", 3, 32, 24])
    picture = np.full((40, 60, 3), (150, 0, 0), np.uint8)
    with backend(path) as opened:
        ((_, scores),) = opened.find_joints([picture], opened.find_people([picture]))
    np.testing.assert_allclose(scores, (150 - 123.675) / 58.395, rtol=1e-5)


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 4}, {"swapped": True}])
def test_files_that_take_fixed_batches_or_answer_in_another_order_give_the_same(tmp_path, frames, options):
    boxes = [np.array([[0, 0, 60, 40], [2, 1, 40, 39]], np.float32)[: count % 3] for count in range(9)]
    answers = []
    for path in (write_brightest(tmp_path / "any.onnx"), write_brightest(tmp_path / "other.onnx", **options)):
        with backend(path, batch_size=3) as opened:
            answers.append(opened.find_joints(frames[0], boxes))
    assert [keypoints.shape for keypoints, _ in answers[0]] == [(len(box), 17, 2) for box in boxes]
    for (keypoints, scores), (others, other_scores) in zip(*answers, strict=True):
        np.testing.assert_array_equal(keypoints, others)
        np.testing.assert_array_equal(scores, other_scores)


def test_batches_equal_one_by_one_and_every_box_is_read_in_its_own_picture(tmp_path, frames):
    pictures, middles = frames
    boxes = [np.array([[0, 0, 60, 40], [x - 9, y - 9, x + 9, y + 9]], np.float32) for x, y in middles]
    with backend(write_brightest(tmp_path / "a.onnx"), batch_size=5) as opened:
        together = opened.find_joints(pictures, boxes)
        for i, (keypoints, scores) in enumerate(together):
            ((alone, alone_scores),) = opened.find_joints(pictures[i : i + 1], boxes[i : i + 1])
            np.testing.assert_array_equal(keypoints, alone)
            np.testing.assert_array_equal(scores, alone_scores)
            assert abs(keypoints[0] - middles[i]).max() <= 3 + STEP
            assert abs(keypoints[1] - middles[i]).max() <= 3 + 2


def test_nobody_in_any_frame(tmp_path, frames):
    with backend(write_brightest(tmp_path / "a.onnx")) as opened:
        answer = opened.find_joints(frames[0], [np.zeros((0, 4), np.float32)] * 9)
    assert [(k.shape, s.shape) for k, s in answer] == [((0, 17, 2), (0, 17))] * 9


@pytest.mark.parametrize(
    ("joints", "metadata", "layout"),
    [
        (17, None, "coco17"),
        (26, None, "halpe26"),
        (133, None, "coco_wholebody133"),
        (28, {"layout": "openpose28"}, "openpose28"),
    ],
)
def test_layout_comes_from_the_number_of_joints_or_the_metadata(tmp_path, joints, metadata, layout):
    made = backend(write_brightest(tmp_path / "a.onnx", joints=joints, metadata=metadata))
    assert made.layout == layout
    assert SKELETONS[layout].num_joints == joints


@pytest.mark.parametrize(
    ("joints", "metadata", "told"),
    [
        (5, None, "a network of 5 joints is of no known layout: expected 17 joints (coco17), 26 (halpe26) or 133"),
        (17, {"layout": "halpe26"}, "a network of the layout 'halpe26' and 17 joints is of no known layout"),
        (17, {"layout": "coco"}, "a network of the layout 'coco' and 17 joints is of no known layout"),
    ],
)
def test_unknown_layouts_are_refused(tmp_path, joints, metadata, told):
    with pytest.raises(CheckpointError, match=re.escape(told)):
        backend(write_brightest(tmp_path / "a.onnx", joints=joints, metadata=metadata))


def test_it_travels_unopened_and_says_what_changes_its_numbers(tmp_path):
    path = write_brightest(tmp_path / "rtmpose-s.onnx")
    made = pickle.loads(pickle.dumps(create_backend("onnx", BackendOptions(model=str(path), batch_size=3))))
    assert made.name == "onnx"
    assert made.estimator == f"onnx-rtmpose-s onnxruntime {onnx_session.runtime_version()}"
    assert made.settings == {
        "model": "rtmpose-s.onnx",
        "model_sha256": onnx_session.fingerprint(path),
        "device": "cpu",
        "precision": "fp32",
        "persons": "1",
        "detector": "whole picture",
    }
    other = backend(write_brightest(tmp_path / "b" / "rtmpose-s.onnx", swapped=True))
    assert other.settings != made.settings


def test_half_precision_is_the_files_own(tmp_path, frames):
    pictures, middles = frames
    path = write_brightest(tmp_path / "half.onnx", half=True)
    made = backend(path, precision="fp16")
    assert made.settings["precision"] == backend(path).settings["precision"] == "fp16"
    with made as opened:
        keypoints, scores = opened.estimate(iter(pictures), INFO)
    assert keypoints.dtype == scores.dtype == np.float32
    assert abs(keypoints - middles[:, None, None]).max() <= 3 + STEP
    with pytest.raises(
        ConfigError, match=r"precision 'bf16': .*half.onnx was exported in fp16 and computes in nothing"
    ):
        backend(path, precision="bf16")


def test_absent_packages_name_their_commands(tmp_path, monkeypatch):
    path = write_brightest(tmp_path / "a.onnx")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=re.escape("run pip install 'pcan-pose[onnx]'")):
        backend(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "there is no such file"), (b"", "onnxruntime cannot open it"), (b"no network" * 9, "cannot open it")],
)
def test_files_that_are_no_networks_are_named(tmp_path, content, told):
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        backend(path)
    assert "a.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "inputs", "told"),
    [
        (["N", 3, "h", "w"], ["input"], "leaves its rows and columns open; export it with a fixed size"),
        (["N", 1, 8, 8], ["input"], "takes input tensor(float) ['N', 1, 8, 8]; expected one input of floats"),
        (["N", 3, 8, 8], ["input", "more"], "more tensor(float) ['N', 3, 8, 8]; expected one input"),
    ],
)
def test_networks_with_other_inputs_are_refused(tmp_path, shape, inputs, told):
    nodes = [helper.make_node("Sum", inputs, ["out"])]
    path = write_network(tmp_path / "a.onnx", nodes, {}, ["out"], shape=shape, inputs=inputs)
    with pytest.raises(CheckpointError, match=re.escape(told)):
        backend(path)


def test_a_network_that_fails_is_an_error_of_one_line(tmp_path):
    nodes = [helper.make_node("Reshape", ["input", "shape"], ["out"])]
    path = write_network(tmp_path / "a.onnx", nodes, {"shape": np.array([7, 11])}, ["out"], shape=["N", 3, 8, 8])
    with pytest.raises(CheckpointError, match=r"a.onnx: the network fails on 1 pictures: .*Reshape") as caught:
        backend(path)
    assert "\n" not in str(caught.value)


def test_options_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ConfigError, match="which network.* Give the path"):
        OnnxBackend(BackendOptions())
    with pytest.raises(ConfigError, match="backend 'onnx' has no option 'checkpoint'"):
        backend(tmp_path / "a.onnx", checkpoint="b.pth")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0"])
def test_unknown_devices_are_named(tmp_path, device):
    with pytest.raises(ConfigError, match=f"device '{device}' is none of auto, cpu, cuda and cuda:N"):
        backend(write_brightest(tmp_path / "a.onnx"), device=device)


def test_a_gpu_takes_a_build_that_knows_one(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match="knows no NVIDIA GPU; run pip install onnxruntime-gpu in place"):
        backend(write_brightest(tmp_path / "a.onnx"), device="cuda")
    assert backend(tmp_path / "a.onnx").settings["device"] == "cpu"


def test_a_build_for_gpus_without_one_falls_back_only_if_left_to_it(tmp_path, monkeypatch):
    path = write_brightest(tmp_path / "a.onnx")
    asked = []
    real = onnx_session._open
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnx_session, "_open", lambda path, device: (asked.append(device), real(path, "cpu"))[1])
    assert backend(path).settings["device"] == "cpu"
    assert asked[0] == "cuda:0"
    made = backend(path, device="cuda:3")
    assert (made.settings["device"], made.settings["batch_size"]) == ("cuda", "32")
    with pytest.raises(ConfigError, match="device 'cuda:3': onnxruntime does not get at this GPU"), made:
        pass


class TestNames:
    """Networks by rtmlib's names; rtmlib itself is replaced, and nothing is fetched."""

    @pytest.fixture
    def fetched(self, tmp_path, monkeypatch):
        path = write_brightest(tmp_path / "cache" / "rtmpose-m.onnx")
        urls = []

        def download(url):
            urls.append(url)
            if "broken" in url:
                raise OSError("no route to host")
            return str(path)

        modes = {"balanced": {"pose": "https://x/pose.zip", "det": "https://x/yolox.zip"}}
        modes["performance"] = {"pose": "https://x/broken.zip"}
        monkeypatch.setitem(sys.modules, "rtmlib", SimpleNamespace(Body=SimpleNamespace(MODE=modes)))
        monkeypatch.setitem(sys.modules, "rtmlib.tools", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "rtmlib.tools.file", SimpleNamespace(download_checkpoint=download))
        real = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "rtmlib" or real(name))
        return urls

    def test_a_named_network_is_fetched(self, fetched):
        assert backend("body-balanced").settings["model"] == "rtmpose-m.onnx"
        assert fetched == ["https://x/pose.zip"]

    def test_without_a_network_the_error_says_what_to_do(self, fetched):
        with pytest.raises(ConfigError, match=r"fetching https://x/broken.zip failed \(OSError: no route to host\)"):
            backend("body-performance")

    def test_without_rtmlib_the_error_names_its_command(self, monkeypatch):
        real = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rtmlib" else real(name))
        with pytest.raises(MissingDependencyError, match="run pip install rtmlib, or give the path"):
            backend("wholebody-lightweight")

    def test_a_misspelt_name_is_guessed(self):
        with pytest.raises(CheckpointError, match=re.escape("Did you mean 'wholebody-balanced'?")):
            backend("wholebody-balance")
