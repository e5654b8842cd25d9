import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from pcan_pose.report.drawing import new_figure, save


def written(*texts: str) -> Figure:
    """Return a figure that says the first text on its axis, in its legend and everywhere else."""
    figure = new_figure(2, 2)
    axes = figure.add_subplot()
    name = texts[0]
    axes.plot([0, 1], [1, 1000], label=name)
    axes.legend()
    axes.set_xticks([0, 1], [name, name])
    axes.set_xlabel(name)
    axes.set_title(name, loc="left")
    axes.annotate(name, (0, 1))
    figure.suptitle(name)
    figure.supxlabel(name)
    for text in texts[1:]:
        axes.text(0.5, 1, text)
    return figure


@pytest.mark.parametrize("text", ["$_$", "a$x_{$b", "$5 or $6", "$"])
def test_dollars_are_drawn_as_they_are(tmp_path: Path, text: str) -> None:
    figure = written(text)
    assert save(figure, tmp_path / "p.png").is_file()
    (axes,) = figure.axes
    (annotation,) = axes.texts
    legend = axes.get_legend()
    assert legend is not None
    for drawn in (annotation, axes.xaxis.label, *axes.get_xticklabels(), *legend.get_texts()):
        assert drawn.get_text() == text
        assert not drawn.get_parse_math()


def test_powers_on_a_logarithmic_axis_stay_formulas(tmp_path: Path) -> None:
    figure = written("$_$")
    figure.axes[0].set_yscale("log")
    save(figure, tmp_path / "p.png")
    powers = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert powers and all(label.get_text().startswith("$") for label in powers)
    assert all(label.get_parse_math() for label in powers)


def test_letters_that_the_font_lacks_are_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcan_pose.report.drawing._told", set())
    for name in ("a.png", "b.png"):
        save(written("点头"), tmp_path / name)
    assert caplog.messages == ["pictures: the font lacks 点 头, which are drawn as boxes."]
    save(written("点手"), tmp_path / "c.png")
    assert caplog.messages[1:] == ["pictures: the font lacks 手, which are drawn as boxes."]


def test_other_warnings_are_not_kept_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: warnings.warn("look here", UserWarning, stacklevel=1))
    with pytest.raises(UserWarning, match="look here"):
        save(new_figure(1, 1), tmp_path / "p.png")
