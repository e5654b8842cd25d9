import io
import json

import numpy as np
import pytest
from rich.console import Console

from pcan_extract.report import Failure, ProgressReport, Summary, count_found, write_failures
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.skeleton import skeleton


def test_found_frames_count_once_whoever_it_is():
    layout = skeleton("openpose28")
    scores = np.zeros((2, 4, 28), np.float32)
    scores[0, 0, layout.index("nose")] = 1
    scores[1, 0, layout.index("nose")] = 1
    scores[1, 2, layout.index("left_wrist")] = 0.1
    scores[0, 3, layout.index("left_thumb_tip")] = 0.5
    clips = [
        Clip("a", np.zeros((2, 4, 28, 2), np.float32), scores),
        Clip("b", np.zeros((1, 3, 28, 2), np.float32), np.ones((1, 3, 28), np.float32)),
    ]
    shard = KeypointSet.from_clips(Header("openpose28", 2, "none"), clips)
    assert count_found([shard, shard]) == (4, 14, 2 * (2 + 3), 2 * (1 + 3))


@pytest.mark.parametrize(("layout", "hands"), [("coco17", None), ("mediapipe_holistic", 5), ("kinect20", 5)])
def test_layout_without_hands_says_so(layout, hands):
    joints = skeleton(layout).num_joints
    clip = Clip("a", np.zeros((1, 5, joints, 2), np.float32), np.ones((1, 5, joints), np.float32))
    assert count_found([KeypointSet.from_clips(Header(layout, 2, "none"), [clip])]) == (1, 5, 5, hands)


def test_summary_reads_well():
    summary = Summary(3, 2, 100, 99, None, 2.0, 50.0, failures=(Failure("a", "a.mp4", "broken"),))
    assert summary.to_text() == "3 clips (2 new, 1 failed), 100 frames, a body in 99.0 %; 50.0 frames/s."
    assert json.loads(json.dumps(summary.to_dict()))["failures"] == [
        {"clip_id": "a", "path": "a.mp4", "error": "broken"}
    ]


def test_failure_report_goes_when_nothing_failed(tmp_path):
    write_failures(tmp_path, [Failure("a", "a.mp4", "broken")])
    assert json.loads((tmp_path / "failures.json").read_text()) == {
        "failed": [{"clip_id": "a", "path": "a.mp4", "error": "broken"}]
    }
    write_failures(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(terminal):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None)
    with ProgressReport("extract", 2, console) as progress:
        progress.clip_done(10, failed=False)
        progress.clip_done(0, failed=True)
    text = file.getvalue()
    assert "2/2" in text and "1 failed" in text and "eta" in text
    assert terminal or text.startswith("extract: 2/2 clips, ")


def test_no_console_is_silent(capsys):
    with ProgressReport("extract", 1, None) as progress:
        progress.clip_done(10, failed=False)
    assert capsys.readouterr() == ("", "")
