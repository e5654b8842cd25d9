"""The pictures come out whole, say what they should, and need no display."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pcan_pose import report
from pcan_pose.errors import DataError
from pcan_pose.metrics import Metrics, evaluate
from pcan_pose.taxonomy import MA52, Taxonomy

SMALL = Taxonomy("small", ("nod", "shake", "rub"), ("head", "hand"), (0, 0, 1))
LONG = Taxonomy("long", ("a name that is far too long for any axis, by far", "b"), ("only",), (0, 0))


def result(taxonomy: Taxonomy, clips: int = 200, classes: int | None = None) -> Metrics:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes or taxonomy.num_actions, clips)
    action = rng.standard_normal((clips, taxonomy.num_actions))
    action[np.arange(clips), labels] += 3
    action[:, -1] -= 20
    return evaluate(action, rng.standard_normal((clips, taxonomy.num_body_parts)), labels, taxonomy)


def texts(figure: Figure) -> list[str]:
    """All that is written inside the axes."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they were saved, in order."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


@pytest.mark.parametrize("taxonomy", [SMALL, LONG], ids=lambda taxonomy: taxonomy.name)
def test_plot_evaluation_makes_three_pictures(tmp_path: Path, taxonomy: Taxonomy) -> None:
    paths = report.plot_evaluation(tmp_path / "plots", result(taxonomy), taxonomy, "a title")
    assert [path.name for path in paths] == ["confusion_body.png", "confusion_action.png", "f1_action.png"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in paths)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_pictures_of_ma52_say_that_two_names_look_swapped(tmp_path: Path, figures: list[Figure]) -> None:
    report.plot_evaluation(tmp_path, result(MA52), MA52)
    report.plot_evaluation(tmp_path, result(SMALL), SMALL)
    assert ["ids 3 and 4" in figure.axes[0].get_xlabel() for figure in figures] == [False, True, True, *[False] * 3]


def test_confusion_says_shares_counts_and_groups(tmp_path: Path, figures: list[Figure]) -> None:
    confusion = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    names = ["nod", "shake", "rub"]
    report.plot_confusion(
        tmp_path / "c.svg", confusion, names, parents=np.array([0, 0, 1]), groups=("head", "hand"), title="t"
    )
    assert texts(figures[0]) == ["75%\n3", "25%\n1", "100%\n2", "head", "hand"]
    axes = figures[0].axes[0]
    assert "grey rows: no clips" in axes.get_xlabel()
    assert np.ma.getmaskarray(axes.images[0].get_array())[2].all()
    assert [label.get_text() for label in axes.get_yticklabels()] == names


def test_a_large_confusion_writes_shares_from_five_per_cent(tmp_path: Path, figures: list[Figure]) -> None:
    confusion = np.diag(np.full(20, 96))
    confusion[0, 1], confusion[1, 0] = 4, 6
    report.plot_confusion(tmp_path / "c.png", confusion, [str(i) for i in range(20)])
    assert texts(figures[0]).count("100") == 18
    assert [text for text in texts(figures[0]) if text != "100"] == ["96", "6", "94"]


def test_f1_bars_say_counts_and_absent_classes(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = result(SMALL, classes=2)
    report.plot_class_f1(tmp_path / "f1.pdf", metrics.action.table, SMALL.actions)
    written = texts(figures[0])
    assert written[2:] == ["no clips, never predicted", f"macro F1 {metrics.action.f1_macro:.2%}"]
    assert written[0].endswith(f"n = {metrics.action.table.support[0]}")
    assert (tmp_path / "f1.pdf").read_bytes().startswith(b"%PDF")


TIMES = {"lr": 0.1, "seconds": 3.0}


def test_training_curves_by_name_and_split(tmp_path: Path, figures: list[Figure]) -> None:
    rows: list[dict[str, Any]] = [
        {"epoch": epoch, "step": step, "split": "train", "loss": 1000.0 / 10**epoch, "tree": 2.0} | TIMES
        for epoch in range(5)
        for step in range(2)
    ]
    rows += [{"epoch": epoch, "split": "val", "action_top1": epoch / 5, "note": "x", "best": True} for epoch in (3, 1)]
    rows += [{"message": "no epoch"}]
    report.plot_training(tmp_path / "t.png", rows, "run")
    losses, accuracies = figures[0].axes
    assert [line.get_label() for line in losses.lines] == ["loss (train)", "tree (train)"]
    assert losses.get_yscale() == "log"
    assert [line.get_label() for line in accuracies.lines] == ["action_top1 (val)"]
    assert np.asarray(accuracies.lines[0].get_xdata()).tolist() == [1, 3]
    np.testing.assert_allclose(np.asarray(losses.lines[0].get_ydata()), [1000, 100, 10, 1, 0.1])


@pytest.mark.parametrize("row", [{"epoch": 1, "loss": 2.0}, {"epoch": 1, "f1_mean": float("nan"), "split": "val"}])
def test_one_epoch_is_enough(tmp_path: Path, row: dict[str, Any]) -> None:
    assert report.plot_training(tmp_path / "t.png", [row]).is_file()


@pytest.mark.parametrize(
    "rows", [[], [{"epoch": 1, "lr": 0.1}], [{"loss": 1.0}]], ids=["empty", "no values", "no epoch"]
)
def test_nothing_to_draw_is_explained(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match=re.escape(f"nothing to draw in {len(rows)} rows: expected rows with 'epoch'")):
        report.plot_training(tmp_path / "t.png", rows)
    assert not list(tmp_path.iterdir())


def test_importing_the_module_imports_no_matplotlib() -> None:
    code = "import sys, pcan_pose.report; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
