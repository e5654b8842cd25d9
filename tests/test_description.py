import json

import numpy as np
import pytest
from small_sets import clip, small_set

from pcan_pose.description import describe


def test_the_facts_of_a_set() -> None:
    scores = np.ones((2, 4, 17), np.float32)
    scores[:, :, 3] = 0
    scores[0, 0, 5] = 0
    facts = describe(
        small_set(
            clip("a", persons=2, frames=4, scores=scores, label=2, subject="s", splits=("train", "all"), fps=25.0),
            clip("b", frames=2, label=0, subject="s", splits=("train",), fps=29.97),
            clip("c", frames=9, splits=("val",), fps=25.0),
            licence="CC0",
        )
    )
    assert facts["taxonomy"] == {"name": "tree", "actions": 3, "body_parts": 2}
    assert (facts["clips"], facts["layout"], facts["joints"], facts["dims"]) == (3, "coco17", 17, 2)
    assert (facts["estimator"], facts["extra"], facts["subjects"]) == ("made up 1.0", {"licence": "CC0"}, 1)
    assert facts["splits"] == {
        "all": {"clips": 1, "subjects": 1, "labelled": 1},
        "train": {"clips": 2, "subjects": 1, "labelled": 2},
        "val": {"clips": 1, "subjects": 0, "labelled": 0},
    }
    assert facts["frames"] == {"min": 2, "median": 4.0, "max": 9, "total": 15}
    assert (facts["fps"], facts["persons"]) == ({"25": 2, "29.97": 1}, {"1": 2, "2": 1})
    rows = 2 * 4 + 2 + 9
    assert facts["detection"]["overall"] == pytest.approx(1 - 9 / (rows * 17))
    worst = facts["detection"]["worst"]
    assert list(worst)[:2] == ["left_ear", "left_shoulder"]
    assert worst["left_ear"] == pytest.approx(1 - 8 / rows)
    assert facts["unlabelled"] == 1
    assert [row["clips"] for row in facts["labels"]] == [1, 0, 1]
    assert facts["labels"][2] == {"action": 2, "name": "wave", "clips": 1}
    assert json.loads(json.dumps(facts)) == facts


def test_labels_without_a_tree_and_beyond_it() -> None:
    clips = [clip("a", label=4), clip("b", label=1)]
    bare = describe(small_set(*clips, taxonomy=None))
    assert bare["taxonomy"] is None
    assert bare["labels"] == [{"action": 1, "name": "", "clips": 1}, {"action": 4, "name": "", "clips": 1}]
    assert [row["clips"] for row in describe(small_set(*clips))["labels"]] == [0, 1, 0, 0, 1]


def test_an_empty_set() -> None:
    facts = describe(small_set())
    assert facts["frames"] == {"min": 0, "median": 0.0, "max": 0, "total": 0}
    assert facts["detection"] == {"overall": None, "worst": {}}
    assert (facts["clips"], facts["splits"], facts["fps"]) == (0, {}, {})
