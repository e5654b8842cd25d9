from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_results import LABELS, TREE, result, scores

from pcan_pose.report.ambiguity import find_ambiguous
from pcan_pose.report.drawing import COLOURS, group_colour
from pcan_pose.report.embedding_map import plot_map, plot_part_maps, project
from pcan_pose.report.prototypes import unit_rows


def test_projection_is_scikit_learns_on_rows_of_length_one() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(0)
    embeddings, prototypes = rng.standard_normal((30, 6)) * [3, 2, 1, 1, 1, 1], rng.standard_normal((4, 6))
    found = project(embeddings, prototypes, np.array([True, False, True, True]))
    reference = decomposition.PCA(2).fit(unit_rows(embeddings))
    clips, stars = reference.transform(unit_rows(embeddings)), reference.transform(unit_rows(prototypes))
    sign = np.sign((clips * found.clips).sum(0))
    np.testing.assert_allclose(found.clips, sign * clips, atol=1e-10)
    np.testing.assert_allclose(found.prototypes[[0, 2, 3]], (sign * stars)[[0, 2, 3]], atol=1e-10)
    assert np.isnan(found.prototypes[1]).all()
    np.testing.assert_allclose(found.shares, reference.explained_variance_ratio_)


def test_lengths_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((9, 4))
    one = project(embeddings, embeddings[:2], np.array([True, True]))
    other = project(embeddings * rng.uniform(0.1, 9, (9, 1)), 5 * embeddings[:2], np.array([True, True]))
    np.testing.assert_allclose(one.clips, other.clips, atol=1e-12)
    np.testing.assert_allclose(one.prototypes, other.prototypes, atol=1e-12)


@pytest.mark.parametrize(("clips", "width"), [(1, 3), (2, 3), (3, 1)])
def test_too_little_for_a_plane_is_still_drawn(clips: int, width: int) -> None:
    found = project(np.ones((clips, width)), np.ones((1, width)), np.array([True]))
    assert np.isfinite(found.clips).all()
    assert found.clips.shape == (clips, 2)
    assert found.shares == (0, 0)


def test_the_map_marks_ambiguous_clips_and_names_prototypes(tmp_path: Path, figures: list[Figure]) -> None:
    small = result()
    ambiguity = find_ambiguous(scores().action_logits, scores().body_logits, LABELS, TREE)
    drawn = (small.embeddings, small.prototypes, small.seen, ambiguity, TREE)
    plot_map(tmp_path / "map.png", *drawn, title="all")
    plot_part_maps(tmp_path / "parts.png", *drawn, title="parts")
    axes = figures[0].axes[0]
    assert [len(marks.get_offsets()) for marks in axes.collections] == [2, 2, 1, 2]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "3", "4"]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "head",
        "hand",
        "both right (2 clips)",
        "FN1 and FP: body part right, action wrong (2)",
        "FN2: body part wrong, action right (1)",
        "FN3 and FP: both wrong (2)",
        "prototype, action id",
    ]
    head, hand = figures[1].axes[:2]
    assert [len(marks.get_offsets()) for marks in head.collections] == [1, 1, 1, 1]
    assert [len(marks.get_offsets()) for marks in hand.collections] == [1, 1, 0, 1]
    assert [text.get_text() for text in head.texts] == ["0", "1"]
    assert [text.get_text() for text in hand.texts] == ["3", "4"]


def test_a_body_part_without_clips_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    small, chosen = result(), LABELS < 3
    only_head = scores().select(np.flatnonzero(chosen))
    ambiguity = find_ambiguous(only_head.action_logits, only_head.body_logits, only_head.labels, TREE)
    plot_part_maps(tmp_path / "p.png", small.embeddings[chosen], small.prototypes, ~small.seen & False, ambiguity, TREE)
    assert [text.get_text() for text in figures[0].axes[1].texts] == ["no clips"]


def test_eighteen_groups_have_colours_of_their_own() -> None:
    colours = [group_colour(group) for group in range(2 * len(COLOURS))]
    assert colours[: len(COLOURS)] == list(COLOURS)
    assert colours[len(COLOURS)] == "#003959"
    # Black has no darker shade.
    assert len(set(colours)) == 2 * len(COLOURS) - 1
