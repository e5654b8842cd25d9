from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pcan_pose.report.prototypes import alike_pairs, cosine_similarity, plot_similarity

PROTOTYPES = np.array([[2.0, 0], [0, 3], [3, 3], [0, 0]])
SEEN = np.array([True, True, True, False])


def test_cosines_and_unseen_classes() -> None:
    similarity = cosine_similarity(PROTOTYPES, SEEN)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(similarity[:3, :3], [[1, 0, half], [0, 1, half], [half, half, 1]], atol=1e-12)
    assert np.isnan(similarity[3]).all()
    assert np.isnan(similarity[:, 3]).all()
    # Published runs start at random numbers: what was never updated is noise, whatever its length.
    assert np.isnan(cosine_similarity(np.ones((2, 3)), np.array([True, False]))[0, 1])


def test_alike_pairs_name_each_pair_once() -> None:
    pairs = alike_pairs(cosine_similarity(PROTOTYPES, SEEN), 2)
    assert [pair[:2] for pair in pairs] == [(0, 2), (1, 2)]
    assert pairs[0][2] == pytest.approx(np.sqrt(0.5))


def draw(path: Path, classes: int, unseen: int) -> Path:
    rng = np.random.default_rng(0)
    seen = np.arange(classes) != unseen
    similarity = cosine_similarity(rng.standard_normal((classes, 6)), seen)
    names = [f"an action  {i}" for i in range(classes)]
    parents = np.arange(classes) * 2 // classes
    return plot_similarity(path, similarity, names, parents=parents, groups=("head", "hand"), title="t", note="a note")


def test_few_classes_say_their_values(tmp_path: Path, figures: list[Figure]) -> None:
    assert draw(tmp_path / "s.png", 4, unseen=1).read_bytes().startswith(b"\x89PNG")
    axes = figures[0].axes[0]
    written = [text.get_text() for text in axes.texts]
    assert written.count("1.00") == 3
    assert len(written) == 9 + 2
    assert {"head", "hand"} < set(written)
    assert "hatched: never recognised" in axes.get_xlabel()
    assert "a note" in axes.get_xlabel()
    assert sum(isinstance(patch, Rectangle) and patch.get_hatch() is not None for patch in axes.patches) == 2
    assert np.ma.getmaskarray(axes.images[0].get_array())[1].all()


def test_many_classes_mark_each_rows_nearest(tmp_path: Path, figures: list[Figure]) -> None:
    draw(tmp_path / "s.png", 20, unseen=-1)
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["head", "hand"]
    assert "hatched" not in axes.get_xlabel()
    similarity = np.asarray(axes.images[0].get_array())
    others = np.where(np.eye(20, dtype=bool), -2, similarity)
    dots = np.asarray(axes.collections[0].get_offsets())
    assert dots[:, 1].tolist() == list(range(20))
    assert dots[:, 0].tolist() == others.argmax(1).tolist()
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(i) for i in range(20)]
