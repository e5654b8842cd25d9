"""The commands `config show` and `config schema`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pcan_pose.cli import main
from pcan_pose.config import load_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_shipped_configuration_is_valid_and_shown_whole(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", "show", str(file), "--set", "train.epochs=7"])
    assert result.exit_code == 0, result.output
    whole = tmp_path / "whole.yaml"
    whole.write_text(result.output)
    assert load_config(whole) == load_config(file, ["train.epochs=7"])
    assert load_config(file.stem) == load_config(file)


def test_the_schema_names_every_setting() -> None:
    result = CliRunner().invoke(main, ["config", "schema"])
    assert "data.rgb: section or null = null\n" in result.output
    assert result.exit_code == 0
    for key in ("data.path: path = required", "head.calibration.alpha: number = 0.125", "optim.lr: number = 0.1"):
        assert key in result.output
    schema = json.loads(CliRunner().invoke(main, ["config", "schema", "--json"]).output)
    assert "RunConfig" in schema["title"]


def test_every_setting_has_a_meaning() -> None:
    lines = CliRunner().invoke(main, ["config", "schema"]).output.splitlines()
    keys, meanings = lines[::2], lines[1::2]
    assert len(keys) == len(meanings) > 100
    assert all(" = " in key and not key.startswith(" ") for key in keys)
    assert [key for key, meaning in zip(keys, meanings, strict=True) if not meaning.strip()] == []
