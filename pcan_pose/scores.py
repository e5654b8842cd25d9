"""The score file: what a model says about each clip, in Parquet, so that fusion and evaluation go by clip id.

One row a clip: `clip_id`, `label` (null where unknown), `action_logits`, `body_logits`. The metadata of the schema
holds the version, the taxonomy, the stream and the model, and text pairs of the writer's own.

Shapes: N clips, K_a actions, K_b body parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import ScoreError, TaxonomyError
from pcan_pose.taxonomy import Taxonomy

SCHEMA_VERSION = "1"
_PREFIX = "pcan_pose."
_COLUMNS = ("clip_id", "label", "action_logits", "body_logits")


@dataclass(frozen=True, eq=False)
class ScoreSet:
    """The scores of N clips by one model, or by several fused.

    Args:
        clip_ids: N names, each once.
        labels: (N,) integer action ids, -1 where unknown; kept as int64.
        action_logits: (N, K_a) float, finite; kept as float32.
        body_logits: (N, K_b) float, finite; kept as float32.
        taxonomy: the two levels.
        stream: what the model saw, for example `joint` or `rgb`.
        model: what the model is called.
        extra: text pairs of the writer's own, kept in the file's metadata.

    Raises:
        ScoreError: wrong shapes or kinds, duplicate ids, labels out of range, non-finite logits; all of them at once.
    """

    clip_ids: Sequence[str]
    labels: npt.NDArray[np.integer[Any]]
    action_logits: npt.NDArray[np.floating[Any]]
    body_logits: npt.NDArray[np.floating[Any]]
    taxonomy: Taxonomy
    stream: str
    model: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = tuple(self.clip_ids)
        faults = []
        if duplicates := _duplicates(ids):
            faults.append(f"{len(duplicates)} clip ids occur more than once ({first_names(duplicates)}).")
        if self.labels.shape != (len(ids),) or self.labels.dtype.kind not in "iu":
            faults.append(
                f"labels have shape {self.labels.shape} and type {self.labels.dtype}, expected ({len(ids)},) integers."
            )
        else:
            outside = (self.labels < -1) | (self.labels >= self.taxonomy.num_actions)
            if outside.any():
                last = self.taxonomy.num_actions - 1
                faults.append(f"labels are outside 0..{last} (-1: unknown) in {name_clips(outside, ids)}.")
        for name, logits, width in (
            ("action_logits", self.action_logits, self.taxonomy.num_actions),
            ("body_logits", self.body_logits, self.taxonomy.num_body_parts),
        ):
            if logits.shape != (len(ids), width) or logits.dtype.kind != "f":
                faults.append(
                    f"{name} have shape {logits.shape} and type {logits.dtype}, expected ({len(ids)}, {width}) floats: "
                    f"one column a class of taxonomy {self.taxonomy.name!r}."
                )
            elif (broken := ~np.isfinite(logits).all(axis=1)).any():
                faults.append(f"{name} are not finite in {name_clips(broken, ids)}.")
        if faults:
            raise ScoreError(*faults)
        object.__setattr__(self, "clip_ids", ids)
        object.__setattr__(self, "labels", self.labels.astype(np.int64, copy=False))
        for name in ("action_logits", "body_logits"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.clip_ids)

    def select(self, rows: npt.NDArray[np.int64]) -> "ScoreSet":
        """The scores of some clips, in the order of `rows`.

        Args:
            rows: (n,) int64 positions in [0, N), each once.
        """
        return ScoreSet(
            clip_ids=[self.clip_ids[row] for row in rows.tolist()],
            labels=self.labels[rows],
            action_logits=self.action_logits[rows],
            body_logits=self.body_logits[rows],
            taxonomy=self.taxonomy,
            stream=self.stream,
            model=self.model,
            extra=self.extra,
        )


def first_names(names: Sequence[str], limit: int = 5) -> str:
    """'a, b, c, d, e and 7 more': enough to find the fault, short enough to read.

    Args:
        names: what to name, in order.
        limit: how many are written out.
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def name_clips(mask: npt.ArrayLike, clip_ids: Sequence[str] | None) -> str:
    """'3 of 10 clips (a, b, c)', for error messages.

    Args:
        mask: (N,) bool, the clips meant.
        clip_ids: N names; None names rows.
    """
    names = [f"row {row}" if clip_ids is None else clip_ids[row] for row in np.flatnonzero(mask).tolist()]
    return f"{len(names)} of {np.size(mask)} clips ({first_names(names)})"


def write_scores(path: str | Path, scores: ScoreSet) -> Path:
    """The path of the score file, written whole or not at all; the same scores give the same bytes.

    Args:
        path: the Parquet file to make; an existing one is replaced.
        scores: what to write.

    Raises:
        ScoreError: the file cannot be written there.
    """
    path = Path(path)
    header = {
        "format": "scores",
        "schema_version": SCHEMA_VERSION,
        "taxonomy": scores.taxonomy.to_json(),
        "stream": scores.stream,
        "model": scores.model,
        **{f"extra.{key}": value for key, value in sorted(scores.extra.items())},
    }
    metadata: dict[bytes | str, bytes | str] = {_PREFIX + key: value for key, value in header.items()}
    columns = [
        pa.array(scores.clip_ids, pa.string()),
        pa.array(scores.labels.astype(np.int32), mask=scores.labels < 0),
        _fixed_size_lists(scores.action_logits),
        _fixed_size_lists(scores.body_logits),
    ]
    fields = [
        pa.field(name, column.type, nullable=name == "label") for name, column in zip(_COLUMNS, columns, strict=True)
    ]
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=metadata))
    try:
        with atomic_write(path) as temporary:
            pq.write_table(
                table,
                temporary,
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                write_page_checksum=True,
            )
    except OSError as error:
        raise ScoreError(f"{path}: cannot be written ({error.strerror or error}).") from error
    return path


