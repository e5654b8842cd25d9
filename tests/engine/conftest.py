"""Fixtures of the tests that train."""

from pathlib import Path

import pytest
from tiny_runs import Configure, settings, tiny_set

from pcan_pose.config import parse_config
from pcan_pose.keypoints import write_set


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a keypoint set of 24 clips to train on and 8 of val."""
    path = tmp_path_factory.mktemp("data") / "tiny"
    write_set(path, tiny_set())
    return path


@pytest.fixture
def configure(data_path: Path, tmp_path: Path) -> Configure:
    """Return a function that makes a run's configuration in this test's own folder."""
    return lambda **changes: parse_config(settings(data_path, tmp_path / "runs", **changes), "test")
