"""A benchmark that takes seconds: its settings, rows and columns, and a count of what it trains."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import runs
from benchmarks.rows import Column, Row

TINY = (
    "data.val_split=null",
    "data.frames=8",
    "encoder={type: pose, widths: [8], depths: [1], temporal_kernel: 3, reduction: 2}",
    "train.epochs=1",
    "train.batch_size=4",
    "train.device=cpu",
)
ROWS = (
    Row("full", seeds=2),
    Row("plain", ("head.body_weight=0", "head.tree_weight=0"), seeds=1),
    Row("fused", seeds=2, trained_as="full", body_weight=0.5),
)
COLUMNS = (Column("top-1", "action_top1"), Column("half", "half_action_top1"))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every run that is trained or looked at."""
    names: list[str] = []
    original: Callable[..., Any] = runs.train

    def train(config: Any, **more: Any) -> Any:
        names.append(config.name)
        return original(config, **more)

    monkeypatch.setattr(runs, "train", train)
    return names
