import json
from pathlib import Path

import pytest

from benchmarks.ma52_size import main

# Not so tiny that all operations cost the same.
TINY = ("data.frames=32", "encoder={type: pose, widths: [64, 64, 64], depths: [1, 1, 1]}", "train.batch_size=8")


def test_a_tiny_run_is_timed_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    changes = [word for change in (*TINY, "train.epochs=2", "train.threads=1") for word in ("--set", change)]
    sizes = ["--train-clips", "24", "--val-clips", "52"]
    own = tmp_path / "runs" / "mine"
    own.mkdir(parents=True)
    changes += ["--set", f"output={own.parent}", "--set", "name=mine"]  # deletes nobody's run
    main([*sizes, *changes, "--device", "cpu", "--quick", "--work", str(tmp_path), "--out", str(out)])
    report = json.loads(out.read_text())
    assert (report["train_clips"], report["val_clips"], report["epochs"]) == (24, 52, 2)
    assert report["steps"] == 2 * 3
    # The optimiser alone reads and writes every weight, and the step all of its input.
    assert report["step_bytes"] > 4 * 8 * 8 * 28 * 9
    assert 2 * report["epoch_seconds"] < report["seconds"]
    assert report["share_of_bound"] == pytest.approx(report["bound_seconds"] / report["seconds"])
    assert report["steps_share_of_bound"] == pytest.approx(report["bound_seconds"] / (2 * report["epoch_seconds"]))
    assert list(own.iterdir()) == [] and (tmp_path / "ma52_size").is_dir()
    shares = list(report["profile"].values())  # of the longest operations, longest first
    assert shares == sorted(shares, reverse=True) and shares[-1] > 0 and 0.3 < sum(shares) <= 1
    assert f"| whole run | {report['seconds']:.1f} s |" in capsys.readouterr().out
