"""A run that was stopped goes on as if it had not been."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import TREE, Configure, assert_equal, tiny_set, trainer

from pcan_pose.engine.checkpoint import load_checkpoint, save_checkpoint
from pcan_pose.engine.clip_keys import check_same_clips
from pcan_pose.engine.distributed import Processes
from pcan_pose.engine.run_folder import RunFolder, read_metrics
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError
from pcan_pose.keypoints import KeypointSet, write_set


class Killed(Exception):
    pass


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_metrics(folder / "metrics.jsonl")
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train__ema": 0, "optim__type": "adamw", "optim__lr": 0.001, "optim__clip_norm": 0.5, "train__repeats": 2},
        {"head__mode": "as_published", "train__precision": "bf16"},
        {
            "encoder": {
                "type": "committee",
                "members": [
                    {"streams": ["joint"], "encoder": {"widths": [8], "depths": [1]}},
                    {"streams": ["bone"], "encoder": {"widths": [8], "depths": [1]}, "augment": {"crop": [0.5, 1.0]}},
                ],
            }
        },
    ],
)
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(configure: Configure, changes: dict[str, Any]) -> None:
    changes = {"data__val_split": "val", "train__val_every": 1, "train__epochs": 4} | changes
    whole = train(configure(name="whole", **changes))
    config = configure(name="stopped", **changes)

    def kill(epoch: int, epochs: int, losses: dict[str, float]) -> None:
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        train(config, progress=kill)
    assert load_checkpoint(config.folder / "last.pt")["epoch"] == 2
    with (config.folder / "metrics.jsonl").open("a") as metrics:
        # As if the third epoch had been logged but not saved, and the machine had failed in the next line.
        metrics.write('{"epoch": 3, "split": "train", "loss": 1.0}\n{"epoch": 3, "split": "va')
    torch.manual_seed(123)  # whatever the new process's state is
    torch.rand(10)
    assert train(config, resume=True) == config.folder
    assert_equal(load_checkpoint(config.folder / "last.pt"), load_checkpoint(whole / "last.pt"))
    assert rows(config.folder) == rows(whole)
    assert {(row["epoch"], row["split"]) for row in rows(whole)} == {
        (e, s) for e in (1, 2, 3, 4) for s in ("train", "val")
    }


def test_resuming_a_finished_run_changes_nothing(configure: Configure) -> None:
    folder = train(configure(train__epochs=1))
    before = load_checkpoint(folder / "last.pt"), rows(folder)
    train(configure(train__epochs=1), resume=True)
    assert_equal(load_checkpoint(folder / "last.pt"), before[0])
    assert rows(folder) == before[1]


def test_resuming_before_the_first_checkpoint_starts_from_the_beginning(configure: Configure) -> None:
    config = configure(train__epochs=1)

    def kill(*_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(config, progress=kill)
    assert not (config.folder / "last.pt").exists()
    train(config, resume=True)
    assert load_checkpoint(config.folder / "last.pt")["epoch"] == 1
    fresh = train(configure(name="fresh", train__epochs=1), resume=True)  # nothing there at all
    assert rows(fresh) == rows(config.folder)


def test_an_existing_run_without_resume_is_an_error_and_stays_as_it_is(configure: Configure) -> None:
    folder = train(configure(train__epochs=1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CheckpointError, match="already exists; continue it with --resume"):
        train(configure(train__epochs=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_changed_settings_are_named_on_resuming(configure: Configure) -> None:
    train(configure(train__epochs=1))
    with pytest.raises(CheckpointError, match=r"optim\.lr was 0\.05, now 0\.2; a resumed run keeps its settings"):
        train(configure(train__epochs=1, optim__lr=0.2), resume=True)


def test_a_run_keeps_its_training_clips(configure: Configure, tmp_path: Path) -> None:
    whole = tiny_set()
    write_set(tmp_path / "same", whole)
    write_set(tmp_path / "fewer", KeypointSet.from_clips(whole.header, list(whole.clips())[:24]))
    config = configure(train__epochs=1)
    folder = train(config)
    before = (folder / "config.yaml").read_text()
    elsewhere = configure(train__epochs=1, data__path=str(tmp_path / "fewer"))
    with pytest.raises(CheckpointError, match="begun with 24 training clips and finds 18 now, 18 of which it knows"):
        train(elsewhere, resume=True)
    assert (folder / "config.yaml").read_text() == before
    train(configure(train__epochs=1, data__path=str(tmp_path / "same")), resume=True)
    assert RunFolder(folder).config().data.path == tmp_path / "same"
    clips = load_checkpoint(folder / "last.pt")["clips"]
    with pytest.raises(CheckpointError, match="finds 24 now, 24 of which it knows, in another order; a resumed run"):
        check_same_clips(clips.flip(0), clips)


def test_processes_that_find_different_checkpoints_stop(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(train__epochs=1)
    checkpoint = train(config) / "last.pt"
    found = []

    def agree(self: Processes, number: int) -> bool:
        found.append(number)
        return False

    run = trainer(config)
    run.folder, run.mine = RunFolder(config.folder), Processes(1, 2, run.mine.device)
    monkeypatch.setattr(Processes, "agree", agree)
    with pytest.raises(CheckpointError, match=f"{checkpoint}: the processes do not all find the same checkpoint there"):
        run.run()
    checkpoint.unlink()
    with pytest.raises(CheckpointError, match="keep the run folder on a disk that all machines share"):
        run.run()
    assert found[0] != 0 and found[1] == 0


def test_a_checkpoint_that_does_not_fit_is_named(configure: Configure) -> None:
    config = configure(train__epochs=1)
    file = train(config) / "last.pt"
    content = load_checkpoint(file)
    save_checkpoint(file, content | {"taxonomy": replace(TREE, name="other", actions=TREE.actions[::-1]).to_json()})
    with pytest.raises(CheckpointError, match="trained with another taxonomy"):
        train(config, resume=True)
    save_checkpoint(file, {key: value for key, value in content.items() if key != "optimizer"})
    with pytest.raises(
        CheckpointError, match="the checkpoint has no 'optimizer': another version of pcan-pose wrote it"
    ):
        train(config, resume=True)
    weights = {key: value[:1] if value.ndim else value for key, value in content["training_model"].items()}
    save_checkpoint(file, content | {"training_model": weights})
    with pytest.raises(CheckpointError, match="does not fit the configuration: Error"):
        train(config, resume=True)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r"last\.pt: .*damaged"):
        train(config, resume=True)
