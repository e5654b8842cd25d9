"""`mode: as_published` equals the official head in every number, and does not once any constant is changed."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from golden_values import Pairs, calibration, load, rectification, tree, whole_head
from torch.nn.functional import cross_entropy

from pcan_pose.config import PUBLISHED_CALIBRATION, PUBLISHED_HEAD, HeadConfig
from pcan_pose.models import calibration as calibration_module
from pcan_pose.models import tree_head
from pcan_pose.taxonomy import MA52, Taxonomy

FLOAT32, FLOAT64 = 1e-5, 1e-9
CASES = ("mixed", "oneclass", "mixed_n1")


def differences(pairs: Pairs, tolerance: float) -> dict[str, float]:
    """Return what differs by more than the tolerance, relative to the largest number of its tensor."""
    found = {}
    for name, (own, official) in pairs.items():
        assert own.shape == official.shape, name
        own, official = own.double(), official.double()
        # A gradient that is zero by symmetry is rounding noise on both sides.
        scale = official.abs().max().clamp(min=1e-11 / tolerance)
        worst = float((own - official).abs().max() / scale)
        if not worst <= tolerance:
            found[name] = worst
    return found


@pytest.mark.parametrize("case", ["n1", "n16_extreme", "n64", "n64_scale5"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tree_loss(case: str, dtype: torch.dtype) -> None:
    pairs = tree(case, dtype)
    assert len(pairs) == 4
    # The official one takes sigmoids in float32, whatever it sums in.
    assert differences(pairs, 1e-6) == {}


@pytest.mark.parametrize("level", ["coarse", "fine"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
def test_calibration_and_diversity(level: str, case: str, dtype: torch.dtype, tolerance: float) -> None:
    pairs = calibration(level, case, dtype)
    steps = int(load(f"{level}_{case}")["n_steps"])
    assert {f"step {i}, {name}" for i in range(steps) for name in ("loss", "avg_f", "grad_cl_fc_bias")} <= pairs.keys()
    gradients = {"grad_feature", "grad_logit" if level == "coarse" else "grad_logit_fine"}
    assert {f"step 0, {name}" for name in gradients} <= pairs.keys()
    assert steps == (3 if case == "mixed" else 1)
    assert differences(pairs, tolerance) == {}


def test_the_mixed_cases_have_clips_in_every_set() -> None:
    for step in range(3):
        assert (load("fine_mixed")[f"s{step}_n_tp_fn1_fn2_fn3_fp"] > 5).all()


@pytest.mark.parametrize("level", ["coarse", "fine"])
def test_the_defaults_are_the_official_constants(level: str) -> None:
    values, config = load(f"{level}_mixed"), HeadConfig(mode="as_published")
    own = config.calibration
    assert (own.alpha, own.temperature, config.momentum) == tuple(float(values[key]) for key in ("alp", "tmp", "mom"))
    if level == "fine":
        assert [*own.false_negative_weights, own.false_positive_weight] == values["fn_scales"].tolist()


@pytest.mark.parametrize(("weight", "changes"), [(1, {}), (5, {"rectification": 5.0})])
def test_rectification_of_the_pose_and_of_the_rgb_branch(weight: int, changes: dict[str, float]) -> None:
    assert differences(rectification(weight, **changes), 1e-6) == {}


def test_the_whole_head() -> None:
    assert differences(whole_head(), FLOAT32) == {}


A_PERCENT = 1.01
CALIBRATION_CONSTANTS: list[tuple[str, dict[str, Any]]] = [
    *((level, {"calibration": {"alpha": 0.125 * A_PERCENT}}) for level in ("coarse", "fine")),
    *((level, {"calibration": {"temperature": 0.125 * A_PERCENT}}) for level in ("coarse", "fine")),
    *((level, {"momentum": 0.9 * A_PERCENT}) for level in ("coarse", "fine")),
    ("fine", {"calibration": {"false_negative_weights": (A_PERCENT, 0.1, 0.5)}}),
    ("fine", {"calibration": {"false_negative_weights": (1.0, 0.1 * A_PERCENT, 0.5)}}),
    ("fine", {"calibration": {"false_negative_weights": (1.0, 0.1, 0.5 * A_PERCENT)}}),
    ("fine", {"calibration": {"false_positive_weight": A_PERCENT}}),
]


@pytest.mark.parametrize(("level", "changes"), CALIBRATION_CONSTANTS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
def test_a_changed_constant_of_the_calibration_is_noticed(
    level: str, changes: dict[str, Any], dtype: torch.dtype, tolerance: float
) -> None:
    found = differences(calibration(level, "mixed", dtype, **changes), tolerance)
    # In float32 a set of few clips may change the loss less than it changes the gradient.
    losses = {"step 0, loss", "step 2, loss"} if dtype is torch.float64 else set()
    assert found.keys() >= {"step 0, grad_cl_fc_bias", *losses}
    assert ("step 0, avg_f" in found) is ("momentum" in changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": {"weight": 0.2 * A_PERCENT}},
        {"diversity_weight": 0.2 * A_PERCENT},
        {"body_weight": A_PERCENT},
        {"tree_weight": A_PERCENT},
        {"label_smoothing": 0.001},
    ],
    ids=str,
)
def test_a_changed_weight_of_the_total_is_noticed(changes: dict[str, Any]) -> None:
    assert "total" in differences(whole_head(**changes), FLOAT32)


@pytest.mark.parametrize(("official", "weight"), [(1, A_PERCENT), (5, 5 * A_PERCENT), (1, 0.0)])
def test_a_changed_weight_of_the_rectification_is_noticed(official: int, weight: float) -> None:
    assert differences(rectification(official, rectification=weight), 1e-6).keys() == {"rectified logits"}


def test_the_whole_heads_rectification_is_noticed() -> None:
    found = differences(whole_head(rectification=1.1), FLOAT32)
    assert found.keys() == {"rectified action logits"}


def _switches() -> list[dict[str, Any]]:
    """Return every switch of the mode, set back to its corrected value; the prototypes' start is given in the files."""
    corrected = HeadConfig()
    head = [{key: getattr(corrected, key)} for key in PUBLISHED_HEAD if key != "unseen_prototypes"]
    return head + [{"calibration": {key: getattr(corrected.calibration, key)}} for key in PUBLISHED_CALIBRATION]


