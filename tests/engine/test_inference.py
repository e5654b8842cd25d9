import numpy as np
import pytest
import torch
from tiny_runs import TREE, Configure, tiny_set, trainer
from torch import nn

from pcan_pose.config import AugmentConfig, RunConfig
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.streams import fuse_streams
from pcan_pose.data.transforms import even_positions
from pcan_pose.engine.inference import score_clips
from pcan_pose.models.recognizer import Recognizer


def trained(config: RunConfig) -> Recognizer:
    run = trainer(config)
    run.train_epoch()
    return run.recognizer


def test_scores_are_the_networks_own_clip_by_clip(configure: Configure) -> None:
    config = configure()
    recognizer, clips = trained(config), PoseSource.from_set(tiny_set(), config.data, "cpu")
    scores = score_clips(recognizer, clips, TREE, model="m")
    assert not recognizer.training
    assert list(scores.clip_ids) == clips.clip_ids
    assert scores.labels.tolist() == clips.labels.tolist()
    assert (scores.stream, scores.model, scores.taxonomy) == ("joint+bone+joint_motion+bone_motion", "m", TREE)
    for i in (0, 13, 31):
        sample = clips.dataset.sample(torch.tensor([i]), even_positions(1, config.data.frames))
        x = fuse_streams(sample.keypoints, sample.scores, clips.dataset.skeleton, config.data.streams)
        with torch.no_grad():
            prediction = recognizer(x, sample.scores > 0)
        np.testing.assert_allclose(scores.action_logits[i], prediction.action_logits[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(scores.body_logits[i], prediction.body_logits[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_the_batch_size_does_not_matter(configure: Configure, batch_size: int) -> None:
    config = configure()
    recognizer, clips = trained(config), PoseSource.from_set(tiny_set(), config.data, "cpu")
    whole = score_clips(recognizer, clips, TREE, model="m")
    parts = score_clips(recognizer, clips, TREE, model="m", batch_size=batch_size)
    np.testing.assert_allclose(parts.action_logits, whole.action_logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts.body_logits, whole.body_logits, rtol=1e-4, atol=1e-5)


def test_labels_and_names_do_not_reach_the_network(configure: Configure) -> None:
    config = configure()
    recognizer = trained(config)
    labelled, unlabelled = (
        score_clips(
            recognizer,
            PoseSource.from_set(tiny_set(labelled=known), config.data, "cpu"),
            TREE,
            model="m",
        )
        for known in (True, False)
    )
    assert set(unlabelled.labels.tolist()) == {-1}
    np.testing.assert_array_equal(labelled.action_logits, unlabelled.action_logits)


def test_scores_of_a_bfloat16_network_are_float32(configure: Configure) -> None:
    config = configure(train__precision="bf16")
    scores = score_clips(trained(config), PoseSource.from_set(tiny_set(), config.data, "cpu"), TREE, model="m")
    assert scores.action_logits.dtype == scores.body_logits.dtype == np.float32


def test_copies_are_averaged_and_a_clip_does_not_depend_on_its_neighbours(configure: Configure) -> None:
    config = configure()
    changes = {"rotation": (0.0, 0.0, 90.0), "flip": 0.5, "scale": 0.3, "crop": (0.5, 1.0), "resampling": "random"}
    data = config.data.model_copy(update={"augment": config.data.augment.model_copy(update=changes)})
    recognizer, dataset = trained(config), PoseDataset.from_set(tiny_set(), config.data)

    def logits(copies: int, batch_size: int = 256) -> np.ndarray:
        clips = PoseSource(dataset, data)
        scores = score_clips(recognizer, clips, TREE, model="m", copies=copies, batch_size=batch_size)
        return np.asarray(scores.action_logits)

    averaged = logits(3)
    np.testing.assert_allclose(np.exp(averaged).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(averaged, logits(3, batch_size=5), rtol=1e-4, atol=1e-5)
    plain = torch.from_numpy(logits(0)).log_softmax(1).numpy()
    assert np.abs(averaged - plain).max() > 1e-3
    # Copies that change nothing leave the scores as they are: they are turned and cropped, but not spoiled.
    spoiled = AugmentConfig(noise=0.5, bone_noise=0.5, joint_dropout=0.5)
    still = config.data.model_copy(update={"augment": spoiled})
    same = score_clips(recognizer, PoseSource(dataset, still), TREE, model="m", copies=2)
    np.testing.assert_allclose(same.action_logits, plain, rtol=1e-4, atol=1e-5)


def test_norms_are_folded_unless_the_network_is_compiled(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure()
    recognizer, clips = trained(config), PoseSource.from_set(tiny_set(), config.data, "cpu")
    folded = score_clips(recognizer, clips, TREE, model="m")
    assert any(isinstance(module, nn.BatchNorm2d) for module in recognizer.modules())
    norms = []
    for module in recognizer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda *_: norms.append(1))
    score_clips(recognizer, clips, TREE, model="m")
    assert not norms
    monkeypatch.setattr(recognizer.encoder, "_compiled_call_impl", recognizer.encoder._call_impl)
    plain = score_clips(recognizer, clips, TREE, model="m")
    assert norms
    np.testing.assert_allclose(folded.action_logits, plain.action_logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(folded.body_logits, plain.body_logits, rtol=0, atol=1e-5)
