import json
from pathlib import Path

import pytest

from pcan_extract.inputs import find_inputs
from pcan_extract.plan import PLAN_NAME, Plan, load_plan, save_plan
from pcan_extract.planning import ShardLimits, extend_plan
from pcan_extract.share import Share

SETTINGS = {"layout": "coco17", "clips_per_shard": "3"}


def files(folder: Path, **sizes: int):
    for name, size in sizes.items():
        (folder / f"{name}.mp4").write_bytes(b"x" * size)
    return find_inputs([folder]).videos


def shards(plan: Plan) -> list[list[str]]:
    assert list(plan.shards) == list(range(len(plan.shards)))
    return [[clip.video.clip_id for clip in clips] for clips in plan.shards.values()]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (ShardLimits(3, 1000), [["a", "b", "c"], ["d", "e"]]),
        (ShardLimits(3, 30), [["a", "b"], ["c"], ["d", "e"]]),
        (ShardLimits(1, 1000), [["a"], ["b"], ["c"], ["d"], ["e"]]),
        # A single video is a shard, however large it is.
        (ShardLimits(3, 1), [["a"], ["b"], ["c"], ["d"], ["e"]]),
    ],
)
def test_shards_end_at_clips_or_bytes(limits, expected, tmp_path):
    plan, _ = extend_plan(Plan(SETTINGS), SETTINGS, files(tmp_path, a=10, b=20, c=50, d=10, e=0), limits=limits)
    assert shards(plan) == expected


def test_clips_stay_in_their_shard(tmp_path):
    limits = ShardLimits(3, 30)
    plan, _ = extend_plan(Plan(SETTINGS), SETTINGS, files(tmp_path, b=10, c=10), limits=limits)
    # The file that has grown would now fill a shard of its own; the new one sorts before the others.
    plan, changed = extend_plan(plan, SETTINGS, files(tmp_path, a=1, b=40), limits=limits)
    assert shards(plan) == [["b", "c"], ["a"]] and changed == {"b"}
    save_plan(tmp_path, plan)
    assert load_plan(tmp_path) == plan


def test_first_plans_named_no_shard(tmp_path):
    plan, _ = extend_plan(Plan(SETTINGS), SETTINGS, files(tmp_path, a=1, b=1, c=1, d=1), limits=ShardLimits(3))
    save_plan(tmp_path, plan)
    content = json.loads((tmp_path / PLAN_NAME).read_text())
    for clip in content["clips"]:
        del clip["shard"]
    (tmp_path / PLAN_NAME).write_text(json.dumps(content))
    assert load_plan(tmp_path) == plan


def test_other_jobs_look_after_their_clips(tmp_path):
    limits = ShardLimits(1)
    plan, _ = extend_plan(Plan(SETTINGS), SETTINGS, files(tmp_path, a=1, b=1), limits=limits)
    videos = files(tmp_path, a=2, b=2)
    first, changed = extend_plan(plan, SETTINGS, videos, limits=limits, share=Share(1, 2))
    assert changed == {"a"} and [clip.size for clip in first.clips] == [2, 1]
    both, changed = extend_plan(first, SETTINGS, videos, limits=limits, share=Share(2, 2))
    assert changed == {"b"} and [clip.size for clip in both.clips] == [2, 2]