def read_scores(path: str | Path) -> ScoreSet:
    """The scores of a file.

    Args:
        path: a Parquet file of `write_scores`, or one of another program with the same columns and metadata.

    Raises:
        ScoreError: a missing, damaged or foreign file, and every fault that `ScoreSet` finds; each names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise ScoreError(f"{path}: {'a folder, not a score file' if path.exists() else 'there is no such file'}.")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            taxonomy, header = _read_header(file.schema_arrow.metadata or {})
            _check_columns(file.schema_arrow)
            table = file.read(columns=list(_COLUMNS))
    except ScoreError as error:
        raise ScoreError(*(f"{path}: {fault}" for fault in error.faults)) from None
    except (pa.ArrowException, OSError) as error:
        hint = " Scores in a pickle come in with pcan-pose data import-scores." if path.suffix == ".pkl" else ""
        raise ScoreError(f"{path}: not a Parquet file, cut short or damaged ({_first_line(error)}).{hint}") from error
    try:
        return _to_score_set(table, taxonomy, header)
    except ScoreError as error:
        raise ScoreError(*(f"{path}: {fault}" for fault in error.faults)) from None


def _read_header(metadata: Mapping[bytes, bytes]) -> tuple[Taxonomy, dict[str, Any]]:
    text = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}
    own = {key.removeprefix(_PREFIX): value for key, value in text.items() if key.startswith(_PREFIX)}
    if own.get("format") != "scores":
        raise ScoreError("a Parquet file, but not a score file: its metadata does not say so (pcan_pose.format).")
    version = own.get("schema_version", "unknown")
    if version != SCHEMA_VERSION:
        raise ScoreError(f"schema version {version}, this release reads {SCHEMA_VERSION}; upgrade pcan-pose.")
    if missing := [key for key in ("taxonomy", "stream", "model") if key not in own]:
        raise ScoreError(f"its metadata lack {', '.join(_PREFIX + key for key in missing)}; write it again.")
    try:
        taxonomy = Taxonomy.from_json(own["taxonomy"])
    except TaxonomyError as error:
        raise ScoreError(*error.faults) from error
    return taxonomy, {
        "stream": own["stream"],
        "model": own["model"],
        "extra": {key.removeprefix("extra."): value for key, value in own.items() if key.startswith("extra.")},
    }


def _check_columns(schema: pa.Schema) -> None:
    faults = []
    for name in _COLUMNS:
        if schema.get_field_index(name) < 0:
            faults.append(f"column {name} is missing; it has {', '.join(schema.names)}.")
            continue
        kind = schema.field(name).type
        if name == "clip_id":
            fits, expected = pa.types.is_string(kind) or pa.types.is_large_string(kind), "text"
        elif name == "label":
            fits, expected = pa.types.is_integer(kind), "integers"
        else:
            fits, expected = _is_list(kind) and pa.types.is_floating(kind.value_type), "lists of floats"
        if not fits:
            faults.append(f"column {name} holds {kind}, expected {expected}.")
    if faults:
        raise ScoreError(*faults)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _to_score_set(table: Any, taxonomy: Taxonomy, header: dict[str, Any]) -> ScoreSet:
    if nulls := table["clip_id"].null_count:
        raise ScoreError(f"{nulls} of {len(table)} rows have no clip_id.")
    ids = table["clip_id"].to_pylist()
    widths = {"action_logits": taxonomy.num_actions, "body_logits": taxonomy.num_body_parts}
    faults = []
    for name, width in widths.items():
        lengths = np.asarray(pc.list_value_length(table[name]).fill_null(0))
        wrong = np.asarray(lengths != width)
        if wrong.any():
            faults.append(
                f"{name} have {int(lengths[wrong][0])} values, expected {width} (taxonomy {taxonomy.name!r}), "
                f"in {name_clips(wrong, ids)}."
            )
    if faults:
        raise ScoreError(*faults)
    return ScoreSet(
        clip_ids=ids,
        labels=table["label"].cast(pa.int64()).fill_null(-1).to_numpy(),
        action_logits=_matrix(table["action_logits"], widths["action_logits"]),
        body_logits=_matrix(table["body_logits"], widths["body_logits"]),
        taxonomy=taxonomy,
        **header,
    )


def _fixed_size_lists(logits: npt.NDArray[np.floating[Any]]) -> Any:
    kind: Any = pa.list_(pa.field("element", pa.float32(), nullable=False), logits.shape[1])
    values: Any = pa.array(logits.reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(values, type=kind)


def _matrix(column: Any, width: int) -> npt.NDArray[np.floating[Any]]:
    """(N, K) float, one copy at most; a null inside a list becomes NaN, which `ScoreSet` names."""
    values: npt.NDArray[np.floating[Any]] = pc.list_flatten(column).to_numpy()
    return values.reshape(-1, width)


def _duplicates(ids: tuple[str, ...]) -> list[str]:
    if len(set(ids)) == len(ids):
        return []
    names, counts = np.unique(np.asarray(ids, dtype=object), return_counts=True)
    return [str(name) for name in names[counts > 1]]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
