"""The action tree: two levels, body parts above actions, with MA-52's own built in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import TaxonomyError
from pcan_pose.yaml_files import load_yaml


@dataclass(frozen=True)
class Taxonomy:
    """A two-level tree of labels: every action (fine level) has one body part (coarse level).

    Two trees are equal if their labels mean the same, whatever the trees are called.

    Args:
        name: What the tree is called, for example ``ma52``; for readers only.
        actions: Names of the K_a actions; the position is the label.
        body_parts: Names of the K_b body parts; the position is the label.
        parents: For each action, the position of its body part, in [0, K_b).

    Raises:
        TaxonomyError: If the sizes disagree, a parent is out of range or a body part has no action.
    """

    name: str = field(compare=False)
    actions: tuple[str, ...]
    body_parts: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        where = f"taxonomy {self.name!r}"
        if len(self.parents) != len(self.actions):
            raise TaxonomyError(
                f"{where}: {len(self.parents)} parents for {len(self.actions)} actions; each action needs a body part."
            )
        last = self.num_body_parts - 1
        faults = [
            f"{where}: action {i} ({self.actions[i]!r}) has body part {parent}, which is not in 0..{last}."
            for i, parent in enumerate(self.parents)
            if not 0 <= parent < self.num_body_parts
        ]
        childless = set(range(self.num_body_parts)) - set(self.parents)
        faults += [
            f"{where}: body part {i} ({self.body_parts[i]!r}) has no action; drop it." for i in sorted(childless)
        ]
        if faults:
            raise TaxonomyError(*faults)

    @property
    def num_actions(self) -> int:
        """Number of actions, K_a."""
        return len(self.actions)

    @property
    def num_body_parts(self) -> int:
        """Number of body parts, K_b."""
        return len(self.body_parts)

    @property
    def parent_array(self) -> npt.NDArray[np.int64]:
        """Body part of each action, int64 (K_a,)."""
        return np.asarray(self.parents, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain containers, the inverse of `from_dict`."""
        return {
            "name": self.name,
            "actions": list(self.actions),
            "body_parts": list(self.body_parts),
            "parents": list(self.parents),
        }

    def to_json(self) -> str:
        """Return the tree as one line of JSON, the form that file metadata holds."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Taxonomy":
        """Return the tree of plain containers with the keys name, actions, body_parts and parents.

        Args:
            content: The tree. The last three are lists, arrays, or mappings from 0, 1, 2 and so on.

        Raises:
            TaxonomyError: If a key is missing or has a value of the wrong kind.
        """
        missing = [key for key in ("name", "actions", "body_parts", "parents") if key not in content]
        if missing:
            raise TaxonomyError(f"taxonomy: no {', '.join(missing)}; it needs name, actions, body_parts and parents.")
        actions, body_parts, given = (_in_order(key, content[key]) for key in ("actions", "body_parts", "parents"))
        try:
            parents = tuple(int(parent) for parent in given)
            whole = all(parent == number for parent, number in zip(parents, given, strict=True))
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole:
            raise TaxonomyError(f"taxonomy: parents must be whole numbers, got {given!r}.")
        return cls(
            name=str(content["name"]),
            actions=tuple(map(str, actions)),
            body_parts=tuple(map(str, body_parts)),
            parents=parents,
        )

    @classmethod
    def from_json(cls, text: str) -> "Taxonomy":
        """Return the tree of a line of JSON.

        Raises:
            TaxonomyError: If the text is not JSON or not a tree.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise TaxonomyError(f"taxonomy: not JSON ({error}).") from error
        if not isinstance(content, dict):
            raise TaxonomyError(f"taxonomy: expected a JSON object, got {type(content).__name__}.")
        return cls.from_dict(content)

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Taxonomy":
        """Return the tree of a YAML file: a name, and a mapping from each body part to its actions.

        The order in the file gives the ids: body parts from the top, actions numbered through::

            name: interview
            tree:
              head: [nodding, shaking head]
              hands: [rubbing hands]

        Raises:
            TaxonomyError: If the file is missing, is not YAML or has another form.
        """
        path = Path(path)
        try:
            content = load_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TaxonomyError(f"{path}: cannot be read ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise TaxonomyError(f"{path}: is no text in UTF-8 ({error.reason}); save it as UTF-8.") from error
        except ValueError as error:
            raise TaxonomyError(f"{path}: not YAML ({error}).") from error
        tree = content.get("tree") if isinstance(content, dict) else None
        if not isinstance(tree, dict) or not all(isinstance(actions, list) for actions in tree.values()):
            raise TaxonomyError(f"{path}: expected the key 'tree' with a list of actions for each body part.")
        pairs = [(str(action), part) for part, actions in enumerate(tree.values()) for action in actions]
        return cls(
            name=str(content.get("name", path.stem)),
            actions=tuple(action for action, _ in pairs),
            body_parts=tuple(map(str, tree)),
            parents=tuple(part for _, part in pairs),
        )


def _in_order(key: str, values: object) -> Sequence[Any]:
    """Return the values of a list, of an array, or of a mapping from their positions.

    Raises:
        TaxonomyError: If they are something else.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return list(values.tolist())
    if isinstance(values, Mapping) and set(values) == set(range(len(values))):
        return [values[i] for i in range(len(values))]
    if isinstance(values, list | tuple):
        return values
    raise TaxonomyError(f"taxonomy: {key} must be a list, an array or a mapping from 0, 1, 2 and so on.")


_MA52_TREE: dict[str, tuple[str, ...]] = {
    # Ids 3 and 4 look swapped in the published list (the benchmark's statistics count 308 clips of turning around and
    # 15 of rising up; its train list has 9 of id 3 and 156 of id 4). The published order is kept.
    "body": ("shaking body", "sitting straightly", "shrugging", "turning around", "rising up"),
    "head": ("bowing head", "head up", "tilting head", "turning head", "nodding", "shaking head"),
    "upper limb": (
        "scratching arms",
        "playing objects",
        "putting hands together",
        "rubbing hands",
        "pointing oneself",
        "clenching fist",
        "stretching arms",
        "retracting arms",
        "waving",
        "spreading hands",
        "hands touching fingers",
        "other finger movements",
        "illustrative gestures",
    ),
    "lower limb": (
        "shaking legs",
        "curling legs",
        "spread legs",
        "closing legs",
        "crossing legs",
        "stretching feet",
        "retracting feet",
        "tiptoe",
    ),
    "body-hand": (
        "scratching or touching neck",
        "scratching or touching chest",
        "scratching or touching back",
        "scratching or touching shoulder",
        "arms akimbo",
        "crossing arms",
    ),
    "head-hand": (
        "playing or tidying hair",
        "scratching or touching hindbrain",
        "scratching or touching forehead",
        "scratching or touching face",
        "rubbing eyes",
        "touching nose",
        "touching ears",
        "covering face",
        "covering mouth",
        "pushing glasses",
    ),
    "leg-hand": ("patting legs", "touching legs", "scratching legs", "scratching feet"),
}

MA52 = Taxonomy(
    name="ma52",
    actions=tuple(action for actions in _MA52_TREE.values() for action in actions),
    body_parts=tuple(_MA52_TREE),
    parents=tuple(part for part, actions in enumerate(_MA52_TREE.values()) for _ in actions),
)
"""MA-52's action tree: 52 micro-actions of 7 body parts (TCSVT 2024, arXiv 2403.05234)."""


def find_taxonomy(name: str) -> Taxonomy:
    """Return the taxonomy of a name: ma52, in any case, or a YAML file.

    Raises:
        TaxonomyError: If it is neither, or the file is not a taxonomy's.
    """
    if name.lower() == MA52.name:
        return MA52
    if not Path(name).exists():
        raise TaxonomyError(f"taxonomy {name!r}: neither ma52 nor a file.")
    return Taxonomy.from_yaml(name)
