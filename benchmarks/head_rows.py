"""The rows that take the hierarchical head apart, for any data."""

import json

from benchmarks.rows import Row
from pcan_pose.config import PUBLISHED_CALIBRATION, PUBLISHED_HEAD

OFF = (
    "head.body_weight=0",
    "head.tree_weight=0",
    "head.calibration.enabled=false",
    "head.diversity_weight=0",
    "head.rectification=0",
)
FULL = "full head (+ rectification)"
LONG_TAIL = "long tail"
PARTS = (
    Row("plain cross-entropy", OFF),
    Row("+ body cross-entropy", OFF[1:]),
    Row("+ tree loss", OFF[2:]),
    Row("+ calibration", OFF[3:]),
    Row("+ diversity", OFF[4:]),
    Row(FULL),
)


def fault_rows() -> tuple[Row, ...]:
    """Return the published arithmetic, and the corrected one with each fault of the published put back alone."""
    faults = {f"head.{key}": value for key, value in PUBLISHED_HEAD.items()}
    faults |= {f"head.calibration.{key}": value for key, value in PUBLISHED_CALIBRATION.items()}
    single = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in faults.items()]
    return (Row("as published", ("head.mode=as_published",)), *(Row(f"full, {fault}", (fault,)) for fault in single))


def fusion_rows(weights: tuple[float, ...] = (0.5, 1.0)) -> tuple[Row, ...]:
    """Return the full head's runs with body x action fusion at inference."""
    return tuple(Row(f"full, body weight {weight:g}", trained_as=FULL, body_weight=weight) for weight in weights)


def long_tail_rows(split: str, strengths: tuple[float, ...] = (0.5, 1.0)) -> tuple[Row, ...]:
    """Return the full head on the long-tailed copy of a split, without and with logit adjustment."""
    train = f"data.train_split={split}"
    adjusted = (
        Row(f"{LONG_TAIL}, logit adjustment {tau:g}", (train, f"head.logit_adjustment={tau:g}")) for tau in strengths
    )
    return (Row(LONG_TAIL, (train,)), *adjusted)
