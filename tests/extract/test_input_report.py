import json

from pcan_extract.found import Found
from pcan_extract.report import Failure, Record, Summary, failures_of, write_reports
from pcan_extract.share import EVERYTHING, Share

RECORDS = [
    Record("a", "/videos/a.mp4", "extracted", Found(10, 9, 5), seconds=1.5),
    Record("b", "/videos/b.mp4", "kept", Found(30, 30, 15)),
    Record("c", "/videos/c.mp4", "failed", seconds=0.25, error="empty file"),
    Record("d", "/videos/d.mp4"),
]


def test_summary_reads_well():
    summary = Summary(3, 2, 100, 99, None, 2.0, 50.0, failures=(Failure("a", "a.mp4", "broken"),))
    assert summary.to_text() == "3 clips (2 new, 1 failed), 100 frames, a body in 99.0 %; 50.0 frames/s."
    assert json.loads(json.dumps(summary.to_dict()))["failures"] == [
        {"clip_id": "a", "path": "a.mp4", "error": "broken"}
    ]


def test_report_tells_of_every_input(tmp_path):
    write_reports(tmp_path, EVERYTHING, RECORDS, 2.0)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["totals"] == {
        "inputs": 4,
        "extracted": 1,
        "kept": 1,
        "failed": 1,
        "waiting": 1,
        "gone": 0,
        "frames": 40,
        "detection_rate": 0.975,
        "hand_rate": 0.5,
        "seconds": 2.0,
        "frames_per_second": 5.0,
    }
    assert [entry["status"] for entry in report["inputs"]] == ["extracted", "kept", "failed", "waiting"]
    assert report["inputs"][0] == {
        "clip_id": "a",
        "path": "/videos/a.mp4",
        "status": "extracted",
        "frames": 10,
        "detection_rate": 0.9,
        "hand_rate": 0.5,
        "seconds": 1.5,
        "error": None,
    }
    assert report["inputs"][2]["error"] == "empty file" and report["inputs"][2]["detection_rate"] is None
    assert failures_of(RECORDS) == (Failure("c", "/videos/c.mp4", "empty file"),)


def test_failure_report_goes_when_nothing_failed(tmp_path):
    write_reports(tmp_path, EVERYTHING, RECORDS, 0.0)
    assert json.loads((tmp_path / "failures.json").read_text()) == {
        "failed": [{"clip_id": "c", "path": "/videos/c.mp4", "error": "empty file"}]
    }
    write_reports(tmp_path, EVERYTHING, RECORDS[:2], 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_reports_of_another_division_go(tmp_path):
    (tmp_path / "report-of-mine.json").touch()
    write_reports(tmp_path, EVERYTHING, RECORDS, 0.0)
    for job in (1, 2):
        write_reports(tmp_path, Share(job, 2), RECORDS, 0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "failures.1-of-2.json",
        "failures.2-of-2.json",
        "report-of-mine.json",
        "report.1-of-2.json",
        "report.2-of-2.json",
    ]
    write_reports(tmp_path, EVERYTHING, RECORDS[:2], 0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report-of-mine.json", "report.json"]
