import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import TREE, Configure, tiny_set

from pcan_pose.engine import export, onnx_graph
from pcan_pose.engine import test as engine_test
from pcan_pose.engine.checkpoint import load_checkpoint, save_checkpoint
from pcan_pose.engine.export import export_run
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError, ConfigError, DataError, MissingDependencyError
from pcan_pose.keypoints import Clip, Header, KeypointSet, read_set, write_set
from pcan_pose.models.pooling import masked_mean
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

MEMBER = {"widths": [8, 16], "depths": [1, 1], "temporal_kernel": 3, "reduction": 2}
COMMITTEE = {
    "type": "committee",
    "members": [
        {"streams": ["joint"], "encoder": {**MEMBER, "stem_stride": 1}},
        {"streams": ["bone", "joint_motion"], "encoder": MEMBER},
    ],
}
VIEWS = COMMITTEE | {
    "members": [COMMITTEE["members"][0], COMMITTEE["members"][1] | {"frames": 13, "short_clips": "pad"}]
}
ENCODERS: dict[str, dict[str, Any]] = {
    # Nine frames become 5 and 3, which do not divide them.
    "pose": {"encoder": MEMBER, "data__frames": 9},
    "padded": {"encoder": MEMBER, "data__frames": 9, "data__short_clips": "pad", "data__scale": "axes"},
    "views": {"encoder": VIEWS, "data__frames": 7},
    "committee": {"encoder": COMMITTEE, "data__scale": "axes", "data__persons": 2},
    "stgcn++": {"encoder": {"type": "stgcn++", "base_channels": 12}, "data__centre": "frame"},
    "refined": {"encoder": {"type": "refined", "widths": [8, 16], "depths": [2, 1]}, "data__frames": 9},
    "ctr-gcn": {"encoder": {"type": "ctr-gcn", "base_channels": 4}, "data__persons": 2},
}


