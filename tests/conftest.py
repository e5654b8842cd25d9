"""Fixtures that all tests share."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of data that cannot be published with the project, or skip."""
    if not _SHARED.is_dir():
        pytest.skip("needs ../shared (MA-52 samples, NW-UCLA skeletons), which is not published with the project")
    return _SHARED


@pytest.fixture(autouse=True)
def _few_threads() -> None:
    """Keep torch to one thread, if a test has imported it: small tensors on a busy machine wait for each other."""
    import sys

    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
