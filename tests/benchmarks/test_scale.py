import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scale, scale_loader, scale_worker
from benchmarks.scale_plot import plot_growth
from benchmarks.scale_sets import random_set
from pcan_pose.config import DataConfig
from pcan_pose.keypoints import read_set, shard_paths

TINY = ["encoder.widths=[8]", "encoder.depths=[1]", "encoder.reduction=2"]


def test_random_sets_are_made_once_and_always_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.scale_sets._CLIPS_PER_SHARD", 8)
    path = random_set(tmp_path, 20, 4)
    whole = read_set(path)
    assert len(whole) == 20 and len(shard_paths(path)) == 3 and (whole.frames == 4).all()
    assert whole.in_split("train").tolist() == list(range(20))
    assert (whole.scores > 0).all() and (whole.labels < 52).all() and (whole.labels >= 0).all()
    written = [shard.stat().st_mtime_ns for shard in shard_paths(path)]
    assert random_set(tmp_path, 20, 4) == path
    assert written == [shard.stat().st_mtime_ns for shard in shard_paths(path)]
    again = read_set(random_set(tmp_path / "other", 20, 4))
    np.testing.assert_array_equal(whole.keypoints, again.keypoints)


def test_each_way_to_have_the_clips_is_measured(tmp_path: Path) -> None:
    data = DataConfig(path=random_set(tmp_path, 30, 4), frames=4)
    rates = scale_loader.loader_rates(data, 8, scale.pick_device("cpu"))
    assert set(rates) == {
        "in memory",
        "mapped, in the page cache",
        "mapped, from disk",
        "mapped, from disk, as if larger than memory",
    }
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.parametrize("memory", ["device", "map"])
def test_a_pass_is_timed_and_its_memory_seen(tmp_path: Path, memory: str) -> None:
    given = scale._options(["--work", str(tmp_path), "--frames", "4"])
    config, command = scale._config(given, random_set(tmp_path, 70, 4), 4, [f"data.memory={memory}"])
    assert command[1:] == [f"data.memory={memory}"] and config.data.memory == memory
    found = scale_worker.pass_over(config)
    assert set(found) == {"read_seconds", "pass_seconds", "own_bytes"}
    assert found["read_seconds"] > 0 and found["pass_seconds"] > 0


def test_own_bytes_are_the_processes_own() -> None:
    before = scale_worker.own_bytes()
    # Larger than what malloc may take from memory it kept.
    taken = np.ones(80_000_000, np.uint8)
    assert 70_000_000 < scale_worker.own_bytes() - before < 100_000_000
    del taken


def test_growth_is_drawn(tmp_path: Path) -> None:
    growth = [
        {"clips": clips, "way": way, "read_seconds": clips / 1e4, "pass_seconds": clips / 1e3, "own_bytes": clips * 1e4}
        for clips in (10, 100)
        for way in ("in memory", "mapped")
    ]
    assert plot_growth(tmp_path / "growth.png", growth, "Random clips").stat().st_size > 10_000


def test_a_training_process_says_its_rate(tmp_path: Path) -> None:
    given = scale._options(["--work", str(tmp_path), "--frames", "4", "--batch", "8"])
    for train, memory in ((scale_worker.train, "device"), (scale_worker.train_larger, "map")):
        config, _ = scale._config(given, random_set(tmp_path, 17, 4), 4, [*TINY, f"data.memory={memory}"])
        found = train(config)
        assert found is not None and found["first_epoch"] > 0 and found["second_epoch"] > 0


def test_everything_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def run(module: list[str]) -> dict[str, float]:
        started.append(module)
        if "pass" in module:
            return {"read_seconds": 1.0, "pass_seconds": 2.0, "own_bytes": 3.0}
        if "train-larger" in module:
            return {"first_epoch": 72.0, "second_epoch": 96.0}
        return {"first_epoch": 80.0, "second_epoch": {"1": 100.0, "2": 150.0}[module[2]]}

    monkeypatch.setattr(scale, "_run", run)
    out, picture = tmp_path / "scale.json", tmp_path / "scale.png"
    sizes = ["--sizes", "16", "32", "--clips", "32", "--frames", "4", "--batch", "8"]
    small = [*sizes, "--training-clips", "16", "--training-frames", "8"]
    places = ["--work", str(tmp_path / "work"), "--out", str(out), "--plot", str(picture)]
    scale.main([*small, "--set", "optim.lr=0.2", *places, "--rounds", "1"])
    report = json.loads(out.read_text())
    assert set(report) == {"loader", "training", "growth"}
    assert [part["frames"] for part in report.values()] == [4, 8, 4]
    assert all(part["cpus"] > 0 and part["machine"] and part["torch"] for part in report.values())
    assert report["loader"]["four streams"]["share"]["in memory"] == 1
    assert list(report["training"]["clips_per_second"].values()) == [100, 150, 96]
    assert report["training"]["efficiency"] == 0.75
    assert report["training"]["larger_than_memory_share"] == pytest.approx(0.9)
    assert [entry["clips"] for entry in report["growth"]["sizes"]] == [16] * 3 + [32] * 3
    assert [module[-1] for module in started if "train" in module] == ["optim.lr=0.2"] * 2
    assert [module[-2:] for module in started if "train-larger" in module] == [["optim.lr=0.2", "data.memory=map"]]
    assert [module[-1] for module in started if "pass" in module] == [
        "data.memory=device",
        *["data.memory=map"] * 2,
    ] * 2
    assert picture.stat().st_size > 10_000


def test_what_was_measured_before_a_worker_failed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(module: list[str]) -> dict[str, float]:
        if "32x4" in Path(module[2]).read_text():
            raise SystemExit("no memory")
        return {"read_seconds": 1.0, "pass_seconds": 2.0, "own_bytes": 3.0}

    monkeypatch.setattr(scale, "_run", run)
    out = tmp_path / "scale.json"
    out.write_text('{"loader": "as it was"}')
    with pytest.raises(SystemExit, match="no memory"):
        scale.main(
            ["--only", "growth", "--sizes", "16", "32", "--frames", "4", "--work", str(tmp_path), "--out", str(out)]
        )
    report = json.loads(out.read_text())
    assert report["loader"] == "as it was"
    assert [entry["clips"] for entry in report["growth"]["sizes"]] == [16] * 3


def test_a_worker_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="pcan_pose_absent failed"):
        scale._run(["pcan_pose_absent"])
