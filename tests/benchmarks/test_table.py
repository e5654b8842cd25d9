from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ablation import verdict
from benchmarks.results_file import append_result, find, read_results
from benchmarks.rows import Column
from benchmarks.table import markdown
from pcan_pose.errors import DataError

COLUMNS = (
    Column("top-1", "action_top1"),
    Column("leak-free", "action_top1", "leak_free"),
    Column("size", "parameters", scale=1e-6, digits=2, spread=False),
)


def entry(row: str, seed: int, top1: float, **more: Any) -> dict[str, Any]:
    return {"row": row, "seed": seed, "torch": "2.0", "action_top1": top1, "parameters": 420_000, **more}


def test_a_table_has_mean_deviation_and_number_of_seeds() -> None:
    entries = [
        entry("one", 0, 0.9),
        entry("one", 1, 0.92),
        entry("two", 0, 0.5, device="chip", threads=1),
        entry("one", 0, 0.81, protocol="leak_free"),
        entry("other", 0, 0.1, torch="1.0"),
    ]
    # The standard deviation is the sample's: of 90 and 92 it is the square root of 2.
    assert markdown(entries, ["two", "one", "three"], COLUMNS).splitlines() == [
        "| row | top-1 | leak-free | size | n |",
        "| --- | --- | --- | --- | --- |",
        "| two | 50.0 | - | 0.42 | 1 |",
        "| one | 91.0 ± 1.4 | 81.0 (n = 1) | 0.42 | 2 |",
        "",
        "Mean ± standard deviation over n seeds; torch 2.0; chip, 1 thread, torch 2.0 (`two`: seed 0). "
        "Not measured yet: three.",
    ]
    assert markdown([], ["one", "two"], COLUMNS).endswith("over n seeds. Not measured yet: one; two.")


def test_the_note_says_once_which_rows_protocols_and_seeds_another_machine_measured() -> None:
    chip = {"device": "chip", "precision": "bf16"}
    entries = [
        *(entry(row, seed, 0.5, **chip) for row in ("one", "two") for seed in (3, 2)),
        *(entry(row, 3, 0.5, protocol="leak_free", **chip) for row in ("one", "two")),
        entry("three", 1, 0.5, **chip),
        *(entry("three", seed, 0.5) for seed in range(9)),
    ]
    assert markdown(entries, ["one", "two", "three"], COLUMNS).splitlines()[-1] == (
        "Mean ± standard deviation over n seeds; torch 2.0; chip, bf16, torch 2.0 "
        "(`one`, `two`: seed 2, 3 and leak_free seed 3; `three`: seed 1)."
    )


def test_results_are_added_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.json"
    assert read_results(file) == []
    append_result(file, entry("one", 0, 0.5))
    assert append_result(file, entry("one", 1, 0.6)) == read_results(file)
    assert [row["seed"] for row in read_results(file)] == [0, 1]
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    with ThreadPoolExecutor(8) as threads:  # a lock of the folder holds between threads as between processes
        list(threads.map(lambda seed: append_result(file, entry("one", seed, 0.5)), range(64)))
    assert sorted(row["seed"] for row in read_results(file)) == list(range(64))


def test_a_result_is_found_by_row_protocol_and_seed() -> None:
    entries = [entry("one", 0, 0.5, overrides=["a=1"]), entry("one", 0, 0.6, protocol="leak_free"), entry("two", 0, 1)]
    where = Path("r.json")
    assert find(entries, ("one", "", 0), ["a=1"], where) is entries[0]
    assert find(entries, ("one", "leak_free", 0), ["whatever"], where) is entries[1]  # an old entry does not say
    assert find(entries, ("one", "", 1), [], where) is None
    with pytest.raises(DataError) as caught:
        find(entries, ("one", "", 0), ["a=2", "b=3"], where)
    assert str(caught.value) == (
        "r.json: row 'one', seed 0, was measured with a=1, now asked for with a=2 b=3; name another --out, or take the "
        "entry out."
    )


def test_a_result_of_another_configuration_file_is_not_mixed_in() -> None:
    entries = [entry("one", 0, 0.5, overrides=[], config="aa"), entry("one", 1, 0.5, overrides=[])]
    where = Path("r.json")
    assert find(entries, ("one", "", 0), [], where, config="aa") is entries[0]
    assert find(entries, ("one", "", 1), [], where, config="bb") is entries[1]  # an old entry does not say
    with pytest.raises(DataError, match=r"^r\.json: row 'one', seed 0, was measured with other settings in its conf"):
        find(entries, ("one", "", 0), [], where, config="bb")


@pytest.mark.parametrize(("text", "fault"), [("{", "cannot be read as JSON ("), ('{"a": 1}', "is no list of results")])
def test_a_file_that_holds_something_else(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match=r"r\.json: ") as caught:
        read_results(tmp_path / "r.json")
    assert fault in str(caught.value)


def test_what_logit_adjustment_does_is_said_in_words() -> None:
    def tailed(row: str, seed: int, f1: float, top1: float, tail_f1: float, tail_top1: float) -> dict[str, Any]:
        numbers = {"action_f1_macro": f1, "tail_action_f1_macro": tail_f1, "tail_action_top1": tail_top1}
        return entry(row, seed, top1, **numbers)

    entries = [
        tailed("long tail", 0, 0.5, 0.6, 0.5, 0.7),
        tailed("long tail", 1, 0.5, 0.6, 0.5, 0.7),
        tailed("long tail, logit adjustment 1", 0, 0.54, 0.6, 0.52, 0.68),
        tailed("long tail, logit adjustment 1", 1, 0.52, 0.59, 0.52, 0.68),
        tailed("long tail, logit adjustment 1", 2, 0.9, 0.9, 0.9, 0.9),  # without a pair
    ]
    name = "long tail, logit adjustment 1"
    assert verdict(entries) == [
        f"{name}, test split as it is: macro F1 +3.0, top-1 -0.5 over 2 seeds: raises macro F1, at no more than 1 "
        "point of top-1.",
        f"{name}, long-tailed test split: macro F1 +2.0, top-1 -2.0 over 2 seeds: raises macro F1, at more than 1 "
        "point of top-1.",
    ]
    assert verdict(entries[:2]) == []
