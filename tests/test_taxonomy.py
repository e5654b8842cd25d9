from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcan_pose.errors import TaxonomyError
from pcan_pose.taxonomy import MA52, Taxonomy

TREE = {"name": "t", "actions": ["nod", "wave"], "body_parts": ["head", "hand"], "parents": [0, 1]}


def test_ma52_has_the_published_sizes() -> None:
    assert (MA52.num_actions, MA52.num_body_parts) == (52, 7)
    assert [Counter(MA52.parents)[part] for part in range(7)] == [5, 6, 13, 8, 6, 10, 4]
    assert list(MA52.parents) == sorted(MA52.parents)
    assert MA52.parent_array.dtype == np.int64


def test_ma52_names_are_the_published_list(shared: Path) -> None:
    names = (shared / "ma52" / "label_name.txt").read_text().lower().split("\n")
    names = [name.strip() for name in names if name.strip()]
    assert len(names) == 52

    def plain(name: str) -> list[str]:
        return sorted("".join(c if c.isalpha() else " " for c in name).split())

    different = [
        (ours, theirs) for ours, theirs in zip(MA52.actions, names, strict=True) if plain(ours) != plain(theirs)
    ]
    assert different == []


def test_json_round_trip() -> None:
    assert Taxonomy.from_json(MA52.to_json()) == MA52
    assert Taxonomy.from_json(MA52.to_json()).name == "ma52"
    assert Taxonomy.from_dict(TREE).to_dict() == TREE


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_order_gives_the_ids(tmp_path: Path) -> None:
    text = "name: interview\ntree:\n  head: [nodding, shaking]\n  hands: [rubbing]\n"
    tree = Taxonomy.from_yaml(write(tmp_path / "tree.yaml", text))
    assert tree == Taxonomy("interview", ("nodding", "shaking", "rubbing"), ("head", "hands"), (0, 0, 1))


def test_yaml_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    """``no`` and ``on`` are words, not booleans; the file's name stands in for a missing name."""
    tree = Taxonomy.from_yaml(write(tmp_path / "gestures.yaml", "tree:\n  head: [yes, no]\n  on: [off]\n"))
    assert tree == Taxonomy("gestures", ("yes", "no", "off"), ("head", "on"), (0, 0, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tree: [a, b]", "expected the key 'tree' with a list of actions for each body part."),
        ("- a", "expected the key 'tree' with a list of actions for each body part."),
        ("tree: {head: nod}", "expected the key 'tree' with a list of actions for each body part."),
        ("tree: {head: [", "not YAML ("),
    ],
)
def test_yaml_of_another_form(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "tree.yaml", text)
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_yaml(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_yaml(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: cannot be read (No such file or directory)."


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"parents": [0]}, ["taxonomy 't': 1 parents for 2 actions; each action needs a body part."]),
        (
            {"parents": [2, -1]},
            [
                "taxonomy 't': action 0 ('nod') has body part 2, which is not in 0..1.",
                "taxonomy 't': action 1 ('wave') has body part -1, which is not in 0..1.",
                "taxonomy 't': body part 0 ('head') has no action; drop it.",
                "taxonomy 't': body part 1 ('hand') has no action; drop it.",
            ],
        ),
        ({"parents": [0, "x"]}, ["taxonomy: parents must be whole numbers, got [0, 'x']."]),
        ({"parents": [0, 0.9]}, ["taxonomy: parents must be whole numbers, got [0, 0.9]."]),
        ({"parents": np.array([0.0, 1.5])}, ["taxonomy: parents must be whole numbers, got [0.0, 1.5]."]),
        ({"parents": [0, float("nan")]}, ["taxonomy: parents must be whole numbers, got [0, nan]."]),
        ({"parents": [0, float("inf")]}, ["taxonomy: parents must be whole numbers, got [0, inf]."]),
        ({"parents": [0, None]}, ["taxonomy: parents must be whole numbers, got [0, None]."]),
        (
            {"parents": {1: 0, 2: 1}},
            ["taxonomy: parents must be a list, an array or a mapping from 0, 1, 2 and so on."],
        ),
        (
            {"parents": np.zeros((2, 1))},
            ["taxonomy: parents must be a list, an array or a mapping from 0, 1, 2 and so on."],
        ),
        ({"actions": "ab"}, ["taxonomy: actions must be a list, an array or a mapping from 0, 1, 2 and so on."]),
    ],
)
def test_all_faults_of_a_tree(change: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_dict({**TREE, **change})
    assert list(caught.value.faults) == messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "taxonomy: not JSON ("),
        ("[]", "taxonomy: expected a JSON object, got list."),
        ('{"name": "t", "actions": []}', "taxonomy: no body_parts, parents; it needs"),
    ],
)
def test_json_of_another_form(text: str, message: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_json(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "parents",
    [np.array([0, 1]), np.array([0, 1], np.uint8), np.array([0.0, 1.0]), {1: 1, 0: 0}, (0, 1), [0, np.int16(1)]],
)
def test_arrays_and_mappings_are_read_in_order(parents: Any) -> None:
    tree = Taxonomy.from_dict({**TREE, "actions": np.array(["nod", "wave"]), "parents": parents})
    assert tree.to_dict() == TREE
    assert all(type(parent) is int for parent in tree.parents)


def test_the_name_is_for_readers_only() -> None:
    tree = Taxonomy.from_dict(TREE)
    assert replace(tree, name="test") == tree
    assert hash(replace(tree, name="test")) == hash(tree)
    for change in ({"actions": ("wave", "nod")}, {"body_parts": ("hand", "head")}, {"parents": (1, 0)}):
        assert replace(tree, **change) != tree
