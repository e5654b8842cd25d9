"""Runs that are refused, and leave everything as it was."""

import shutil

import pytest
from extractions import parts, run

from pcan_extract.plan import load_plan
from pcan_pose.errors import ConfigError, DataError, ExtractionError, SkeletonError
from pcan_pose.keypoints import read_header, read_set


def test_other_settings_are_refused(undisturbed, videos, tmp_path):
    out = shutil.copytree(undisturbed, tmp_path / "set")
    with pytest.raises(ConfigError) as caught:
        run(videos, out, layout="coco17", clips_per_shard=4)
    advice = "use the same, or extract into a new folder."
    assert caught.value.faults == (
        f"layout is 'coco17', but this extraction was begun with 'openpose28'; {advice}",
        f"clips_per_shard is '4', but this extraction was begun with '3'; {advice}",
    )
    labels = tmp_path / "train.txt"
    labels.write_text("0001.mp4 3\n")
    with pytest.raises(ConfigError, match="taxonomy is 'ma52 [0-9a-f]{8}', but this extraction was begun with 'none'"):
        run(videos, out, labels=[str(labels)])
    assert parts(out) == parts(undisturbed)


def test_labels_reach_the_set_and_must_stay(videos, tmp_path):
    labels = tmp_path / "train_list.txt"
    labels.write_text("0001.mp4 3\nsecond/0005.mp4 4\n")
    run(videos, tmp_path / "set", labels=[str(labels)])
    found = read_set(tmp_path / "set")
    assert found.header.taxonomy is not None and found.header.taxonomy.name == "ma52"
    assert found.labels.tolist() == [-1, 3, -1, -1, -1, 4, -1]
    assert found.in_split("train").tolist() == [1, 5]
    labels.write_text("0001.mp4 5\nsecond/0005.mp4 4\n")
    with pytest.raises(ConfigError, match=r"^label, split or subject of 1 clips \(first/0001\) differ from those"):
        run(videos, tmp_path / "set", labels=[str(labels)])


def test_one_clip_id_for_two_files(videos, tmp_path):
    run(videos / "first", tmp_path / "set")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(videos / "second/0004.mp4", other / "0001.mp4")
    with pytest.raises(DataError) as caught:
        run(other, tmp_path / "set")
    assert str(caught.value).startswith(
        f"clip id '0001' stands for {videos}/first/0001.mp4 in this extraction, now for {other}/0001.mp4; "
    )


def test_sets_from_before_the_least_score_keep_all_joints(videos, tmp_path):
    out = tmp_path / "set"
    run(videos / "first", out, min_score=0.0)
    assert "min_score" not in read_header(out).extra and "min_score" not in load_plan(out).settings
    with pytest.raises(ConfigError) as caught:
        run(videos / "first", out)
    assert str(caught.value) == (
        "min_score is '0.05', but this extraction was begun with '0'; use the same, or extract into a new folder."
    )
    assert run(videos / "first", out, min_score=0).clips == 4
    with pytest.raises(ConfigError, match=r"^min_score is '0.1', but this extraction was begun with '0'"):
        run(videos / "first", out, min_score=0.1)
    run(videos / "first", tmp_path / "other", min_score=0.1)
    assert read_header(tmp_path / "other").extra["min_score"] == "0.1"
    with pytest.raises(ConfigError, match=r"^min_score is '0', but this extraction was begun with '0.1'"):
        run(videos / "first", tmp_path / "other", min_score=0)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"layout": "openpose82"}, SkeletonError, "unknown layout 'openpose82'. Did you mean 'openpose28'?"),
        ({"layout": "coco_wholebody133"}, SkeletonError, "layout 'mediapipe_holistic' cannot give"),
        ({"backend": "mediapip"}, ConfigError, "unknown backend 'mediapip'. Did you mean 'mediapipe'?"),
        ({"workers": 0, "clips_per_shard": 0}, ConfigError, "workers must be at least 1, got 0.\nclips per shard must"),
        ({"min_score": 2}, ConfigError, "min score must be 0 to 1, got 2."),
        ({"labels": ["none.txt"]}, DataError, "none.txt: label list cannot be read (No such file or directory)."),
    ],
)
def test_wrong_options_leave_nothing_behind(options, error, text, videos, tmp_path):
    with pytest.raises(error) as caught:
        run(videos, tmp_path / "set", **options)
    assert str(caught.value).startswith(text)
    assert not (tmp_path / "set").exists()


def test_folder_that_is_not_ours(videos, tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    (out / "thesis.docx").touch()
    with pytest.raises(DataError, match=r"holds files but no extract.json, so it is no extraction to go on with"):
        run(videos, out)
    with pytest.raises(DataError, match=r"thesis.docx: is a file; name a folder"):
        run(videos, out / "thesis.docx")
    (out / "extract.json").write_text("{")
    with pytest.raises(DataError, match=r"extract.json: not an extraction's plan"):
        run(videos, out)


def test_two_runs_at_once_are_refused(videos, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    lock = tmp_path / "set/.staging/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ExtractionError, match="another process extracts into this folder; wait for it"):
            run(videos, tmp_path / "set")
