"""Runs on pictures, and on skeletons and pictures together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import Configure, assert_equal, tiny_set, trainer

from pcan_pose.crop_cache import CropRecord, CropSettings, write_crops
from pcan_pose.engine import test as engine_test
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.optimizer import build_optimizer
from pcan_pose.engine.run_folder import read_metrics
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError, ConfigError, DataError
from pcan_pose.fusion import fuse

CPU = torch.device("cpu")
LITE0 = {"type": "efficientnet-lite0", "pretrained": False}
POSE = {"widths": [8, 16], "depths": [1, 1], "temporal_kernel": 3, "reduction": 2}
ADAMW = {"optim__type": "adamw", "optim__lr": 0.003, "train__epochs": 2}


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return crops of the tiny set's clips: an action is a colour."""
    folder = tmp_path_factory.mktemp("crops")
    clips = tiny_set()
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 90, (len(clips), 4, 32, 32, 3), dtype=np.uint8)
    for label, clip in zip(clips.labels, pictures, strict=True):
        clip += np.array([(160, 0, 0), (0, 160, 0), (0, 0, 160), (80, 80, 0)], np.uint8)[label]
    records = [CropRecord(name, (0, 1, 2, 3), 4, (0.0, 0.0, 32.0), 32, 32, 1) for name in clips.clip_ids]
    write_crops(folder, 0, CropSettings(size=32, frames=4), records, list(pictures))
    return folder


@pytest.fixture
def rgb(configure: Configure, crops: Path) -> Configure:
    """Return a function that makes the configuration of a run on pictures."""
    pictures = {"crops": str(crops), "frames": 2, "size": 32, "augment": {"scale": [0.7, 1.0], "brightness": 0.2}}
    return lambda **changes: configure(**{"data__rgb": pictures, "encoder": LITE0, **ADAMW, **changes})


def both(**changes: Any) -> dict[str, Any]:
    return {"type": "two-branch", "pose": POSE, "rgb": LITE0, **changes}


def test_pictures_are_learnt_and_tested(rgb: Configure) -> None:
    run = train(rgb(train__epochs=16))
    losses = [row["action"] for row in read_metrics(run / "metrics.jsonl")]
    assert np.mean(losses[-4:]) < 0.7 * losses[0]  # single epochs of so few clips rise and fall by a half
    scores = engine_test.test_run(run, "val", device="cpu")
    assert (scores.stream, len(scores)) == ("rgb", 8)
    turned = engine_test.test_run(run, "val", device="cpu", copies=2)
    np.testing.assert_allclose(np.exp(turned.action_logits).sum(1), 1, rtol=1e-5)
    assert not np.allclose(turned.action_logits, torch.from_numpy(scores.action_logits).log_softmax(1))


@pytest.mark.parametrize("encoder", [LITE0, both(exchange={"width": 8, "heads": 2})], ids=["rgb", "both"])
def test_a_stopped_run_goes_on_to_the_same_weights(rgb: Configure, encoder: dict[str, Any]) -> None:
    whole = train(rgb(name="whole", encoder=encoder))
    config = rgb(name="stopped", encoder=encoder)
    stop = RuntimeError("stop")

    def after_one(epoch: int, epochs: int, losses: dict[str, float]) -> None:
        if epoch == 2:
            raise stop

    with pytest.raises(RuntimeError, match="stop"):
        train(config, progress=after_one)
    resumed = train(config, resume=True)
    assert_equal(load_checkpoint(resumed / "last.pt"), load_checkpoint(whole / "last.pt"))


def test_branches_without_exchange_are_the_networks_alone_and_vote(rgb: Configure) -> None:
    run = train(rgb(encoder=both(rgb_rectification=0.5)))
    scores = {branch: engine_test.test_run(run, "val", device="cpu", branch=branch) for branch in ("pose", "rgb", None)}
    assert [part.stream for part in scores.values()] == [
        "joint+bone+joint_motion+bone_motion",
        "rgb",
        "joint+bone+joint_motion+bone_motion+rgb",
    ]
    fused = fuse([scores["pose"], scores["rgb"]])
    np.testing.assert_allclose(scores[None].action_logits, fused.action_logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores[None].body_logits, fused.body_logits, rtol=1e-4, atol=1e-5)


