import json
import shutil

import pytest
from click.testing import CliRunner
from fake_backends import FakeBackend

import pcan_extract.pipeline
from pcan_extract.backends import BackendOptions
from pcan_extract.estimation import MIN_SCORE
from pcan_extract.report import Summary
from pcan_extract.share import Share
from pcan_extract.smoothing import Processing
from pcan_pose.commands.extract import extract
from pcan_pose.errors import ConfigError
from pcan_pose.keypoints import read_set


@pytest.fixture
def invoke(monkeypatch):
    monkeypatch.setattr(pcan_extract.pipeline, "create_backend", lambda name, options: FakeBackend())
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
        (("film.mp4", "--out", "set", "--min-score", "1.1"), "1.1 is not in the range 0<=x<=1"),
    ],
)
def test_usage(arguments, text, invoke):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_options_reach_the_pipeline(monkeypatch, one_clip, tmp_path):
    given = {}

    def pipeline(paths, out, **options):
        given.update(options, paths=paths, out=out)
        return Summary(1, 1, 10, 10, None, 1.0, 10.0)

    monkeypatch.setattr(pcan_extract.pipeline, "extract", pipeline)
    text = (
        f"{one_clip} --out {tmp_path} --backend mmpose --model rtmw --checkpoint a.pth --detector b.onnx "
        "--device cuda:1 --precision bf16 --batch-size 8 --persons 2 --layout coco17 "
        "--allow-missing-joints --min-score 0.2 --interpolate 5 --smooth 1.5 0.25 --workers 3 "
        "--clips-per-shard 9 --shard 2/3 --engine ray --address auto"
    )
    result = CliRunner().invoke(extract, text.split())
    assert result.exit_code == 0, result.output
    console = given.pop("console")
    assert console.stderr
    assert given == {
        "paths": (one_clip,),
        "out": tmp_path,
        "backend": "mmpose",
        "options": BackendOptions(
            model="rtmw",
            checkpoint="a.pth",
            detector="b.onnx",
            device="cuda:1",
            precision="bf16",
            batch_size=8,
            persons=2,
        ),
        "layout": "coco17",
        "allow_missing_joints": True,
        "min_score": 0.2,
        "processing": Processing(5, (1.5, 0.25)),
        "labels": (),
        "taxonomy": None,
        "overlay": None,
        "workers": 3,
        "clips_per_shard": 9,
        "share": Share(2, 3),
        "engine": "ray",
        "address": "auto",
    }


def test_check_says_what_is_missing(monkeypatch):
    import pcan_extract.backends.mediapipe as module

    def check(options):
        return [] if options.persons == 1 else ["one person only; run without --persons."]

    monkeypatch.setattr(module, "check", check, raising=False)
    result = CliRunner().invoke(extract, ["--check"])
    assert (result.exit_code, result.stdout) == (0, "backend 'mediapipe': everything that it needs is there.\n")
    result = CliRunner().invoke(extract, ["--check", "--persons", "2"])
    assert (result.exit_code, result.stdout) == (1, "one person only; run without --persons.\n")


def test_check_of_a_backend_that_offers_none(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(extract, ["--check"])
    assert result.exit_code == 1
    assert "run pip install 'pcan-pose[mediapipe]'" in result.stdout
    with pytest.raises(ConfigError, match="unknown backend 'mediapip'. Did you mean 'mediapipe'?"):
        CliRunner().invoke(extract, ["--check", "--backend", "mediapip"], catch_exceptions=False)


def test_settings_are_recorded_and_kept(invoke, one_clip, tmp_path):
    out = tmp_path / "set"
    assert invoke(one_clip, "--out", out, "--workers", 1, "--interpolate", 3, "--smooth", 1, 0.1).exit_code == 0
    extra = read_set(out).header.extra
    assert extra == {"backend": "fake", "min_score": "0.05", "interpolate": "3", "smooth": "1,0.1"}
    result = invoke(one_clip, "--out", out, "--workers", 1)
    assert isinstance(result.exception, ConfigError)
    assert "interpolate is 'not set', but this extraction was begun with '3'" in str(result.exception)


def test_default_score_is_the_pipelines():
    (option,) = [option for option in extract.params if option.name == "min_score"]
    assert option.default == MIN_SCORE


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--engine", "rey"), "unknown engine 'rey'. Did you mean 'ray'?"),
        (("--address", "auto"), "address 'auto' is for engine 'ray'; leave it out."),
        (("--shard", "4/3"), "shard 4/3: the first number must be 1 to 3."),
    ],
)
def test_wrong_engine_leaves_nothing_behind(arguments, fault, invoke, one_clip, tmp_path):
    result = invoke(one_clip, "--out", tmp_path / "set", *arguments)
    assert isinstance(result.exception, ConfigError) and str(result.exception) == fault
    assert not (tmp_path / "set").exists()
