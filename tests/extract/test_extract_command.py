import json
import shutil

import pytest
from click.testing import CliRunner
from fake_backends import FakeBackend

import pcan_extract.pipeline
from pcan_pose.commands.extract import extract
from pcan_pose.keypoints import read_set


@pytest.fixture
def invoke(monkeypatch):
    monkeypatch.setattr(pcan_extract.pipeline, "create_backend", lambda name: FakeBackend())
    return lambda *arguments: CliRunner().invoke(extract, [str(argument) for argument in arguments])


def test_report_and_exit_code(invoke, videos, tmp_path):
    folder = shutil.copytree(videos / "first", tmp_path / "videos")
    (folder / "0001.mp4").write_bytes(b"")
    result = invoke(folder, "--out", tmp_path / "set", "--workers", 1, "--json-report")
    assert result.exit_code == 3
    assert f"failed: {folder}/0001.mp4: empty file (0 bytes); replace the file.\n" in result.stderr
    assert "extract: 4/4 clips, " in result.stderr
    report = json.loads(result.stdout)
    assert (report["clips"], report["frames"], len(report["failures"])) == (3, 17, 1)
    shutil.copy(videos / "first/0001.mp4", folder)
    result = invoke(folder, "--out", tmp_path / "set", "--workers", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("4 clips (1 new), 22 frames, a body in 100.0 %, a hand in 100.0 %; ")
    assert "failed" not in result.stderr


def test_own_taxonomy(invoke, one_clip, tmp_path):
    (tmp_path / "tree.yaml").write_text("name: interview\ntree:\n  head: [nodding]\n  hands: [rubbing, waving]\n")
    (tmp_path / "val.txt").write_text("one.mp4 2\n")
    arguments = ("--labels", tmp_path / "val.txt", "--taxonomy", tmp_path / "tree.yaml", "--workers", 1)
    assert invoke(one_clip, "--out", tmp_path / "set", *arguments).exit_code == 0
    found = read_set(tmp_path / "set")
    assert found.header.taxonomy is not None and found.header.taxonomy.name == "interview"
    assert found.labels.tolist() == [2]
    assert found.splits == [("val",)]


def test_stop_is_told(invoke, one_clip, monkeypatch, tmp_path):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pcan_extract.pipeline, "extract", interrupted)
    result = invoke(one_clip, "--out", tmp_path / "set")
    assert result.exit_code == 130
    assert result.stderr == (
        f"stopped; finished clips are kept in {tmp_path}/set: run the same command again to go on.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--out", "set"), "Missing argument 'PATH...'"),
        (("film.mp4",), "Missing option '--out'"),
        (("film.mp4", "--out", "set", "--workers", "0"), "0 is not in the range x>=1"),
    ],
)
def test_usage(arguments, text, invoke):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert text in result.stderr
