"""`evaluate` fits on validation files, tests against other scores, and writes submissions and tables."""

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pcan_pose.alignment import align
from pcan_pose.commands.evaluate import evaluate
from pcan_pose.errors import ScoreError
from pcan_pose.fusion import fuse_aligned, joint_probability
from pcan_pose.fusion_fit import fit_fusion
from pcan_pose.fusion_settings import read_settings
from pcan_pose.scores import ScoreSet, read_scores, write_scores
from pcan_pose.significance import Outcomes, bootstrap_intervals, compare
from pcan_pose.submission import submission_csv
from pcan_pose.taxonomy import MA52, Taxonomy

CLIPS = 80


def scores(split: str, stream: str, seed: int, scale: float = 1.0, **change: Any) -> ScoreSet:
    """A branch on a split, its clips in an order of its own; a split's labels are the same in every branch."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(CLIPS)
    labels = np.random.default_rng(len(split)).integers(0, MA52.num_actions, CLIPS)[order]
    action, body = rng.standard_normal((CLIPS, 52)), rng.standard_normal((CLIPS, 7))
    action[np.arange(CLIPS), labels] += 2.5
    body[np.arange(CLIPS), MA52.parent_array[labels]] += 2
    fields: dict[str, Any] = {
        "clip_ids": [f"{split}/{split}{i:04d}" for i in order],
        "labels": labels,
        "action_logits": action * scale,
        "body_logits": body * scale,
        "taxonomy": MA52,
        "stream": stream,
        "model": "m",
    }
    return ScoreSet(**{**fields, **change})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    sets = {
        "pose_test": scores("test", "pose", 1),
        "rgb_test": scores("test", "rgb", 2, 5.0),
        "pose_val": scores("val", "pose", 3),
        "rgb_val": scores("val", "rgb", 4, 5.0),
    }
    return {name: str(write_scores(tmp_path / f"{name}.parquet", of)) for name, of in sets.items()}


def run(*arguments: object, bootstrap: int = 20) -> Result:
    return CliRunner().invoke(evaluate, [*map(str, arguments), "--bootstrap", str(bootstrap)])


def works(*arguments: object, bootstrap: int = 20) -> Result:
    outcome = run(*arguments, bootstrap=bootstrap)
    assert outcome.exit_code == 0, outcome.output + str(outcome.exception)
    return outcome


def fails(*arguments: object) -> str:
    outcome = run(*arguments)
    assert isinstance(outcome.exception, ScoreError), outcome.output
    return str(outcome.exception)


@pytest.mark.parametrize("space", ["probabilities", "logits"])
def test_fitted_saved_and_applied_are_one(files: dict[str, str], tmp_path: Path, space: Any) -> None:
    test, val = [files["pose_test"], files["rgb_test"]], [files["pose_val"], files["rgb_val"]]
    fit = ["--fit", val[0], "--fit", val[1], "--fit-body-weight", "--space", space]
    saved, out = tmp_path / "fusion.json", tmp_path / "fused.parquet"
    outcome = works(*test, *fit, "--save-fusion", saved, "--out", out)
    expected = fit_fusion(align([read_scores(file) for file in val]), space=space, body_weight=True)
    settings = read_settings(saved)
    assert (settings.action, settings.body, settings.body_weight) == (
        expected.action,
        expected.body,
        expected.body_weight,
    )
    fused = fuse_aligned(align([read_scores(file) for file in test]), expected)
    joint = joint_probability(fused, expected.body_weight)
    np.testing.assert_array_equal(read_scores(out).action_logits, joint.action_logits)
    assert f"fusion of {space}, fitted on 80 clips" in outcome.output
    assert f"{expected.action.shares[0]:.3f}" in outcome.output
    assert f"body weight: {expected.body_weight:.3f}" in outcome.output
    assert f"wrote {saved}" in outcome.output.replace("\n", "")
    again = tmp_path / "again.parquet"
    works(*test, "--fusion", saved, "--out", again)
    assert again.read_bytes() == out.read_bytes()


def test_a_single_file_is_fitted_too(files: dict[str, str]) -> None:
    rows = json.loads(works(files["rgb_test"], "--fit", files["rgb_val"], "--json", "-").stdout)["rows"]
    assert [row["scores"] for row in rows] == [files["rgb_test"], "fitted"]
    assert rows[0]["metrics"] == rows[1]["metrics"]  # one temperature keeps every order


def test_clips_that_are_measured_are_not_fitted_on(files: dict[str, str], tmp_path: Path) -> None:
    own = write_scores(tmp_path / "own.parquet", scores("test", "pose", 9))
    text = fails(files["pose_test"], "--fit", own)
    assert text.startswith("80 clips are in the files to fit on and in those to measure (test/test00")
    assert "fit on a validation split, or say --allow-same-clips." in text
    outcome = works(files["pose_test"], "--fit", own, "--allow-same-clips")
    assert "80 of these clips are measured as well: the numbers are too good." in outcome.output


def test_files_in_another_order_are_refused(files: dict[str, str], tmp_path: Path) -> None:
    test = [files["pose_test"], files["rgb_test"]]
    text = fails(*test, "--fit", files["rgb_val"], "--fit", files["pose_val"])
    assert f"{test[0]}: holds scores of m/pose, but the fusion was fitted on m/rgb in this place" in text
    saved = tmp_path / "f.json"
    works(*test, "--fit", files["pose_val"], "--fit", files["rgb_val"], "--save-fusion", saved)
    assert "was fitted on m/rgb in this place" in fails(*test[::-1], "--fusion", saved)
    assert "2 weights for 1 score sets: give one each." in fails(test[0], "--fusion", saved)


def test_mismatched_duplicated_and_missing_clips_are_named(files: dict[str, str], tmp_path: Path) -> None:
    """Nothing is fused by position, in the files to measure as in those to fit on."""
    base = read_scores(files["pose_test"])
    other = Taxonomy("mine", MA52.actions[::-1], MA52.body_parts, MA52.parents)
    fields = (base.labels, base.action_logits, base.body_logits)
    wrong = write_scores(tmp_path / "tree.parquet", ScoreSet(base.clip_ids, *fields, other, "s", "m"))
    assert f"{wrong}: taxonomy 'mine' (52 actions, 7 body parts) is not the one of" in fails(files["pose_test"], wrong)
    assert "'ma52' (52 actions, 7 body parts), as names or parents differ." in fails(files["pose_test"], wrong)
    assert "taxonomy 'mine'" in fails(files["pose_test"], files["rgb_test"], "--fit", files["pose_val"], "--fit", wrong)
    short = write_scores(tmp_path / "short.parquet", base.select(np.arange(70)))
    assert f"{short}: lacks 10 of 80 clips (" in fails(files["rgb_test"], short)
    assert f"{short}: lacks 10 of 80 clips (" in fails(files["rgb_test"], "--compare", short)
    with pytest.raises(ScoreError, match="1 clip ids occur more than once"):
        ScoreSet([*base.clip_ids[:-1], base.clip_ids[0]], *fields, MA52, "s", "m")
    left = json.loads(works(files["rgb_test"], short, "--missing", "intersect", "--json", "-").stdout)["left_out"]
    assert set(left) == {files["rgb_test"]}
    assert set(left[files["rgb_test"]]) == set(base.clip_ids[70:])


def test_intervals_are_printed_and_in_the_json(files: dict[str, str]) -> None:
    outcome = works(files["pose_test"], bootstrap=50)
    assert "95 % intervals of 50 resamples of the clips (per cent)" in outcome.output
    expected = bootstrap_intervals(Outcomes.of(read_scores(files["pose_test"])), resamples=50)
    low, high = expected["f1_mean"]
    assert f"{100 * low:.2f} to {100 * high:.2f}" in outcome.output
    row = json.loads(works(files["pose_test"], "--json", "-", bootstrap=50).stdout)["rows"][0]
    assert {name: tuple(pair) for name, pair in row["intervals"].items()} == expected
    seeded = works(files["pose_test"], "--seed", "1", "--json", "-", bootstrap=50).stdout
    assert json.loads(seeded)["rows"][0]["intervals"] != row["intervals"]
    none = works(files["pose_test"], bootstrap=0).output
    assert "resamples" not in none


def test_two_systems_are_compared_by_clip(files: dict[str, str]) -> None:
    pair = align([read_scores(files["pose_test"]), read_scores(files["rgb_test"])]).sets
    expected = compare(*(Outcomes.of(of) for of in pair), resamples=30)
    command = [files["pose_test"], "--compare", files["rgb_test"]]
    got = json.loads(works(*command, "--json", "-", bootstrap=30).stdout)["comparison"]
    assert got["p_values"] == expected.p_values
    assert got["differences"] == expected.differences
    assert got["metrics"][0]["action_top1"] - got["metrics"][1]["action_top1"] == pytest.approx(
        expected.differences["action_top1"]
    )
    text = works(*command, bootstrap=30).output
    only, others = expected.discordant["action"]
    assert f"action top-1: {only} clips are right in the first only, {others} in the second only." in text
    assert "on the same 80 clips" in text.replace("\n", " ")


def test_a_subset_is_compared_on_the_subset(files: dict[str, str], tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(f"test/test{i:04d}" for i in range(30)))
    command = [files["pose_test"], "--subset", ids, "--compare", files["rgb_test"], "--json", "-"]
    content = json.loads(works(*command, bootstrap=30).stdout)
    kept = [read_scores(files[name]) for name in ("pose_test", "rgb_test")]
    kept = [of.select(np.flatnonzero(np.isin(of.clip_ids, ids.read_text().split()))) for of in kept]
    expected = compare(*(Outcomes.of(of) for of in align(kept).sets), resamples=30)
    assert content["comparison"]["differences"] == expected.differences
    with ids.open("a") as file:
        file.write("\nother")
    assert f"{files['pose_test']}: lacks 1 of the 31 clips" in fails(*command)


def test_a_fusion_is_saved_though_no_clip_has_a_label(files: dict[str, str], tmp_path: Path) -> None:
    bare = tmp_path / "bare.parquet"
    write_scores(bare, replace(read_scores(files["pose_test"]), labels=np.full(CLIPS, -1)))
    saved = tmp_path / "fusion.json"
    outcome = works(bare, "--fit", files["pose_val"], "--save-fusion", saved)
    assert "fusion.json; no clip to be measured has a label." in outcome.output.replace("\n", "")
    assert len(read_settings(saved).action.shares) == 1


def test_the_confusion_of_both_levels_is_a_table(files: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "deep" / "confusion.csv"
    report = json.loads(works(files["pose_test"], "--confusion", file, "--json", "-").stdout)["rows"][0]
    lines = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    for level, width in (("body", 7), ("action", 52)):
        matrix = np.zeros((width, width), int)
        for line in lines:
            if line["level"] == level:
                matrix[int(line["label_id"]), int(line["predicted_id"])] = int(line["clips"])
        assert matrix.tolist() == report["confusion"][level]
    assert {line["label"] for line in lines if (line["level"], line["label_id"]) == ("action", "7")} == {"tilting head"}
    assert {line["predicted"] for line in lines if (line["level"], line["predicted_id"]) == ("body", "6")} == {
        "leg-hand"
    }


def test_unlabelled_scores_are_fitted_fused_and_submitted(files: dict[str, str], tmp_path: Path) -> None:
    nothing = np.full(CLIPS, -1)
    test = [
        write_scores(tmp_path / f"{name}.parquet", scores("test", name, seed, labels=nothing))
        for name, seed in (("pose", 1), ("rgb", 2))
    ]
    clips = tmp_path / "list.txt"
    clips.write_text("".join(f"test{i:04d}.mp4 0\n" for i in range(CLIPS)))
    zipped, out = tmp_path / "s.zip", tmp_path / "fused.parquet"
    outcome = works(
        *test, "--fit", files["pose_val"], "--fit", files["rgb_val"], "--submission", zipped, "--clip-list", clips,
        "--out", out, "--save-fusion", tmp_path / "f.json",
    )  # fmt: skip
    for name in (zipped, out):
        assert f"wrote {name} (80 clips); none has a label, so nothing was measured." in outcome.output
    assert f"wrote {tmp_path / 'f.json'}" in outcome.output
    with zipfile.ZipFile(zipped) as archive:
        content = archive.read("prediction.csv")
    assert content == submission_csv(read_scores(out), [f"test{i:04d}.mp4" for i in range(CLIPS)])
    assert "80 clips for the 5586 asked for: 5506 missing (test0080" in fails(*test, "--submission", zipped)


def test_labelled_scores_are_measured_and_submitted(files: dict[str, str], tmp_path: Path) -> None:
    clips = tmp_path / "list.txt"
    clips.write_text("".join(f"test{i:04d}.mp4\n" for i in range(CLIPS)))
    outcome = works(files["pose_test"], "--submission", tmp_path / "s.zip", "--clip-list", clips)
    assert "F1_mean" in outcome.output
    assert (tmp_path / "s.zip").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fit", "VAL", "--fit", "RGB"], "2 files to fit on for 1 score files: give --fit once for each."),
        (["--fit", "TEST"], "given twice:"),
        (["--fit", "VAL", "--weights", "1"], "--weights and --fit both say how to fuse: give one of them."),
        (["--fusion", "f.json", "--space", "logits"], "leave --space out."),
        (["--fit-body-weight"], "--fit-body-weight belongs to --fit."),
        (["--allow-same-clips"], "--allow-same-clips belongs to --fit."),
        (["--save-fusion", "f.json"], "--save-fusion belongs to --fit."),
        (["--fit", "VAL", "--fit-body-weight", "--joint"], "leave --joint and --body-weight out."),
        (["--clip-list", "l.txt"], "--clip-list belongs to --submission."),
        (["--submission", "s.csv"], "--submission s.csv: name a .zip file."),
        (["--confusion", "c.png"], "--confusion c.png: name a .csv file."),
    ],
)
def test_wrong_usage_exits_with_2(files: dict[str, str], options: list[str], message: str) -> None:
    names = {"VAL": files["pose_val"], "RGB": files["rgb_val"], "TEST": files["pose_test"]}
    outcome = run(files["pose_test"], *(names.get(option, option) for option in options))
    assert outcome.exit_code == 2
    assert message in outcome.output


def test_a_comparison_needs_resamples(files: dict[str, str]) -> None:
    outcome = run(files["pose_test"], "--compare", files["rgb_test"], bootstrap=0)
    assert outcome.exit_code == 2
    assert "--compare needs resamples: give --bootstrap 2 or more." in outcome.output


def test_a_kept_body_weight_is_not_given_twice(files: dict[str, str], tmp_path: Path) -> None:
    saved = tmp_path / "f.json"
    works(files["pose_test"], "--fit", files["pose_val"], "--fit-body-weight", "--save-fusion", saved)
    assert read_settings(saved).body_weight > 0
    outcome = run(files["pose_test"], "--fusion", saved, "--joint")
    assert outcome.exit_code == 2
    assert "holds the body parts' weight: leave --joint and --body-weight out." in outcome.output
