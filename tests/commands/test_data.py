"""The commands below `data`, run as a user runs them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_sets import assert_equal_sets, clip, small_set

from pcan_pose.cli import main
from pcan_pose.commands.data import data
from pcan_pose.keypoints import read_set, write_set
from pcan_pose.taxonomy import MA52


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def output(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def faults(*arguments: object) -> list[str]:
    """Return what a failing command prints, without ``error:``."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "no traceback"
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    return [line.removeprefix("error: ") for line in lines]


@pytest.fixture
def pickle_file(tmp_path: Path) -> Path:
    annotations = [
        {
            "frame_dir": f"000{i}_01_0001",
            "label": i,
            "keypoint": np.full((1, 3, 28, 2), i + 1, np.float32) + np.arange(3, dtype=np.float32)[:, None, None],
        }
        for i in range(5)
    ]
    split = {"train": ["0000_01_0001", "0001_01_0001"], "val": ["0002_01_0001"]}
    path = tmp_path / "ma52.pkl"
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}, 4))
    return path


@pytest.fixture
def keypoint_set(tmp_path: Path) -> Path:
    clips = [
        clip(f"c{i}", label=i % 3, subject=f"s{i % 5}", splits=("old",), fps=25.0, source="[bold]x") for i in range(20)
    ]
    write_set(tmp_path / "set", small_set(*clips, note="[red]mine"))
    return tmp_path / "set"


def test_import_with_a_taxonomy(tmp_path: Path, pickle_file: Path) -> None:
    out = tmp_path / "set"
    text = output("import", pickle_file, "--out", out, "--taxonomy", "ma52", "--estimator", "openpose")
    assert text == f"{out}: 5 clips, openpose28 in 2-D, taxonomy ma52\nsplits: train 2, val 1\n"
    got = read_set(out)
    assert (got.header.taxonomy, got.header.estimator) == (MA52, "openpose")
    assert got.subjects == [f"000{i}" for i in range(5)]


def test_import_with_a_taxonomy_file(tmp_path: Path, pickle_file: Path) -> None:
    tree = tmp_path / "tree.yaml"
    tree.write_text("tree: {head: [a, b, c], hand: [d, e]}", encoding="utf-8")
    output("import", pickle_file, "--out", tmp_path / "set", "--taxonomy", tree, "--subject-from-name")
    got = read_set(tmp_path / "set")
    assert got.header.taxonomy is not None
    assert got.header.taxonomy.actions == ("a", "b", "c", "d", "e")
    assert got.subjects == [f"000{i}" for i in range(5)]
    tree.write_text("tree: {head: [a, b], hand: [d]}", encoding="utf-8")
    assert faults("import", pickle_file, "--out", tmp_path / "set", "--taxonomy", tree, "--overwrite") == [
        f"{pickle_file}: clip '000{i}_01_0001': label {i} is not in 0..2, the actions of taxonomy 'tree'."
        for i in (3, 4)
    ]