def session(file: Path) -> Any:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def run_file(file: Path, clips: KeypointSet, persons: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of an exported file, clip by clip, as a user without this library would get them."""
    opened = session(file)
    actions, bodies = [], []
    for i in range(len(clips)):
        clip = clips.clip(i)
        keypoints = np.zeros((1, persons, *clip.keypoints.shape[1:]), np.float32)
        scores = np.zeros(keypoints.shape[:-1], np.float32)
        there = min(persons, len(clip.keypoints))
        keypoints[0, :there], scores[0, :there] = clip.keypoints[:there], clip.scores[:there]
        action, body = opened.run(["action_logits", "body_logits"], {"keypoints": keypoints, "scores": scores})
        actions.append(action)
        bodies.append(body)
    return np.concatenate(actions), np.concatenate(bodies)


def give_graphs_directions(checkpoint: Path) -> None:
    """Change every adjacency: an untrained one is nearly symmetric, and its transpose would go unnoticed."""
    content = load_checkpoint(checkpoint)
    for name, value in content["model"].items():
        if name.endswith((".adjacency", ".subsets")):
            value.copy_(0.3 * torch.rand(value.shape, generator=torch.Generator().manual_seed(0)))
    save_checkpoint(checkpoint, content)


def assert_scores(file: Path, expected: ScoreSet, clips: KeypointSet, persons: int) -> None:
    action, body = run_file(file, clips, persons)
    for got, logits in ((action, expected.action_logits), (body, expected.body_logits)):
        np.testing.assert_allclose(got, logits, rtol=0, atol=1e-4 * max(1, np.abs(logits).max()))


@pytest.fixture(scope="session")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny set with a second person in every other clip."""
    every = tiny_set()
    made = []
    for i in range(len(every)):
        clip = every.clip(i)
        if i % 2:
            keypoints = np.concatenate([clip.keypoints, clip.keypoints[:, ::-1] + 70])
            clip = replace(clip, keypoints=keypoints, scores=np.concatenate([clip.scores, clip.scores[:, ::-1]]))
        made.append(clip)
    path = tmp_path_factory.mktemp("people") / "two"
    write_set(path, KeypointSet.from_clips(every.header, made))
    return path


@pytest.mark.parametrize("name", ENCODERS)
def test_the_file_gives_the_scores_of_test(name: str, configure: Configure, two_people: Path, tmp_path: Path) -> None:
    config = configure(**ENCODERS[name], data__path=str(two_people), train__epochs=1)
    run = train(config)
    give_graphs_directions(run / "last.pt")
    file = tmp_path / "model.onnx"
    assert export_run(run, file) is not None
    expected = engine_test.test_run(run, "val", device="cpu")
    clips = read_set(two_people)
    assert_scores(file, expected, clips.select(clips.in_split("val")), config.data.persons)


@pytest.fixture
def run(configure: Configure) -> Path:
    return train(configure(train__epochs=1))


def test_any_number_of_clips_of_any_length(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "model.onnx")
    opened = session(tmp_path / "model.onnx")
    assert {(each.name, each.type) for each in opened.get_inputs()} == {
        ("keypoints", "tensor(float)"),
        ("scores", "tensor(float)"),
    }
    random = np.random.default_rng(0)
    for frames in (1, 5, 30):
        keypoints = random.normal(300, 80, (3, 1, frames, 17, 2)).astype(np.float32)
        scores = (random.random((3, 1, frames, 17)) > 0.2).astype(np.float32)
        scores[2] = 0  # nobody there
        together = opened.run(None, {"keypoints": keypoints, "scores": scores})
        for i in range(3):
            alone = opened.run(None, {"keypoints": keypoints[i : i + 1], "scores": scores[i : i + 1]})
            for one, other in zip(alone, together, strict=True):
                assert np.isfinite(one).all()
                np.testing.assert_allclose(one[0], other[i], rtol=0, atol=1e-5)


def test_one_file_says_all_about_itself(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "model.onnx"
    export_run(run, file, frames=12)
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert not any(onnx.external_data_helper.uses_external_data(each) for each in model.graph.initializer)
    said = session(file).get_modelmeta().custom_metadata_map
    assert Taxonomy.from_json(said["taxonomy"]) == TREE
    assert (said["layout"], said["dims"], said["persons"], said["frames"]) == ("coco17", "2", "1", "12")
    assert json.loads(said["joints"])[:2] == ["nose", "left_eye"]
    assert said["streams"] == "joint+bone+joint_motion+bone_motion"
    assert said["version"]
    assert len(json.loads(said["positions"])) == 12
    assert "positions[t] * (F - 1)" in said["sampling"]


def test_a_file_says_how_each_view_is_sampled(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(encoder=VIEWS, train__epochs=1, data__frames=7))
    export_run(run, tmp_path / "model.onnx")
    said = session(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert said["frames"] == "7+13"
    assert [len(positions) for positions in json.loads(said["positions"])] == [7, 13]
    assert "stand once for each view" in said["sampling"]
    assert "Of T = 13: A clip of fewer than T frames keeps its own" in said["sampling"]


def test_a_file_that_disagrees_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "coverage", lambda frames, strided: torch.ones(strided, frames))
    with pytest.raises(DataError, match=r"model\.onnx: not written, ONNX Runtime .* gives action_logits that differ"):
        export_run(run, tmp_path / "out" / "model.onnx")
    assert not (tmp_path / "out").exists()


def test_an_existing_file_is_replaced_on_request_only(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_text("mine")
    with pytest.raises(DataError, match=r"already exists; .* --overwrite"):
        export_run(run, file)
    assert file.read_text() == "mine"
    export_run(run, file, overwrite=True)
    assert file.stat().st_size > 1000


def test_another_checkpoint(run: Path, configure: Configure, tmp_path: Path) -> None:
    other = train(configure(train__epochs=2, name="other"))
    file = tmp_path / "model.onnx"
    export_run(run, file, checkpoint=other / "last.pt")
    clips = tiny_set()
    assert_scores(file, engine_test.test_run(other, "val", device="cpu"), clips.select(clips.in_split("val")), 1)
    with pytest.raises(CheckpointError, match=r"nowhere\.pt: there is no checkpoint"):
        export_run(run, file, checkpoint=tmp_path / "nowhere.pt", overwrite=True)


def test_runs_that_cannot_be_exported(run: Path, configure: Configure, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    pictures = {"data__rgb": {"crops": "none"}, "encoder": {"type": "efficientnet-lite0", "pretrained": False}}
    with pytest.raises(ConfigError, match="encoder 'efficientnet-lite0' sees pictures; only runs over skeletons"):
        export._refuse_others(configure(**pictures))
    with pytest.raises(ConfigError, match=r"torch-geometric's GCNConv \(encoder.spatial\) cannot be exported"):
        export._refuse_others(configure(encoder__spatial="GCNConv"))
    with pytest.raises(CheckpointError, match="not a run folder"):
        export_run(tmp_path, file)
    assert not file.exists()


def test_a_missing_package_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = export.importlib.util.find_spec
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    assert export_run(run, tmp_path / "model.onnx") is None
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    with pytest.raises(MissingDependencyError, match=r"pip install 'pcan-pose\[onnx\]'"):
        export_run(run, tmp_path / "other.onnx")


@pytest.mark.parametrize(("frames", "strided"), [(9, 9), (9, 5), (52, 7), (64, 8), (5, 3)])
def test_the_mean_is_that_of_training(frames: int, strided: int) -> None:
    found = torch.rand(2, 3, frames, 4) > 0.6
    found[1] = False
    features = torch.randn(6, 5, strided, 4)
    torch.testing.assert_close(onnx_graph.mean_by_product(features, found), masked_mean(features, found))


def test_clips_of_three_dimensions(configure: Configure, tmp_path: Path) -> None:
    header = Header(layout="kinect20", dims=3, estimator="test", taxonomy=TREE)
    write_set(tmp_path / "kinect", tiny_set(header))
    run = train(configure(data__path=str(tmp_path / "kinect"), data__face_camera=True, train__epochs=1))
    file = tmp_path / "model.onnx"
    export_run(run, file)
    clips = read_set(tmp_path / "kinect")
    assert_scores(file, engine_test.test_run(run, "val", device="cpu"), clips.select(clips.in_split("val")), 1)


def test_the_random_clips_are_clips() -> None:
    from pcan_pose.skeleton import skeleton

    keypoints, scores = export._random_clips(2, 2, 8, skeleton("coco17"), 2)
    assert (scores[:, -1, :4] == 0).all() and (scores[:, -1] > 0).any()
    assert isinstance(Clip("0", keypoints[0], scores[0]), Clip)
