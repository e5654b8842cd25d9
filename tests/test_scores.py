"""Score files come back as they went, and say what is wrong with one that does not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import ScoreError
from pcan_pose.scores import ScoreSet, check_scores_writable, read_scores, write_scores
from pcan_pose.taxonomy import MA52, Taxonomy

SMALL = Taxonomy("small", ("nod", "shake", "rub"), ("head", "hand"), (0, 0, 1))


def make(clips: int = 6, taxonomy: Taxonomy = SMALL, **change: Any) -> ScoreSet:
    """A random score set, every third clip unlabelled."""
    rng = np.random.default_rng(clips)
    labels = rng.integers(0, taxonomy.num_actions, clips)
    labels[::3] = -1
    fields: dict[str, Any] = {
        "clip_ids": [f"clip{i}" for i in range(clips)],
        "labels": labels,
        "action_logits": rng.standard_normal((clips, taxonomy.num_actions)).astype(np.float32),
        "body_logits": rng.standard_normal((clips, taxonomy.num_body_parts)).astype(np.float32),
        "taxonomy": taxonomy,
        "stream": "joint",
        "model": "pose",
        "extra": {"seed": "1", "ä": "ö"},
    }
    return ScoreSet(**{**fields, **change})


@pytest.mark.parametrize("taxonomy", [SMALL, MA52], ids=["small", "ma52"])
@pytest.mark.parametrize("clips", [0, 1, 500])
def test_round_trip(tmp_path: Path, clips: int, taxonomy: Taxonomy) -> None:
    """Every field comes back, the logits bit for bit."""
    scores = make(clips, taxonomy)
    path = write_scores(tmp_path / "deep" / "scores.parquet", scores)
    back = read_scores(path)
    assert tuple(back.clip_ids) == tuple(scores.clip_ids)
    assert (back.taxonomy, back.stream, back.model, dict(back.extra)) == (taxonomy, "joint", "pose", dict(scores.extra))
    for name in ("labels", "action_logits", "body_logits"):
        ours, theirs = getattr(back, name), getattr(scores, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_unknown_labels_are_null(tmp_path: Path) -> None:
    """Other programs see null, not -1."""
    table = pq.read_table(write_scores(tmp_path / "s.parquet", make()))
    assert table.schema.field("label").type == pa.int32()
    assert table["label"].null_count == 2


def test_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    """Files can be compared by their hash, and the order of `extra` does not matter."""
    first = write_scores(tmp_path / "a.parquet", make(100))
    second = write_scores(tmp_path / "b.parquet", make(100, extra={"ä": "ö", "seed": "1"}))
    assert first.read_bytes() == second.read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A reader never sees half a file."""
    path = write_scores(tmp_path / "s.parquet", make())
    before = path.read_bytes()
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["s.parquet"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The fault names the file asked for."""
    (tmp_path / "file").touch()
    with pytest.raises(ScoreError, match=re.escape("file/s.parquet: cannot be written")):
        write_scores(tmp_path / "file" / "s.parquet", make())


@pytest.mark.parametrize("name", ["last.pt", "list.txt", "part-00000.parquet"])
def test_only_score_files_are_replaced(tmp_path: Path, name: str) -> None:
    """A checkpoint, a list or a keypoint set stays what it is."""
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"clip_id": ["a"]}), path)
    else:
        path.write_bytes(b"weights")
    before = path.read_bytes()
    told = f"{path}: already exists and is no score file, so it is not replaced; name another file."
    for write in (check_scores_writable, lambda place: write_scores(place, make())):
        with pytest.raises(ScoreError) as caught:
            write(path)
        assert str(caught.value) == told
    assert path.read_bytes() == before
    (tmp_path / "scores").touch()  # made to have the name
    write_scores(tmp_path / "scores", make(2))
    check_scores_writable(tmp_path / "scores")
    assert len(read_scores(write_scores(tmp_path / "scores", make(3)))) == 3


def test_a_folder_is_no_score_file(tmp_path: Path) -> None:
    """Not the working folder, which has no name, either."""
    for place in (tmp_path, "."):
        with pytest.raises(ScoreError, match=re.escape(f"{place}: cannot be written (it is a folder)")):
            write_scores(place, make())


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"clip_ids": ["a", "b", "a", "c", "b", "a"]}, ["2 clip ids occur more than once (a, b)."]),
        ({"labels": np.zeros(5, np.int64)}, ["labels have shape (5,) and type int64, expected (6,) integers."]),
        ({"labels": np.zeros(6)}, ["labels have shape (6,) and type float64"]),
        (
            {"labels": np.array([0, 3, -2, 1, 1, 1])},
            ["labels are outside 0..2 (-1: unknown) in 2 of 6 clips (clip1, clip2)."],
        ),
        (
            {"action_logits": np.zeros((6, 2)), "body_logits": np.zeros((6, 2), np.int64)},
            ["action_logits have shape (6, 2)", "body_logits have shape (6, 2) and type int64"],
        ),
        (
            {
                "action_logits": np.array([[0, 0, 0]] * 5 + [[0, np.nan, 0]]),
                "body_logits": np.full((6, 2), np.inf),
            },
            [
                "action_logits are not finite in 1 of 6 clips (clip5).",
                "body_logits are not finite in 6 of 6 clips (clip0, clip1, clip2, clip3, clip4 and 1 more).",
            ],
        ),
    ],
    ids=["duplicates", "label count", "label type", "label range", "shape and type", "not finite"],
)
def test_a_score_set_names_all_its_faults(change: dict[str, Any], messages: list[str]) -> None:
    """All faults at once, each with its clips."""
    with pytest.raises(ScoreError) as caught:
        make(**change)
    assert len(caught.value.faults) == len(messages)
    for fault, message in zip(caught.value.faults, messages, strict=True):
        assert message in fault


def test_select_keeps_the_order_asked_for() -> None:
    """Rows move together."""
    chosen = make().select(np.array([4, 1]))
    assert chosen.clip_ids == ("clip4", "clip1")
    np.testing.assert_array_equal(chosen.action_logits, make().action_logits[[4, 1]])


def rewrite(path: Path, metadata: dict[str, str] | None = None, **columns: Any) -> None:
    """Replace columns and metadata of a score file; a column of None goes."""
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.remove_column(place) if values is None else table.set_column(place, name, [values])
    kept = {**(table.schema.metadata or {}), **{k.encode(): v.encode() for k, v in (metadata or {}).items()}}
    pq.write_table(table.replace_schema_metadata(kept), path)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64())], ids=str)
def test_files_with_ordinary_lists_are_read(tmp_path: Path, kind: Any) -> None:
    """Other programs do not write fixed-size lists."""
    scores = make()
    path = write_scores(tmp_path / "s.parquet", scores)
    lists = scores.action_logits.tolist()
    rewrite(path, action_logits=pa.array(lists, kind), clip_id=pa.array(scores.clip_ids, pa.large_string()))
    np.testing.assert_array_equal(read_scores(path).action_logits, scores.action_logits)


ROWS = [[0.0, 1.0, 2.0]] * 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"pcan_pose.format": "keypoints"}}, "a Parquet file, but not a score file"),
        ({"metadata": {"pcan_pose.schema_version": "9"}}, "schema version 9, this release reads 1"),
        ({"metadata": {"pcan_pose.taxonomy": "{"}}, "taxonomy: not JSON"),
        ({"body_logits": None}, "column body_logits is missing; it has clip_id, label, action_logits."),
        ({"label": pa.array(["0"] * 6)}, "column label holds string, expected integers."),
        ({"action_logits": pa.array(range(6))}, "column action_logits holds int64, expected lists of floats."),
        ({"clip_id": pa.array(["a", None, "b", "c", "d", "e"])}, "1 of 6 rows have no clip_id."),
        ({"clip_id": pa.array(["a"] * 6)}, "1 clip ids occur more than once (a)."),
        (
            {"action_logits": pa.array([*ROWS[:5], [0.0]])},
            "action_logits have 1 values, expected 3 (taxonomy 'small'), in 1 of 6 clips (clip5).",
        ),
        ({"action_logits": pa.array([None, *ROWS[1:]])}, "action_logits have 0 values, expected 3"),
        ({"action_logits": pa.array([[0.0, None, 1.0], *ROWS[1:]])}, "action_logits are not finite in 1 of 6 clips"),
        ({"label": pa.array([7] * 6)}, "labels are outside 0..2 (-1: unknown) in 6 of 6 clips"),
    ],
)
def test_unfit_files_are_explained(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Every fault names the file."""
    path = write_scores(tmp_path / "s.parquet", make())
    rewrite(path, **change)
    with pytest.raises(ScoreError, match=re.escape(f"{path}: {message}")):
        read_scores(path)


def test_a_file_without_its_metadata_keys_is_explained(tmp_path: Path) -> None:
    """A file of another program that only claims to be one of ours."""
    path = tmp_path / "s.parquet"
    header = {"pcan_pose.format": "scores", "pcan_pose.schema_version": "1", "pcan_pose.model": "m"}
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata(header), path)
    with pytest.raises(ScoreError, match=r"its metadata lack pcan_pose\.taxonomy, pcan_pose\.stream"):
        read_scores(path)


def test_missing_foreign_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    """No traceback of Parquet's reaches the user; page checksums find a flipped byte."""
    with pytest.raises(ScoreError, match="nothing.parquet: there is no such file"):
        read_scores(tmp_path / "nothing.parquet")
    with pytest.raises(ScoreError, match="a folder, not a score file"):
        read_scores(tmp_path)
    (tmp_path / "text.parquet").write_text("clip_id,label\n")
    path = write_scores(tmp_path / "s.parquet", make(2000))
    whole = path.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    (tmp_path / "flipped.parquet").write_bytes(flipped)
    for name in ("text", "cut", "flipped"):
        with pytest.raises(ScoreError, match=f"{name}.parquet: not a Parquet file, cut short or damaged"):
            read_scores(tmp_path / f"{name}.parquet")


def test_a_set_can_be_changed_by_replace() -> None:
    """The dataclass stays an ordinary one."""
    assert replace(make(), stream="bone").stream == "bone"
