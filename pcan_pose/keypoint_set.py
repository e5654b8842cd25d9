"""A keypoint set in memory: clips as ragged arrays, and as an Arrow table.

Shapes: N clips, M persons, T frames, V joints, C coordinates (2 in pixels or 3 in metres), R rows = sum of M x T.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pcan_pose.clips import Clip, Header
from pcan_pose.errors import DataError, first_faults

_COLUMNS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("split", pa.list_(pa.string())),
        ("label", pa.int32()),
        ("subject", pa.string()),
        ("fps", pa.float32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frames", pa.int32()),
        ("persons", pa.int32()),
        ("keypoints", pa.large_list(pa.float32())),
        ("scores", pa.large_list(pa.float32())),
        ("source", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class KeypointSet:
    """Many clips, their frames concatenated.

    Args:
        header: What all clips share.
        clip_ids: N names.
        splits: For each clip the splits that it is in.
        labels: int64 (N,), -1 where unknown.
        subjects: For each clip who is seen, or None.
        fps: float32 (N,), frames a second, NaN where unknown.
        width: int32 (N,) pixels, 0 where unknown.
        height: int32 (N,) pixels, 0 where unknown.
        frames: int64 (N,), T of each clip.
        persons: int64 (N,), M of each clip.
        sources: For each clip where it came from, or None.
        keypoints: float32 (R, V, C); clip i has the rows offsets[i]:offsets[i + 1], person after person.
        scores: float32 (R, V) in [0, 1].
    """

    header: Header
    clip_ids: list[str]
    splits: list[tuple[str, ...]]
    labels: npt.NDArray[np.int64]
    subjects: list[str | None]
    fps: npt.NDArray[np.float32]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    frames: npt.NDArray[np.int64]
    persons: npt.NDArray[np.int64]
    sources: list[str | None]
    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.clip_ids)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """First row of each clip, and R at the end, int64 (N + 1,)."""
        return np.concatenate([[0], np.cumsum(self.frames * self.persons)]).astype(np.int64)

    def clip(self, i: int) -> Clip:
        """Return clip i as a view, without a copy of its arrays."""
        rows = slice(self.offsets[i], self.offsets[i + 1])
        shape = (int(self.persons[i]), int(self.frames[i]), *self.keypoints.shape[1:])
        return Clip(
            clip_id=self.clip_ids[i],
            keypoints=self.keypoints[rows].reshape(shape),
            scores=self.scores[rows].reshape(shape[:-1]),
            splits=self.splits[i],
            label=int(self.labels[i]) if self.labels[i] >= 0 else None,
            subject=self.subjects[i],
            fps=float(self.fps[i]) if np.isfinite(self.fps[i]) else None,
            width=int(self.width[i]) or None,
            height=int(self.height[i]) or None,
            source=self.sources[i],
        )

    def clips(self) -> Iterator[Clip]:
        """Yield every clip in order."""
        return (self.clip(i) for i in range(len(self)))

    def split_names(self) -> list[str]:
        """Return the names of all splits, sorted."""
        return sorted({name for names in self.splits for name in names})

    def in_split(self, name: str) -> npt.NDArray[np.int64]:
        """Return the positions of the clips of a split, int64, in the set's order.

        Raises:
            DataError: If no clip is in that split.
        """
        found = np.array([i for i, names in enumerate(self.splits) if name in names], dtype=np.int64)
        if not len(found):
            known = self.split_names()
            raise DataError(f"no clip is in split {name!r}; the set has {', '.join(known) if known else 'no splits'}.")
        return found

    def select(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> "KeypointSet":
        """Return the clips at these positions, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = (self.frames * self.persons)[chosen]
        ends = np.cumsum(lengths)
        # Row r of the result belongs to the clip whose range holds it; its place there is r minus the range's start.
        rows = np.repeat(self.offsets[chosen] - (ends - lengths), lengths) + np.arange(lengths.sum())
        return KeypointSet(
            header=self.header,
            clip_ids=[self.clip_ids[i] for i in chosen],
            splits=[self.splits[i] for i in chosen],
            labels=self.labels[chosen],
            subjects=[self.subjects[i] for i in chosen],
            fps=self.fps[chosen],
            width=self.width[chosen],
            height=self.height[chosen],
            frames=self.frames[chosen],
            persons=self.persons[chosen],
            sources=[self.sources[i] for i in chosen],
            keypoints=self.keypoints[rows],
            scores=self.scores[rows],
        )

    def with_splits(self, splits: Sequence[tuple[str, ...]]) -> "KeypointSet":
        """Return the same clips in other splits."""
        return replace(self, splits=list(splits))

    @classmethod
    def from_clips(cls, header: Header, clips: Iterable[Clip]) -> "KeypointSet":
        """Return the set of these clips.

        Raises:
            DataError: One line for each clip whose arrays do not have the header's shape.
        """
        clips = list(clips)
        joints, dims = header.skeleton.num_joints, header.dims
        faults = [
            f"clip {clip.clip_id!r}: keypoints {clip.keypoints.shape} and scores {clip.scores.shape}; layout "
            f"{header.layout!r} needs (M, T, {joints}, {dims}) and (M, T, {joints})."
            for clip in clips
            if clip.keypoints.ndim != 4
            or clip.keypoints.shape[2:] != (joints, dims)
            or clip.scores.shape != clip.keypoints.shape[:-1]
        ]
        if faults:
            raise DataError(*faults)
        empty = np.empty((0, joints, dims), np.float32)
        rows = [np.asarray(clip.keypoints, np.float32).reshape(-1, joints, dims) for clip in clips]
        scores = [np.asarray(clip.scores, np.float32).reshape(-1, joints) for clip in clips]
        return cls(
            header=header,
            clip_ids=[clip.clip_id for clip in clips],
            splits=[tuple(clip.splits) for clip in clips],
            labels=np.array([-1 if clip.label is None else clip.label for clip in clips], np.int64),
            subjects=[clip.subject for clip in clips],
            fps=np.array([np.nan if clip.fps is None else clip.fps for clip in clips], np.float32),
            width=np.array([clip.width or 0 for clip in clips], np.int32),
            height=np.array([clip.height or 0 for clip in clips], np.int32),
            frames=np.array([clip.keypoints.shape[1] for clip in clips], np.int64),
            persons=np.array([clip.keypoints.shape[0] for clip in clips], np.int64),
            sources=[clip.source for clip in clips],
            keypoints=np.concatenate([empty, *rows]),
            scores=np.concatenate([empty[..., 0], *scores]),
        )

    def to_table(self) -> pa.Table:
        """Return the set as an Arrow table, one row a clip, the header in its metadata."""
        _, joints, dims = self.keypoints.shape
        columns = [
            pa.array(self.clip_ids, pa.string()),
            pa.array([list(names) for names in self.splits], pa.list_(pa.string())),
            pa.array(self.labels.astype(np.int32), mask=self.labels < 0),
            pa.array(self.subjects, pa.string()),
            pa.array(self.fps, mask=np.isnan(self.fps)),
            pa.array(self.width, mask=self.width == 0),
            pa.array(self.height, mask=self.height == 0),
            pa.array(self.frames.astype(np.int32)),
            pa.array(self.persons.astype(np.int32)),
            pa.LargeListArray.from_arrays(self.offsets * joints * dims, pa.array(self.keypoints.reshape(-1))),
            pa.LargeListArray.from_arrays(self.offsets * joints, pa.array(self.scores.reshape(-1))),
            pa.array(self.sources, pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=_COLUMNS.with_metadata(self.header.to_metadata()))

    @classmethod
    def from_table(cls, table: pa.Table, where: object) -> "KeypointSet":
        """Return the set of an Arrow table.

        Args:
            table: One row a clip, with a header in its metadata.
            where: What to name in an error.

        Raises:
            DataError: If columns are missing, or an array's length does not fit its clip's frames.
        """
        header = Header.from_metadata(table.schema.metadata, where)
        joints, dims = header.skeleton.num_joints, header.dims
        missing = [name for name in _COLUMNS.names if name not in table.column_names]
        if missing:
            raise DataError(f"{where}: columns {', '.join(missing)} are missing; extract or import the set again.")
        try:
            table = table.select(_COLUMNS.names).cast(_COLUMNS).combine_chunks()
        except pa.ArrowException as error:
            raise DataError(f"{where}: columns of other types ({error}); extract or import the set again.") from error
        # An unknown count fits no array, which the check below says.
        frames, persons = (table[name].fill_null(-1).to_numpy().astype(np.int64) for name in ("frames", "persons"))
        arrays = {}
        for name, width in (("keypoints", joints * dims), ("scores", joints)):
            column = table[name].combine_chunks()
            lengths = np.diff(column.offsets.to_numpy())
            wrong = np.flatnonzero(lengths != frames * persons * width)
            if len(wrong):
                faults = [
                    f"{where}: clip {table['clip_id'][i].as_py()!r} has {lengths[i]} values in {name}, expected "
                    f"{persons[i]} persons x {frames[i]} frames x {width}; extract or import it again."
                    for i in wrong.tolist()
                ]
                raise DataError(*first_faults(faults))
            # A null among the numbers becomes NaN, which the validation names.
            arrays[name] = column.flatten().to_numpy(zero_copy_only=False)
        return cls(
            header=header,
            clip_ids=table["clip_id"].to_pylist(),
            splits=[tuple(names or ()) for names in table["split"].to_pylist()],
            labels=table["label"].fill_null(-1).to_numpy().astype(np.int64),
            subjects=table["subject"].to_pylist(),
            fps=table["fps"].fill_null(np.nan).to_numpy(),
            width=table["width"].fill_null(0).to_numpy(),
            height=table["height"].fill_null(0).to_numpy(),
            frames=frames,
            persons=persons,
            sources=table["source"].to_pylist(),
            keypoints=arrays["keypoints"].reshape(-1, joints, dims),
            scores=arrays["scores"].reshape(-1, joints),
        )
