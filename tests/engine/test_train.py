import copy
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import Configure, assert_equal, tiny_set, trainer
from torch import nn

from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.run_folder import read_metrics
from pcan_pose.engine.train import train
from pcan_pose.errors import ConfigError, DataError, ScoreError
from pcan_pose.keypoints import Header, KeypointSet, write_set


def written(path: Path, keypoint_set: KeypointSet) -> str:
    write_set(path, keypoint_set)
    return str(path)


def test_a_run_leaves_a_folder_and_tells_its_progress(configure: Configure) -> None:
    config = configure(data__val_split="val", train__val_every=2)
    told = []
    folder = train(config, progress=lambda epoch, epochs, losses: told.append((epoch, epochs, losses)))
    assert folder == config.folder
    assert {"config.yaml", "environment.json", "last.pt", "metrics.jsonl"} <= {path.name for path in folder.iterdir()}
    assert [(epoch, epochs) for epoch, epochs, _ in told] == [(1, 3), (2, 3), (3, 3)]
    names = {"loss", "action", "body", "tree", "action_calibration", "body_calibration", "diversity", "lr", "seconds"}
    assert all(losses.keys() == names for *_, losses in told)
    logged = read_metrics(folder / "metrics.jsonl")
    assert [(row["epoch"], row["split"]) for row in logged] == [
        (1, "train"), (2, "train"), (2, "val"), (3, "train"), (3, "val"),
    ]  # fmt: skip
    assert logged[0] == {"epoch": 1, "split": "train", **told[0][2]}
    assert "f1_mean" in logged[-1]
    assert load_checkpoint(folder / "last.pt")["epoch"] == 3


def test_training_learns(configure: Configure) -> None:
    config = configure(
        data__val_split="val",
        data__augment={},
        head__dropout=0,
        head__label_smoothing=0,
        train__epochs=12,
        train__val_every=100,
    )
    final = read_metrics(train(config) / "metrics.jsonl")[-1]
    assert final["split"] == "val" and final["epoch"] == 12
    assert next(value for key, value in final.items() if "top1" in key and "action" in key) >= 0.75


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(configure: Configure) -> None:
    first, again, other = (
        load_checkpoint(train(configure(name=name, seed=seed, train__epochs=1)) / "last.pt")
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert_equal(first, again)
    assert not torch.equal(
        first["model"]["head.action_classifier.weight"], other["model"]["head.action_classifier.weight"]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": {"type": "stgcn++", "base_channels": 12}},
        {"encoder": {"type": "refined", "widths": [8, 16], "depths": [1, 1]}},
        {"encoder": {"type": "ctr-gcn", "base_channels": 8}},
        {"encoder": {"type": "st-gcn", "base_channels": 8, "dropout": 0.5}},
        {"encoder__spatial": "GATv2Conv"},
        {"encoder__groups": 4},
        {"train__precision": "bf16"},
        {"optim__type": "adamw", "optim__lr": 1e-3},
        {"optim__clip_norm": 0.1},
        {"data__streams": ["bone_motion"]},
        {"data__persons": 2},
        {"head__mode": "as_published"},
        {"head__rectification": 0, "head__calibration": {"enabled": False}, "head__diversity_weight": 0},
    ],
)
def test_configurations_train(configure: Configure, changes: dict[str, Any]) -> None:
    run = trainer(configure(train__epochs=1, train__batch_size=12, **changes))
    before = copy.deepcopy(run.recognizer.state_dict())
    losses = run.train_epoch()  # two steps
    assert run.steps_per_epoch == 2
    assert all(math.isfinite(loss) for loss in losses.values())
    # The bias of a convolution in front of a batch norm has no effect, so it may stay.
    trained = {name for name, p in run.recognizer.named_parameters() if p.requires_grad and not name.endswith("bias")}
    still = [name for name in trained if torch.equal(before[name], run.recognizer.state_dict()[name])]
    assert still == []
    assert all(value.isfinite().all() for value in run.recognizer.state_dict().values())


