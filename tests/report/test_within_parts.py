from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from small_results import TREE

from pcan_pose.report.within_parts import part_confusion, plot_part_confusions

CONFUSION = np.array([[3, 1, 0, 0, 0], [0, 2, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 4, 5], [0, 0, 0, 0, 2]])


def test_the_last_column_counts_other_parts() -> None:
    assert part_confusion(CONFUSION, np.array([0, 1, 2])).tolist() == [[3, 1, 0, 0], [0, 2, 0, 2], [0, 0, 0, 0]]
    assert part_confusion(CONFUSION, np.array([3, 4])).tolist() == [[4, 5, 1], [0, 2, 0]]


def test_panels_say_shares_and_grey_rows(tmp_path: Path, figures: list[Figure]) -> None:
    plot_part_confusions(tmp_path / "c.png", CONFUSION, TREE, "t", "a note")
    head, hand = figures[0].axes
    assert [text.get_text() for text in head.texts] == ["75", "25", "50", "50"]
    assert [text.get_text() for text in hand.texts] == ["40", "50", "10", "100"]
    assert head.get_title(loc="left") == "head, 75% of clips stay inside"
    assert [label.get_text() for label in hand.get_xticklabels()] == ["3", "4", "other\nparts"]
    shares = np.ma.getmaskarray(head.collections[0].get_array()).reshape(3, 4)
    assert shares.all(axis=1).tolist() == [False, False, True]
    assert figures[0].get_supxlabel().endswith("grey rows: no clips\na note")


def test_a_part_without_clips_is_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    plot_part_confusions(tmp_path / "c.png", np.diag([1, 1, 1, 0, 0]), TREE)
    assert figures[0].axes[1].get_title(loc="left") == "hand, no clips"
