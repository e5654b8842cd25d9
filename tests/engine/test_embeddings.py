from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import OTHER_TREE, TREE, Configure, tiny_set

from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.streams import fuse_streams
from pcan_pose.data.transforms import even_positions
from pcan_pose.engine import test as engine_test
from pcan_pose.engine.embeddings import embed_clips, embed_run
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError, ConfigError, DataError
from pcan_pose.keypoints import Header, write_set


def test_scores_are_those_of_the_test_and_embeddings_the_networks_own(configure: Configure) -> None:
    run = train(configure(data__val_split="val", train__epochs=2))
    embedded = embed_run(run, device="cpu")
    assert embedded.split == "val"
    expected = engine_test.test_run(run, "val", device="cpu")
    np.testing.assert_array_equal(embedded.scores.action_logits, expected.action_logits)
    config, recognizer, _, state = engine_test.load_run(run, "cpu")
    kept = tiny_set()
    clips = PoseDataset.from_set(kept.select(kept.in_split("val")), config.data)
    sample = clips.sample(torch.arange(len(clips)), even_positions(len(clips), config.data.frames))
    recognizer.eval()
    with torch.no_grad():
        x = fuse_streams(sample.keypoints, sample.scores, clips.skeleton, config.data.streams)
        prediction = recognizer(x, sample.scores > 0)
    np.testing.assert_allclose(embedded.embeddings, prediction.embeddings, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(embedded.prototypes, state["model"]["head.action_bank.prototypes"])
    np.testing.assert_array_equal(embedded.seen, state["model"]["head.action_bank.seen"] > 0)
    assert embedded.seen.any()


def test_batches_keep_the_order_and_nothing_stays_behind(configure: Configure) -> None:
    config, recognizer, taxonomy, _ = engine_test.load_run(train(configure(train__epochs=1)), "cpu")
    clips = PoseSource.from_set(tiny_set(), config.data, "cpu")
    whole, parts = (embed_clips(recognizer, clips, taxonomy, model="m", batch_size=size)[1] for size in (256, 5))
    assert whole.shape == (len(clips), config.head.action_embedding)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert not recognizer._forward_hooks


def test_whether_a_loss_trained_the_embedding(configure: Configure) -> None:
    changes = {"head__calibration": {"enabled": False}, "head__diversity_weight": 0.0, "train__epochs": 1}
    plain = embed_run(train(configure(name="plain", **changes)), "val", device="cpu")
    assert not plain.trained_embeddings
    off = embed_run(train(configure(name="off", head__rectification=0.0, **changes)), "val", device="cpu")
    assert not off.seen.any()
    assert not off.prototypes.any()
    assert embed_run(train(configure(train__epochs=1)), "val", device="cpu").trained_embeddings


def test_splits_and_sets_that_do_not_fit(configure: Configure, tmp_path: Path) -> None:
    write_set(tmp_path / "set", tiny_set())
    run = train(configure(data__path=str(tmp_path / "set"), train__epochs=1))
    with pytest.raises(ConfigError, match=r"data.val_split is empty\); name one with --split. The set has train, val"):
        embed_run(run, device="cpu")
    with pytest.raises(DataError, match="no clip is in split 'test'"):
        embed_run(run, "test", device="cpu")
    with pytest.raises(CheckpointError, match="not a run folder"):
        embed_run(tmp_path, "val", device="cpu")
    for header, told in (
        (Header(layout="kinect20", dims=3, estimator="test", taxonomy=TREE), "set: layout 'kinect20' in 3 dimensions"),
        (Header(layout="coco17", dims=2, estimator="test", taxonomy=OTHER_TREE), "set: taxonomy 'other' is not the ru"),
    ):
        write_set(tmp_path / "set", tiny_set(header), overwrite=True)
        with pytest.raises(DataError, match=told):
            embed_run(run, "val", device="cpu")
