"""Training, testing and evaluating as a user does it, on a tiny simulated set."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pcan_pose.cli import main
from pcan_pose.data.simulate import SimulationConfig, simulate
from pcan_pose.keypoints import write_set

TINY = """
name: tiny
data: {{path: {data}, val_split: val, frames: 8}}
encoder: {{widths: [8, 16], depths: [1, 1]}}
optim: {{lr: 0.05, warmup_epochs: 1}}
train: {{epochs: 2, batch_size: 32, ema: 0.9, threads: 1, val_every: 1}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", simulate(SimulationConfig(clips=208, subjects=4)))
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.format(data=tmp_path / "set"))
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_train_test_evaluate(config: Path, tmp_path: Path) -> None:
    result = run("train", config, "--set", f"output={tmp_path}")
    assert result.exit_code == 0, result.output
    assert "epoch 2/2" in result.output
    assert f"trained: {tmp_path / 'tiny'}" in result.output
    folder = tmp_path / "tiny"
    assert {"config.yaml", "environment.json", "metrics.jsonl", "last.pt"} <= {path.name for path in folder.iterdir()}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["split"]) for row in rows] == [(1, "train"), (1, "val"), (2, "train"), (2, "val")]
    assert {"loss", "action", "body", "tree", "action_calibration", "body_calibration", "diversity"} <= rows[0].keys()
    assert {"action_top1", "body_f1_macro", "f1_mean"} <= rows[1].keys()

    scores = tmp_path / "scores.parquet"
    assert run("test", folder, "--split", "test", "--out", scores).exit_code == 0
    result = run("evaluate", scores, "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)

    again = run("train", config, "--set", f"output={tmp_path}")
    assert again.exit_code == 1
    assert "already exists; continue it with --resume" in again.output
    assert run("train", config, "--set", f"output={tmp_path}", "--resume").exit_code == 0
    assert run("train", config, "--set", f"output={tmp_path}", "--resume", "--dry-run").exit_code == 0


@pytest.mark.parametrize("memory", ["device", "map"])
def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(config: Path, tmp_path: Path, memory: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    options = ("--set", f"output={tmp_path / 'runs'}", "--set", f"data.memory={memory}", "--dry-run")
    result = run("train", config, *options)
    assert result.exit_code == 0, result.output
    assert sorted(tmp_path.rglob("*")) == before
    assert "3 an epoch, 6 in all" in result.output
    assert "52 actions, 7 body parts" in result.output
    assert "openpose28, 28 joints in 2 dimensions" in result.output


def test_a_dry_run_looks_at_the_run_folder(config: Path, tmp_path: Path) -> None:
    options = ("--set", f"output={tmp_path / 'runs'}", "--set", "name=new", "--dry-run")
    folder = tmp_path / "runs" / "new"
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    for resume in ((), ("--resume",)):
        result = run("train", config, *options, *resume)
        assert result.exit_code == 1 and "no config.yaml" in result.output


def test_faults_leave_no_run_folder(config: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = run("train", config, "--set", f"output={runs}", "--set", "data.train_split=trian")
    assert result.exit_code == 1
    assert "no clip is in split 'trian'; the set has test, train, val." in result.output
    result = run("train", config, "--set", f"output={runs}", "--set", f"data.path={tmp_path / 'nowhere'}")
    assert "no keypoint set there" in result.output
    assert not runs.exists()


def test_an_unknown_split_or_run_is_named(config: Path, tmp_path: Path) -> None:
    result = run("test", tmp_path / "nowhere", "--split", "test", "--out", tmp_path / "scores.parquet")
    assert result.exit_code == 1
    assert "not a run folder" in result.output
    assert not (tmp_path / "scores.parquet").exists()
