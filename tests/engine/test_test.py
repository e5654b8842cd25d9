from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import OTHER_TREE, TREE, Configure, tiny_set

from pcan_pose.engine import test as engine_test
from pcan_pose.engine.checkpoint import load_checkpoint, save_checkpoint
from pcan_pose.engine.run_folder import RunFolder, read_metrics
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError, DataError
from pcan_pose.keypoints import Header, KeypointSet, write_set
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet


@pytest.fixture(params=[0.9, 0.0], ids=["averaged", "last"])
def run(request: pytest.FixtureRequest, configure: Configure) -> Path:
    return train(configure(data__val_split="val", train__epochs=2, train__ema=request.param))


def test_a_split_is_scored_as_it_was_measured_in_training(run: Path) -> None:
    scores = engine_test.test_run(run, "val", device="cpu")
    assert list(scores.clip_ids) == [f"clip{i:02d}" for i in range(3, 32, 4)]
    assert scores.model == "run"
    metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).summary()
    logged = read_metrics(run / "metrics.jsonl")[-1]
    assert metrics == {key: logged[key] for key in metrics}


def test_the_checkpoints_result_is_what_is_tested(run: Path) -> None:
    _, recognizer, taxonomy, state = engine_test.load_run(run, "cpu")
    assert taxonomy == TREE
    for name, value in recognizer.state_dict().items():
        assert torch.equal(value, state["model"][name]), name
    assert recognizer.head.action_bank.seen.sum() > 0  # the prototypes came along


def test_a_set_without_labels_or_taxonomy_is_scored(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(train__epochs=1))
    bare = Header(layout="coco17", dims=2, estimator="elsewhere")
    write_set(tmp_path / "bare", tiny_set(bare, labelled=False))
    scores = engine_test.test_run(run, "train", data=tmp_path / "bare", device="cpu")
    labelled = engine_test.test_run(run, "train", device="cpu")
    assert set(scores.labels.tolist()) == {-1}
    np.testing.assert_array_equal(scores.action_logits, labelled.action_logits)


def test_all_clips_of_a_set_without_splits_are_scored(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(train__epochs=1))
    whole = tiny_set(labelled=False)
    write_set(tmp_path / "bare", whole.with_splits([()] * len(whole)))
    scores = engine_test.test_run(run, data=tmp_path / "bare", device="cpu")
    assert list(scores.clip_ids) == whole.clip_ids
    assert scores.extra["split"] == "all clips"
    for split in whole.split_names():
        part = engine_test.test_run(run, split, device="cpu")
        np.testing.assert_allclose(scores.select(whole.in_split(split)).action_logits, part.action_logits, atol=1e-5)


def test_neighbours_are_the_runs_own_training_clips(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(data__val_split="val", train__epochs=1))
    set_here = tiny_set()
    renamed = [replace(clip, clip_id=f"other{clip.clip_id}") for clip in set_here.clips()]
    write_set(tmp_path / "renamed", KeypointSet.from_clips(set_here.header, renamed))
    write_set(tmp_path / "copy", set_here)
    plain, own, copy, twin = (
        engine_test.test_run(run, "train", data=data, neighbours=count, neighbour_weight=0.9, device="cpu")
        for data, count in ((None, 0), (None, 3), (tmp_path / "copy", 3), (tmp_path / "renamed", 3))
    )

    def accuracy(scores: ScoreSet) -> float:
        return float((scores.action_logits.argmax(1) == scores.labels).mean())

    # Its twin is the nearest of each, and no clip asks itself.
    assert accuracy(twin) > 0.9 > max(accuracy(plain), accuracy(own))
    np.testing.assert_array_equal(own.action_logits, copy.action_logits)
    assert own.extra == {"split": "train", "copies": "0", "neighbours": "3", "neighbour_weight": "0.9"}
    light = engine_test.test_run(run, "val", neighbours=3, neighbour_weight=1e-6, device="cpu")
    plain = engine_test.test_run(run, "val", device="cpu").action_logits
    expected = torch.from_numpy(plain).softmax(1)
    np.testing.assert_allclose(np.exp(light.action_logits), expected, atol=1e-5)


def test_clips_that_the_run_knows_are_named(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    run = train(configure(train__epochs=1))
    engine_test.test_run(run, "val", device="cpu")
    assert not caplog.messages
    engine_test.test_run(run, "train", neighbours=100, device="cpu")
    assert [message.split(":")[0] for message in caplog.messages] == [
        f"{RunFolder(run).config().data.path} has 24 labelled training clips",
        "24 of 24 clips have names of clips that the run was trained on",
    ]


def test_without_a_labelled_training_clip_there_are_no_neighbours(configure: Configure, tmp_path: Path) -> None:
    write_set(tmp_path / "set", tiny_set())
    run = train(configure(train__epochs=1, data__path=str(tmp_path / "set")))
    write_set(tmp_path / "set", tiny_set(labelled=False), overwrite=True)
    with pytest.raises(DataError, match="no clip of split 'train' has a label, so neighbours can say nothing"):
        engine_test.test_run(run, "val", neighbours=3, device="cpu")


def test_another_layout_and_taxonomy_are_both_named(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(train__epochs=1))
    other = Header(layout="kinect20", dims=3, estimator="test", taxonomy=OTHER_TREE)
    path = tmp_path / "other"
    write_set(path, tiny_set(other))
    with pytest.raises(DataError) as error:
        engine_test.test_run(run, "val", data=path, device="cpu")
    assert error.value.faults == (
        f"{path}: layout 'kinect20' in 3 dimensions, the run was trained on 'coco17' in 2; extract or import in the "
        "run's layout.",
        f"{path}: taxonomy 'other' is not the run's 'tiny'; its labels mean other things; test on a set with the run's "
        "taxonomy.",
    )


def test_a_tree_of_another_name_means_the_same(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(train__epochs=1))
    renamed = Header(layout="coco17", dims=2, estimator="test", taxonomy=replace(TREE, name="other"))
    write_set(tmp_path / "other", tiny_set(renamed))
    assert len(engine_test.test_run(run, "val", data=str(tmp_path / "other"), device="cpu")) == 8


def test_runs_and_splits_that_are_not_there(configure: Configure, tmp_path: Path) -> None:
    run = train(configure(train__epochs=1))
    with pytest.raises(DataError, match="no clip is in split 'test'; the set has train, val"):
        engine_test.test_run(run, "test", device="cpu")
    with pytest.raises(CheckpointError, match="not a run folder"):
        engine_test.test_run(tmp_path, "val", device="cpu")
    content = load_checkpoint(run / "last.pt")
    content["model"].pop("head.action_bank.prototypes")
    save_checkpoint(run / "last.pt", content)
    with pytest.raises(CheckpointError, match=r"last\.pt: does not fit the run's configuration: Error\(s\) in loading"):
        engine_test.test_run(run, "val", device="cpu")
    (run / "last.pt").unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint; has the run been trained"):
        engine_test.test_run(run, "val", device="cpu")