@pytest.mark.parametrize(("setting", "mode"), [(True, None), ("reduce-overhead", "reduce-overhead")])
def test_a_compiled_encoder_learns_the_same(
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    setting: bool | str,
    mode: str | None,
) -> None:
    modes = []

    def compile_without_a_compiler(module: nn.Module, *, mode: str | None) -> None:
        modes.append(mode)
        # The graph is captured as always, and run by torch itself.
        module._compiled_call_impl = torch.compile(module._call_impl, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", compile_without_a_compiler)
    eager, compiled = trainer(configure()), trainer(configure(train__compile=setting))
    assert modes == [mode]
    assert ("on this device it only compiles" in caplog.text) == (mode is not None)
    for _ in range(2):
        assert compiled.train_epoch() == pytest.approx(eager.train_epoch(), rel=1e-4)


def test_the_gradient_is_clipped_to_the_norm(configure: Configure) -> None:
    run = trainer(configure(optim__clip_norm=0.01, train__batch_size=24))
    run.train_epoch()  # one step, whose gradient stays
    norm = torch.stack([p.grad.norm() for p in run.recognizer.parameters()]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_the_rate_rises_and_falls(configure: Configure) -> None:
    run = trainer(configure(optim__lr=1.0, optim__warmup_epochs=2, train__epochs=10))
    rates = []
    for _ in range(10 * run.steps_per_epoch):
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.optimizer.step()
        run.schedule.step()
    assert run.steps_per_epoch == 3
    np.testing.assert_allclose(rates[:7], [1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7, 1], rtol=1e-6)
    np.testing.assert_allclose(rates[6:], [0.5 * (1 + math.cos(math.pi * i / 24)) for i in range(24)], rtol=1e-6)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_every_clip_comes_as_often_as_repeats_say_and_epochs_differ(configure: Configure) -> None:
    run = trainer(configure(train__repeats=3))
    seen: list[list[int]] = []
    training_batches = run.data.train.training_batches

    def spy(batches: Sequence[torch.Tensor], *rest: Any) -> Any:
        seen[-1].extend(torch.cat([*batches]).tolist())
        return training_batches(batches, *rest)

    run.data.train.training_batches = spy  # type: ignore[method-assign]
    for run.epoch in range(2):
        seen.append([])
        run.train_epoch()
    assert all(sorted(epoch) == sorted([*range(24)] * 3) for epoch in seen)
    assert seen[0] != seen[1]


def test_averaged_weights_follow_and_are_the_result(configure: Configure) -> None:
    run = trainer(configure(train__ema=0.9, train__batch_size=24))
    history = []
    for run.epoch in range(3):
        run.train_epoch()
        history.append({key: value.clone() for key, value in run.recognizer.state_dict().items()})
    expected = history[0]
    # The n-th update weighs min(0.9, (1 + n) / (10 + n)).
    for n, state in enumerate(history[1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = {
            key: decay * value + (1 - decay) * state[key] if value.is_floating_point() else state[key]
            for key, value in expected.items()
        }
    result = run.result.state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(result[key], value, rtol=1e-5, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
    assert run.result is not run.recognizer
    without = trainer(configure(train__ema=0))
    assert without.averaged is None and without.result is without.recognizer
    assert run.state()["model"].keys() == run.recognizer.state_dict().keys()


def test_measuring_leaves_the_training_as_it_is(configure: Configure) -> None:
    one, other = (trainer(configure(data__val_split="val", train__ema=0)) for _ in range(2))
    for run in (one, other):
        for run.epoch in range(2):
            run.train_epoch()
            if run is one:
                run.measure(run.data.val)
    assert_equal(one.state(), other.state())


def test_a_loss_that_is_not_a_number_stops_the_run_before_it_is_saved(configure: Configure, tmp_path: Path) -> None:
    broken = tiny_set()
    broken.keypoints[40:60] = np.nan
    config = configure(data__path=written(tmp_path / "broken", broken))
    with pytest.raises(
        DataError, match=r"epoch 1: the loss is nan; lower optim\.lr, set optim\.clip_norm, and look for non-"
    ):
        train(config)
    assert not (config.folder / "last.pt").exists()


def test_data_that_cannot_be_trained_on(configure: Configure, tmp_path: Path) -> None:
    bare = Header(layout="coco17", dims=2, estimator="test")
    path = written(tmp_path / "bare", tiny_set(bare))
    with pytest.raises(DataError, match=r"bare: the set has no taxonomy, so its labels mean nothing"):
        train(configure(data__path=path))
    path = written(tmp_path / "unlabelled", tiny_set(labelled=False))
    with pytest.raises(
        DataError,
        match=r"24 clips of split 'train' have no label in 0\.\.3: clip00, clip01, clip02, clip04, clip05 and 19 more;",
    ):
        train(configure(data__path=path))
    with pytest.raises(DataError, match="no clip is in split 'trian'; the set has train, val"):
        train(configure(data__train_split="trian"))
    with pytest.raises(DataError, match="no clip is in split 'tset'"):
        train(configure(data__val_split="tset"))
    with pytest.raises(
        ConfigError, match=r"train\.batch_size 49 is more than the 24 clips of split 'train' x train\.repeats 2"
    ):
        train(configure(train__batch_size=49, train__repeats=2))
    with pytest.raises(ConfigError, match="train.device: 'gpu' is not a device; expected auto, cpu, cuda or cuda:N"):
        train(configure(train__device="gpu"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("label", [-1, 4])
def test_a_split_that_cannot_be_measured_is_an_error_before_anything_starts(
    configure: Configure, tmp_path: Path, label: int
) -> None:
    keypoint_set = tiny_set()
    labels = keypoint_set.labels.copy()
    labels[3::4] = label
    path = written(tmp_path / "set", replace(keypoint_set, labels=labels))
    with pytest.raises((DataError, ScoreError), match="split 'val'"):
        train(configure(data__path=path, data__val_split="val", train__epochs=1))
    assert not (tmp_path / "runs").exists()


def test_metrics_are_json_without_nan(configure: Configure) -> None:
    folder = train(configure(train__epochs=1, data__val_split="val"))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_clips_that_are_trained_on_and_measured_are_named(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    trainer(configure(data__val_split="val"))
    assert not caplog.messages
    trainer(configure(data__val_split="train"))
    assert caplog.messages == [
        "24 of the 24 clips of split 'train' are trained on: what it measures is no measure of new clips."
    ]