@pytest.mark.parametrize("changes", _switches(), ids=str)
def test_every_corrected_switch_is_noticed(changes: dict[str, Any]) -> None:
    # Only the whole head pools, and detaching changes gradients, which only the other files have.
    pooled = "embedding_pooling" in changes
    pairs = whole_head(**changes) if pooled else calibration("fine", "mixed", torch.float64, **changes)
    found = differences(pairs, FLOAT32)
    if pooled:
        assert found.keys() >= {"calibration of actions and diversity", "calibration of body parts"}
        assert "action logits in training" not in found
    elif "detach_probability" in changes.get("calibration", {}):
        assert found.keys() == {"step 0, grad_logit_fine"}
    else:
        assert "step 0, loss" in found


def test_another_tree_is_noticed() -> None:
    assert MA52.parents[4:6] == (0, 1)
    moved = Taxonomy("moved", MA52.actions, MA52.body_parts, (*MA52.parents[:4], 1, *MA52.parents[5:]))
    assert "loss" in differences(tree("n64", torch.float32, moved), 1e-6)


def _without_lone_body_parts(body: torch.Tensor, action: torch.Tensor, labels: Any, parents: Any) -> torch.Tensor:
    return cross_entropy(action.sigmoid() + body.sigmoid()[:, parents], labels, reduction="none")


def _with_body_parts_twice(body: torch.Tensor, action: torch.Tensor, labels: Any, parents: Any) -> torch.Tensor:
    states = torch.cat([body.sigmoid(), body.sigmoid(), action.sigmoid() + body.sigmoid()[:, parents]], 1)
    return cross_entropy(states, labels + 2 * body.shape[1], reduction="none")


@pytest.mark.parametrize("states", [_without_lone_body_parts, _with_body_parts_twice])
def test_other_states_of_the_tree_are_noticed(
    states: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_head, "tree_loss", states)
    assert "loss" in differences(tree("n64", torch.float32), 1e-6)
    assert differences(whole_head(), FLOAT32).keys() == {"tree loss", "total"}


def test_a_body_levels_set_with_another_weight_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = calibration_module.body_sets

    def heavier(*arguments: torch.Tensor) -> list[calibration_module.AmbiguousSet]:
        missed, claimed = made(*arguments)
        return [missed, calibration_module.AmbiguousSet(claimed.clips, claimed.columns, A_PERCENT, claimed.pull)]

    monkeypatch.setattr(tree_head, "body_sets", heavier)
    assert "step 0, loss" in differences(calibration("coarse", "mixed", torch.float64), FLOAT64)


def test_the_comparison_itself_sees_numbers_that_are_not_finite() -> None:
    ones = torch.ones(3)
    assert differences({"same": (ones, ones), "off": (ones * math.nan, ones)}, 1e-5).keys() == {"off"}