def test_import_faults(tmp_path: Path, pickle_file: Path) -> None:
    out = tmp_path / "set"
    unknown = "unknown layout 'openpose18'. Did you mean 'openpose28'?"
    assert faults("import", pickle_file, "--out", out, "--layout", "openpose18") == [unknown]
    neither = "taxonomy 'ma53': neither ma52 nor a file."
    assert faults("import", pickle_file, "--out", out, "--taxonomy", "ma53") == [neither]
    assert not out.exists()
    pickle_file.write_bytes(b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.")
    code = "holds code: os.system; refused. Keypoints need arrays and plain containers only."
    assert faults("import", pickle_file, "--out", out) == [f"{pickle_file}: {code}"]
    out.mkdir()
    (out / "notes.txt").touch()
    assert len(faults("import", pickle_file, "--out", out, "--overwrite")) == 1


def test_an_existing_set_needs_overwrite(tmp_path: Path, pickle_file: Path) -> None:
    out = tmp_path / "set"
    output("import", pickle_file, "--out", out)
    exists = "already exists; name another folder, or allow it to be replaced with --overwrite."
    assert faults("import", pickle_file, "--out", out) == [f"{out}: {exists}"]
    output("import", pickle_file, "--out", out, "--overwrite")


def test_an_existing_set_is_found_before_the_pickle_is_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert "already exists" in faults("import", tmp_path / "none.pkl", "--out", tmp_path / "set")[0]


def test_export_and_import_again(tmp_path: Path, keypoint_set: Path) -> None:
    file = tmp_path / "out.pkl"
    assert output("export", keypoint_set, "--out", file) == f"{file}: 20 clips\n"
    output("import", file, "--out", tmp_path / "again")
    assert_equal_sets(read_set(tmp_path / "again"), read_set(keypoint_set))
    assert "already exists" in faults("export", keypoint_set, "--out", file)[0]
    output("export", keypoint_set, "--out", file, "--overwrite")


def test_info_prints_everything(keypoint_set: Path) -> None:
    text = output("info", keypoint_set)
    lines = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    for expected in (
        str(keypoint_set),
        "clips 20",
        "layout coco17, 17 joints in 2-D",
        "taxonomy tree: 3 actions of 2 body parts",
        "subjects 5",
        "frames 3 to 3 a clip, median 3, 60 in all",
        "frames a second 25 (20 clips)",
        "joints found 100.0%",
        "note [red]mine",
        "old 20 5 20",
        "2 wave 6",
    ):
        assert expected in lines, text


def test_info_as_json(keypoint_set: Path) -> None:
    facts = json.loads(output("info", keypoint_set, "--json"))
    assert (facts["clips"], facts["splits"]["old"]["subjects"]) == (20, 5)


def test_info_draws_how_good_the_keypoints_are(tmp_path: Path, keypoint_set: Path) -> None:
    in_folder = tmp_path / "plots" / "keypoint_quality.png"
    text = output("info", keypoint_set, "--plot", tmp_path / "plots")
    assert text.endswith(f"picture: {in_folder}\n") and "clips" in text
    assert in_folder.read_bytes()[:4] == b"\x89PNG"
    result = run("info", keypoint_set, "--json", "--plot", tmp_path / "own.svg")
    assert json.loads(result.stdout)["clips"] == 20
    assert result.stderr == f"picture: {tmp_path / 'own.svg'}\n"
    assert "<svg" in (tmp_path / "own.svg").read_text(encoding="utf-8")


def test_info_that_cannot_draw(tmp_path: Path, keypoint_set: Path) -> None:
    (tmp_path / "file").touch()
    assert faults("info", keypoint_set, "--plot", tmp_path / "file") == [
        f"{tmp_path / 'file' / 'keypoint_quality.png'}: cannot be written (File exists)."
    ]
    write_set(tmp_path / "empty", small_set())
    nothing = "the set holds no frame; there is nothing to measure."
    assert faults("info", tmp_path / "empty", "--plot", tmp_path) == [nothing]


def test_info_of_a_set_without_anything(tmp_path: Path) -> None:
    write_set(tmp_path / "set", small_set(taxonomy=None))
    assert "│ joints found    │ -" in output("info", tmp_path / "set")


def test_info_without_a_set(tmp_path: Path) -> None:
    no_set = "no keypoint set there; make one with 'pcan-pose extract' or 'pcan-pose data import'."
    assert faults("info", tmp_path / "none") == [f"{tmp_path / 'none'}: {no_set}"]


def test_validate_a_sound_set(keypoint_set: Path) -> None:
    assert output("validate", keypoint_set) == f"{keypoint_set}: 20 clips, 0 errors, 0 warnings\n"


def test_validate_finds_faults(tmp_path: Path) -> None:
    clips = [clip(f"c{i}", label=7) for i in range(8)]
    write_set(tmp_path / "set", small_set(*clips, clip("c0"), clip("still", frames=1)))
    result = run("validate", tmp_path / "set")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error: 8 clips: labels that are not in 0..2, the actions of the taxonomy: c0, c1, c2, c3, c4 and 3 more",
        "error: 2 clips: names that come twice; fusion joins by name: c0, c0",
        "warning: 1 clips: nothing moves: all frames are the same, or there is only one: still",
        "warning: 2 clips: 1 groups of bit-identical clips: c0, c0",
        f"{tmp_path / 'set'}: 10 clips, 2 errors, 2 warnings",
    ]
    result = run("validate", tmp_path / "set", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["findings"][1]["check"] == "duplicate_id"
    assert found["twins"] == [["c0", "c0"]]


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    write_set(tmp_path / "set", small_set(clip("still", frames=1)))
    assert output("validate", tmp_path / "set").endswith("1 clips, 0 errors, 1 warnings\n")


def test_split_by_subject(tmp_path: Path, keypoint_set: Path) -> None:
    out = tmp_path / "new"
    text = output("split", keypoint_set, "--by", "subject", "--out", out, "--fractions", "0.6,0.2,0.2")
    assert text.splitlines() == [
        "xsub_train: 12 clips of 3 subjects",
        "xsub_val: 4 clips of 1 subjects",
        "xsub_test: 4 clips of 1 subjects",
    ]
    got = read_set(out)
    assert got.split_names() == ["old", "xsub_test", "xsub_train", "xsub_val"]
    np.testing.assert_array_equal(got.keypoints, read_set(keypoint_set).keypoints)
    text = output(
        "split", out, "--by", "subject", "--out", tmp_path / "two", "--fractions", "0.8,0.2", "--prefix", "s_"
    )
    assert text.splitlines() == ["s_train: 16 clips of 4 subjects", "s_test: 4 clips of 1 subjects"]
    assert len(faults("split", out, "--by", "subject", "--out", tmp_path / "three")) == 3
    text = output(
        "split", out, "--by", "subject", "--split", "xsub_val", "--split", "xsub_test", "--out", tmp_path / "four",
        "--fractions", "0.5,0.5", "--prefix", "s_",
    )  # fmt: skip
    assert text.splitlines() == ["s_train: 4 clips of 1 subjects", "s_test: 4 clips of 1 subjects"]


@pytest.mark.parametrize("fractions", ["1", "0.6;0.4", "a,b", "0.2,0.2,0.2,0.4"])
def test_fractions_that_are_none(tmp_path: Path, keypoint_set: Path, fractions: str) -> None:
    result = run("split", keypoint_set, "--by", "subject", "--out", tmp_path / "x", "--fractions", fractions)
    assert result.exit_code == 2
    assert "is not two or three numbers such as 0.6,0.2,0.2." in " ".join(result.stderr.split())


def test_split_by_long_tail(tmp_path: Path) -> None:
    made = [clip(f"{label}_{i}", frames=1, label=label, splits=("train",)) for label in range(3) for i in range(9)]
    write_set(tmp_path / "set", small_set(*made, clip("t", label=0, splits=("test",))))
    out = tmp_path / "new"
    options = ("--by", "long-tail", "--ratio", "9")
    text = output("split", tmp_path / "set", *options, "--out", out, "--split", "train", "--split", "test")
    assert text.splitlines() == [
        "long_tail_train: 13 clips, 9 to 1 of an action",
        "long_tail_test: 1 clips, 1 to 1 of an action",
    ]
    assert read_set(out).split_names() == ["long_tail_test", "long_tail_train", "test", "train"]
    text = output("split", out, *options, "--out", tmp_path / "x", "--split", "train", "--prefix", "lt_", "--seed", "3")
    assert text.startswith("lt_train: 13 clips")
    assert faults("split", out, "--by", "long-tail", "--ratio", "0", "--out", tmp_path / "y", "--split", "train") == [
        "ratio 0: expected a finite number of 1 or more.",
        "the set has a split 'long_tail_train' already; choose another prefix with --prefix.",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["subject", "--ratio", "3"], "--ratio belongs to --by long-tail."),
        (["long-tail", "--split", "old"], "--by long-tail needs --split and --ratio, such as"),
        (["long-tail", "--ratio", "3"], "--by long-tail needs --split and --ratio, such as"),
        (["long-tail", "--split", "old", "--ratio", "3", "--fractions", "1,0"], "--fractions belongs to --by subject."),
    ],
)
def test_options_of_the_other_kind_of_split(
    tmp_path: Path, keypoint_set: Path, options: list[str], message: str
) -> None:
    result = run("split", keypoint_set, "--out", tmp_path / "x", "--by", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_commands() -> None:
    assert sorted(data.commands) == [
        "crops",
        "export",
        "import",
        "import-scores",
        "info",
        "label",
        "select",
        "simulate",
        "split",
        "validate",
    ]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, pcan_pose.commands.data; print([m for m in ('numpy', 'torch', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