def test_a_two_branch_run_starts_from_two_runs(rgb: Configure) -> None:
    pose, picture = train(rgb(name="pose", encoder=POSE)), train(rgb(name="picture"))
    encoder = both(pose_run=str(pose), rgb_run=str(picture), exchange={"width": 8, "heads": 2}, rgb_rectification=1.0)
    run = train(rgb(name="both", encoder=encoder, optim__lr=1e-12, optim__weight_decay=0.0, train__ema=0.0))
    for branch, alone in (("pose", pose), ("rgb", picture)):
        _, started, _, _ = engine_test.load_run(run, "cpu")
        _, expected, _, _ = engine_test.load_run(alone, "cpu")
        found = dict((started.encoder.pose if branch == "pose" else started.encoder.rgb).named_parameters())
        for name, weight in expected.encoder.named_parameters():
            torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-6, msg=f"{branch}: {name}")


def test_what_passes_between_the_branches_matters_once_it_is_trained(rgb: Configure) -> None:
    run = trainer(rgb(encoder=both(exchange={"width": 8, "heads": 2, "dropout": 0.0})))
    x, found, clips = next(run.data.train.scoring_batches([torch.arange(4)], 0))
    network = run.recognizer.eval()
    start = network(x, found, clips).action_logits
    alone = network.encoder.pose(x, found)
    torch.testing.assert_close(network.encode(x, found, clips)[:, :16], alone)
    run.train_epoch()
    network.eval()
    other = network.encode(x, found, clips.flip(0))[:, :16]
    assert not torch.allclose(network.encode(x, found, clips)[:, :16], other)
    assert start.shape == (4, 4)


def test_rates_fall_towards_the_input(rgb: Configure) -> None:
    run = trainer(rgb(optim__layer_decay=0.5, optim__lr=0.1))
    rates = {id(weight): group["lr"] for group in run.optimizer.param_groups for weight in group["params"]}
    layers = run.recognizer.encoder.layers()
    assert rates[id(layers[-1][0])] == pytest.approx(0.05 * 1 / 4)
    first, last = rates[id(layers[0][0])], rates[id(layers[-1][0])]
    assert first == pytest.approx(last * 0.5 ** (len(layers) - 1))
    head = rates[id(run.recognizer.head.action_classifier.weight)]
    assert last == pytest.approx(head * 0.5)
    assert len(rates) == sum(weight.requires_grad for weight in run.recognizer.parameters())
    plain = build_optimizer(run.recognizer, run.config.optim.model_copy(update={"layer_decay": 1.0}))
    assert len(plain.param_groups) == 2


def test_a_frozen_encoder_stays_as_it_was(rgb: Configure) -> None:
    run = trainer(rgb(encoder={**LITE0, "freeze": True}))
    before = {name: value.clone() for name, value in run.recognizer.encoder.state_dict().items()}
    head = run.recognizer.head.action_classifier.weight.clone()
    run.train_epoch()
    assert_equal(dict(run.recognizer.encoder.state_dict()), before)
    assert not torch.equal(run.recognizer.head.action_classifier.weight, head)


def test_what_cannot_be(rgb: Configure, configure: Configure, tmp_path: Path, crops: Path) -> None:
    with pytest.raises(ConfigError, match="sees pictures; name their crops as data.rgb.crops"):
        configure(encoder=LITE0)
    with pytest.raises(ConfigError, match="'published' is for skeletons alone"):
        rgb(head__mode="as_published")
    with pytest.raises(DataError, match=str(tmp_path / "none")):
        trainer(rgb(data__rgb={"crops": str(tmp_path / "none")}))
    run = train(rgb(train__epochs=1))
    with pytest.raises(ConfigError, match="the run has one branch only"):
        engine_test.test_run(run, "val", device="cpu", branch="rgb")
    unfit = rgb(name="unfit", encoder=both(pose_run=str(run)))
    with pytest.raises(CheckpointError, match="does not fit the configuration's branch"):
        train(unfit)
    assert not unfit.folder.exists()
