"""A small keypoint set, and a benchmark on it."""

from pathlib import Path

import pytest
from small_sets import clip, small_set
from tiny_benchmark import COLUMNS, ROWS, TINY

from benchmarks.jobs import Options
from benchmarks.rows import Benchmark, Protocol
from pcan_pose.keypoints import write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set"
    splits: tuple[tuple[str, ...], ...] = (("train",), ("test",), ("train",), ("test", "half"))
    write_set(path, small_set(*(clip(f"c{i:02}", frames=6, label=i % 3, splits=splits[i % 4]) for i in range(24))))
    return path


@pytest.fixture
def table(data: Path) -> Benchmark:
    protocols = (Protocol({"": "test", "half_": "half"}), Protocol({"": "half"}, "other", ("data.frames=6",)))
    return Benchmark("demo", "demo", ROWS, COLUMNS, lambda seed: data, protocols, TINY)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(out=tmp_path / "results.json", work=tmp_path / "runs", device="cpu", threads=1)
