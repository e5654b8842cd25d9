import json
import math
from pathlib import Path

import pytest
from tiny_runs import Configure

from pcan_pose.engine.run_folder import RunFolder, read_metrics
from pcan_pose.errors import CheckpointError


def test_create_writes_the_whole_configuration_and_versions(configure: Configure) -> None:
    config = configure()
    folder = RunFolder(config.folder)
    folder.create(config)
    assert sorted(path.name for path in folder.path.iterdir()) == ["config.yaml", "environment.json"]
    assert folder.config() == config
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment.keys() == {"pcan_pose", "python", "torch", "torch_geometric", "numpy", "commit"}


def test_an_existing_run_is_an_error_that_names_resume(configure: Configure) -> None:
    folder = RunFolder(configure().folder)
    folder.create(configure())
    with pytest.raises(
        CheckpointError, match=r"runs/run: already exists; continue it with --resume, or choose another"
    ):
        folder.create(configure())


def test_an_empty_folder_is_no_run(configure: Configure) -> None:
    folder = RunFolder(configure().folder)
    folder.path.mkdir(parents=True)
    folder.create(configure())
    assert folder.config() == configure()


def test_what_lies_in_the_way_is_named(configure: Configure) -> None:
    folder = RunFolder(configure().folder)
    folder.path.mkdir(parents=True)
    (folder.path / "environment.json").touch()  # what is left of a run that was killed at its very start
    with pytest.raises(CheckpointError, match=r"holds files but no run \(no config\.yaml\); delete it, or choose"):
        folder.create(configure())
    (folder.path / "environment.json").unlink()
    folder.path.rmdir()
    folder.path.touch()
    for act in (folder.create, lambda config: folder.begun):
        with pytest.raises(CheckpointError, match="is a file; choose another --set name"):
            act(configure())


def test_a_folder_without_configuration_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a run folder \(no config\.yaml\)"):
        RunFolder(tmp_path).config()


def test_every_changed_setting_is_named(configure: Configure) -> None:
    folder = RunFolder(configure().folder)
    folder.create(configure())
    folder.check_resumable(configure())
    with pytest.raises(CheckpointError) as error:
        folder.check_resumable(configure(optim__lr=0.01, head__calibration={"alpha": 0.5}, data__streams=["bone"]))
    assert error.value.faults == (
        f"{folder.path}: data.streams was ['joint', 'bone', 'joint_motion', 'bone_motion'], now ['bone']; a resumed "
        "run keeps its settings.",
        f"{folder.path}: head.calibration.alpha was 0.125, now 0.5; a resumed run keeps its settings.",
        f"{folder.path}: optim.lr was 0.05, now 0.01; a resumed run keeps its settings.",
    )


def test_a_resumed_run_records_where_things_are_now(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(configure().folder)
    folder.create(configure())
    folder.record(moved := configure(data__path=str(tmp_path / "elsewhere"), train__threads=2))
    assert folder.config() == moved


def test_another_encoder_is_named(configure: Configure) -> None:
    folder = RunFolder(configure().folder)
    folder.create(configure())
    with pytest.raises(CheckpointError, match=r"encoder\.type was 'pose', now 'stgcn\+\+'"):
        folder.check_resumable(configure(encoder={"type": "stgcn++"}))


def test_metrics_are_rows_without_nan(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.start(0)
    folder.log(1, "train", {"loss": 2.5, "top1": None, "f1": math.nan, "worst": math.inf})
    folder.log(1, "val", {"top1": 0.5})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]  # while it is open
    folder.close()
    assert rows == read_metrics(tmp_path / "metrics.jsonl")
    assert rows == [
        {"epoch": 1, "split": "train", "loss": 2.5, "top1": None, "f1": None, "worst": None},
        {"epoch": 1, "split": "val", "top1": 0.5},
    ]
    assert list(tmp_path.glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    "rest", ["", '{"epoch": 2, "spl', '{"epoch": 2, "split": "train"}\n{"epo', "{", '{"epoch": 2}\n\n']
)
def test_start_drops_what_came_after_the_checkpoint_and_a_half_written_line(tmp_path: Path, rest: str) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"epoch": 1, "split": "train"}\n{"epoch": 1, "split": "val"}\n' + rest)
    folder = RunFolder(tmp_path)
    folder.start(1)
    folder.log(2, "train", {})
    folder.close()
    assert [(row["epoch"], row["split"]) for row in read_metrics(file)] == [(1, "train"), (1, "val"), (2, "train")]
    assert file.read_text().count("\n") == 3


def test_logging_to_a_closed_folder_is_our_own_fault(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        RunFolder(tmp_path).log(1, "train", {})
