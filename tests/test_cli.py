"""The command as a whole: what every user meets first."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pcan_pose.cli import main

COMMANDS = {"extract", "data", "train", "test", "evaluate", "report", "export", "config", "demo"}
PROJECT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "extract")])}


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout


def test_a_place_that_cannot_be_written_is_an_error_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "set"
    result = CliRunner().invoke(main, ["data", "simulate", "--clips", "2", "--out", str(out)])
    assert result.exit_code == 1
    fault = f"error: {out.parent}: File exists; see to it that it can be read and written, or name another."
    assert result.output.splitlines() == [fault]
    with pytest.raises(FileExistsError):  # and where more is asked for, all of it
        CliRunner().invoke(main, ["-v", "data", "simulate", "--clips", "2", "--out", str(out)], catch_exceptions=False)


def test_the_commands_are_frozen() -> None:
    assert set(main.commands) == COMMANDS
    options = {
        name: sorted(option for p in command.params for option in p.opts) for name, command in main.commands.items()
    }
    assert options["train"] == ["--dry-run", "--resume", "--set", "config_file"]
    own = ["--branch", "--copies", "--data", "--device", "--member", "--neighbour-weight", "--neighbours"]
    assert options["test"] == [*own, "--out", "--split", "run"]
    assert options["report"] == ["--baseline", "--device", "--out", "--overwrite", "--split", "run"]
    assert {"--out", "--layout", "--overlay", "--labels", "--workers", "paths"} <= set(options["extract"])
    assert {"--weights", "scores"} <= set(options["evaluate"])


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = ("torch", "torch_geometric", "numpy", "pyarrow", "pydantic", "matplotlib", "av", "rich", "mediapipe")
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        loaded = python(f"import sys, pcan_pose.cli; print([m for m in {heavy!r} if m in sys.modules])")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert loaded.strip() == "[]"
    # Processor time, and the least of three: other work on the machine may slow any one of them.
    assert min(seconds) < 0.5


def test_the_package_imports_no_torch() -> None:
    assert python("import sys, pcan_pose; print('torch' in sys.modules)").strip() == "False"


def test_an_unknown_command_is_named_with_the_nearest() -> None:
    result = CliRunner().invoke(main, ["trian"])
    assert result.exit_code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in result.output


def test_faults_are_one_line_each_and_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: x\ndata: {path: nowhere, framse: 3}\noptim: {lr: fast}\n")
    result = CliRunner().invoke(main, ["train", str(file)])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"error: {file}: unknown key 'data.framse'. Did you mean 'frames'?"
    assert lines[1].startswith(f"error: {file}: optim.lr: ")


def test_a_missing_configuration_names_those_that_ship() -> None:
    result = CliRunner().invoke(main, ["train", "nwucla_smal.yaml"])
    assert result.exit_code == 1
    assert "there is no such file" in result.output
    assert "Did you mean 'nwucla_small'?" in result.output


def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    result = CliRunner().invoke(main, ["train", "nowhere.yaml"])
    assert result.exit_code == 1
    assert result.output == ""
