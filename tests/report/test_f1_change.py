from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pcan_pose.level_metrics import class_table
from pcan_pose.report.comparison import f1_change, plot_f1_change

RUN = class_table(np.array([[4, 0, 0, 0], [0, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 0]]))
BASELINE = class_table(np.array([[2, 0, 0, 2], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]))


def test_change_by_hand() -> None:
    # F1 of the run: 1, 2/3, 4/5; of the baseline: 2/3, 1, 1. Nobody asked for the last class.
    np.testing.assert_allclose(f1_change(RUN, BASELINE), [1 / 3, -1 / 3, -1 / 5, np.nan])


def test_each_class_says_its_change(tmp_path: Path, figures: list[Figure]) -> None:
    equal = class_table(np.array([[4, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]))
    for name, baseline in (("one", BASELINE), ("other", equal)):
        plot_f1_change(
            tmp_path / f"{name}.png",
            RUN,
            baseline,
            list("abcd"),
            run_names=("run", "baseline old"),
            parents=np.array([0, 0, 1, 1]),
            groups=("head", "hand"),
            note="a note",
        )
    written = [[text.get_text() for text in figure.axes[0].texts] for figure in figures]
    assert written[0] == ["+33.3   n = 4", "-33.3   n = 2", "-20.0   n = 2", "no clips", "head", "hand"]
    assert written[1][0] == "=   n = 4"
    colours = [text.get_color() for text in figures[0].axes[0].texts[:3]]
    assert colours[0] != colours[1] == colours[2]
    assert figures[0].axes[0].get_xlabel().endswith("a note")
    legend = figures[0].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["run, better", "run, worse", "equal", "baseline old"]
