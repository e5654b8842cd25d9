"""Fixtures that all tests share."""

from collections.abc import Callable, Iterator
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
def _one_thread_one_seed() -> None:
    """Keep torch to one thread and one seed, if a test has imported it: small tensors only wait for a second thread."""
    import sys

    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
        torch.manual_seed(0)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that gives this processor some instructions and no others, as torch names them."""
    import torch

    from pcan_pose.models.precision import prefers_bfloat16

    def has(**units: bool | str) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
        prefers_bfloat16.cache_clear()

    prefers_bfloat16.cache_clear()
    yield has
    prefers_bfloat16.cache_clear()
