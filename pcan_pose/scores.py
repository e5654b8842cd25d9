"""The score file: what a model says about each clip, in Parquet, so that fusion and evaluation go by clip id.

One row a clip: `clip_id`, `label` (null where unknown), `action_logits`, `body_logits`. The metadata of the schema
holds the version, the taxonomy, the stream and the model, and text pairs of the writer's own.

Shapes: N clips, K_a actions, K_b body parts.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pcan_pose.atomic import atomic_write, check_file_writable
from pcan_pose.errors import ScoreError, TaxonomyError
from pcan_pose.score_set import ScoreSet, name_clips
from pcan_pose.taxonomy import Taxonomy

__all__ = ["ScoreSet", "check_scores_writable", "name_clips", "read_scores", "write_scores"]

SCHEMA_VERSION = "1"
_PREFIX = "pcan_pose."
_COLUMNS = ("clip_id", "label", "action_logits", "body_logits")


def write_scores(path: str | Path, scores: ScoreSet) -> Path:
    """The path of the score file, written whole or not at all; the same scores give the same bytes.

    Args:
        path: the Parquet file to make; an existing score file is replaced, any other file never.
        scores: what to write.

    Raises:
        ScoreError: the file cannot be written there.
    """
    path = Path(path)
    check_scores_writable(path)
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


def check_scores_writable(path: str | Path) -> None:
    """Check, before the work, that a score file may be written there.

    Args:
        path: as in `write_scores`.

    Raises:
        ScoreError: the file cannot be written there, or would replace one that is no score file.
    """
    path = Path(path)
    check_file_writable(path, ScoreError)
    # An empty file, such as one that was made to have the name, is nobody's.
    if os.path.isfile(path) and os.path.getsize(path) and not _is_score_file(path):
        raise ScoreError(f"{path}: already exists and is no score file, so it is not replaced; name another file.")


def _is_score_file(path: Path) -> bool:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return False
    return metadata.get(f"{_PREFIX}format".encode()) == b"scores"


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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
