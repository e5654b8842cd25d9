import pytest

from pcan_pose import errors
from pcan_pose.errors import DataError, PcanError, did_you_mean, first_names


def test_an_error_prints_one_line_a_fault() -> None:
    error = DataError("a.pkl: broken.", "b.pkl: broken too.")
    assert str(error) == "a.pkl: broken.\nb.pkl: broken too."
    assert error.faults == ("a.pkl: broken.", "b.pkl: broken too.")
    assert error.exit_code == 1


def test_every_error_is_a_pcan_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 9
    assert all(issubclass(kind, PcanError) for kind in kinds)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("openpose29", " Did you mean 'openpose28'?"), ("xyz", " Known: coco17, openpose28.")],
)
def test_hints_name_the_nearest_or_all(word: str, hint: str) -> None:
    assert did_you_mean(word, ["openpose28", "coco17"]) == hint


@pytest.mark.parametrize(
    ("count", "text"), [(1, "a"), (5, "a, b, c, d, e"), (7, "a, b, c, d, e and 2 more")], ids=["1", "5", "7"]
)
def test_first_names(count: int, text: str) -> None:
    """Long lists are cut."""
    assert first_names(list("abcdefg")[:count]) == text
