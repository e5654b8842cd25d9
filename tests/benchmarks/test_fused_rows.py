"""The scores of entries are kept, and rows fuse those of others."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import COLUMNS, TINY, counted

from benchmarks import command_line
from benchmarks.jobs import Options
from benchmarks.rows import Benchmark, Protocol, Row
from benchmarks.runs import run
from pcan_pose.engine import test as testing
from pcan_pose.errors import DataError
from pcan_pose.fusion import fuse
from pcan_pose.metrics import evaluate
from pcan_pose.scores import read_scores, write_scores


def test_a_row_fuses_the_kept_scores_of_others(
    data: Path, options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = (
        Row("one", seeds=2),
        Row("other", ("optim.lr=0.3",), seeds=2),
        Row("both", seeds=2, fused=("one", "other")),
    )
    protocols = (Protocol({"": "test", "half_": "half"}),)
    table = Benchmark("demo", "demo", rows, COLUMNS, lambda seed: data, protocols, TINY)
    kept = replace(options, scores=tmp_path / "scores", seeds=1)

    # What a row fuses has to be there, or on its way; this is found before anything is trained.
    trained = counted(monkeypatch)
    with pytest.raises(DataError, match=r"both, seed 0: fuses row 'other', not measured yet; name it in --rows too"):
        run(table, [rows[0], rows[2]], kept)
    with pytest.raises(DataError, match=r"both, seed 0: fuses scores, and none are kept"):
        run(table, rows, options)
    assert trained == []

    one, other, both = run(table, rows, kept)
    assert trained == ["one_0", "other_0"]
    assert sorted(file.name for file in (tmp_path / "scores").iterdir()) == [
        "both_0.parquet",
        "one_0.parquet",
        "other_0.parquet",
    ]
    for split, prefix in (("test", ""), ("half", "half_")):
        parts = [testing.test_run(options.work / name, split, device="cpu") for name in ("one_0", "other_0")]
        whole = fuse(parts, space="logits")
        found = evaluate(whole.action_logits, whole.body_logits, whole.labels, whole.taxonomy).summary()
        assert {name: both[f"{prefix}{name}"] for name in found} == found
    kept_scores = [
        read_scores(tmp_path / "scores" / f"{name}_0.parquet").action_logits for name in ("one", "other", "both")
    ]
    np.testing.assert_allclose((kept_scores[0] + kept_scores[1]) / 2, kept_scores[2], rtol=0, atol=1e-6)
    assert both["overrides"] == [" ".join(["fused: one", *TINY]), " ".join(["fused: other", *TINY, "optim.lr=0.3"])]
    for number in ("parameters", "gflops", "seconds"):
        assert both[number] == one[number] + other[number]
    assert (both["torch"], both["threads"]) == (one["torch"], 1)
    assert run(table, rows, kept) == [one, other, both]

    # A part that was measured without its scores being kept cannot be fused.
    (tmp_path / "scores" / "one_0.parquet").unlink()
    options.out.write_text(json.dumps([one, other]))
    with pytest.raises(DataError, match=r"fuses the scores of row 'one', but there is no .*one_0\.parquet"):
        run(table, rows, kept)
    # Nor scores of another run of that name, nor of clips that the main split lacks.
    scores = testing.test_run(options.work / "one_0", "test", device="cpu")
    perfect = np.eye(scores.taxonomy.num_actions)[scores.labels]
    write_scores(tmp_path / "scores" / "one_0.parquet", replace(scores, action_logits=perfect))
    with pytest.raises(
        DataError, match=r"one_0\.parquet: has other metrics than .* holds for one, seed 0; take its en"
    ):
        run(table, rows, kept)
    write_scores(tmp_path / "scores" / "one_0.parquet", scores)
    elsewhere = replace(table, protocols=(Protocol({"": "test", "half_": "train"}),))
    with pytest.raises(DataError, match="kept of the main split, which does not have all of 'train'"):
        run(elsewhere, rows, kept)


def test_scores_are_kept_beside_the_results(table: Benchmark, tmp_path: Path) -> None:
    words = ["--rows", "full", "--seeds", "1", "--protocols", "main", "--device", "cpu", "--threads", "1"]
    for keeps in (True, False):
        folder = tmp_path / str(keeps)
        given = command_line.parser("", out=str(folder / "r.json"), work=str(folder / "w"))
        command_line.main(replace(table, keeps_scores=keeps), given.parse_args(words))
        assert (folder / "r_scores" / "full_0.parquet").is_file() == keeps


def test_older_entries_may_be_fused(data: Path, options: Options, tmp_path: Path) -> None:
    rows = (Row("one", seeds=1), Row("other", ("optim.lr=0.3",), seeds=1), Row("both", seeds=1, fused=("one", "other")))
    table = Benchmark("demo", "demo", rows, COLUMNS, lambda seed: data, (Protocol({"": "test"}),), TINY)
    kept = replace(options, scores=tmp_path / "scores")
    entries = run(table, rows[:2], kept)
    for name in ("precision", "threads"):
        del entries[0][name]
    del entries[1]["precision"]
    options.out.write_text(json.dumps(entries))
    both = run(table, rows, kept)[2]
    assert "precision" not in both and both["threads"] == 1


def test_a_row_that_fuses_has_nothing_else() -> None:
    with pytest.raises(ValueError, match="row 'both' fuses the scores of others and has nothing else of its own"):
        Row("both", ("optim.lr=1",), fused=("one", "other"))
