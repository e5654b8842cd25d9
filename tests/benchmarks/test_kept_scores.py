"""The scores that are kept beside a benchmark's results say what the results say."""

from pathlib import Path

import pytest

from benchmarks import nwucla
from benchmarks.jobs import Job, Options, file_name, overrides_of
from benchmarks.results_file import key, read_results
from pcan_pose.metrics import evaluate
from pcan_pose.scores import read_scores

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SCORES = sorted((RESULTS / "nwucla_scores").glob("*.parquet"))
TABLE = nwucla.benchmark(Path("set"))


def test_scores_are_kept() -> None:
    assert SCORES


@pytest.mark.parametrize("file", SCORES, ids=lambda file: file.stem)
def test_kept_scores_have_the_entrys_metrics(file: Path) -> None:
    entries = {key(entry): entry for entry in read_results(RESULTS / "nwucla.json")}
    protocols = {protocol.name: protocol for protocol in TABLE.protocols}
    jobs = {k: Job(TABLE.row(k[0]), protocols[k[1]], k[2]) for k in entries}
    (found,) = [k for k, job in jobs.items() if file_name(job) == file.name]
    scores = read_scores(file)
    metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).summary()
    assert {name: entries[found][name] for name in metrics} == pytest.approx(metrics, abs=1e-12)
    assert entries[found]["overrides"] == overrides_of(TABLE, jobs[found], Options(Path("o"), Path("w")))
