"""Crops on disk: pictures of clips, decoded once, cut out and resized, for random access while training.

A cache is a folder of shards. A shard is ``part-00000.npy``, the pictures of some clips one after the other, uint8
(R, S, S, 3), and ``part-00000.parquet``, one row a clip. The second is written last: without it the first is what an
interrupted run left. A shard never changes; clips that are added later are in further shards. Plain arrays are read
from a memory map a third faster than Arrow's fixed-size binary, and numpy alone opens them.

Shapes: N clips, B clips of a batch, T frames, R rows of a shard (all frames of its clips), S side in pixels.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError, first_names

Pictures = npt.NDArray[np.uint8]
"""Pictures of one clip: uint8 (T, S, S, 3), RGB."""

_SCHEMA_VERSION = "1"
_PREFIX = "pcan_pose.crops."
_COLUMNS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("positions", pa.list_(pa.int32())),
        ("frames", pa.int32()),
        ("box", pa.list_(pa.float64(), 3)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("file_size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class CropSettings:
    """What decides the pictures of a cache, besides videos and keypoints.

    Args:
        size: Side of a picture in pixels, S.
        frames: Most frames stored of a clip, at even distances; None stores all.
        margin: How much larger a box is than its joints' extent, half of it on either side; 0.2 for 1.2 times.
    """

    size: int = 224
    frames: int | None = 32
    margin: float = 0.2

    @property
    def frame_bytes(self) -> int:
        """Bytes of one picture."""
        return self.size * self.size * 3

    def stored(self, frames: int) -> int:
        """Return how many frames of a clip of so many frames are stored."""
        return frames if self.frames is None else min(frames, self.frames)

    def positions(self, frames: int) -> npt.NDArray[np.int64]:
        """Return which frames of a clip are stored, int64 (T,): the middles of equal parts of the clip."""
        count = self.stored(frames)
        return (2 * np.arange(count) + 1) * frames // (2 * max(count, 1))


@dataclass(frozen=True)
class CropRecord:
    """What is stored of one clip, besides its pictures.

    Args:
        clip_id: Its clip id.
        positions: Which frames of the video are stored, T numbers from 0.
        frames: Frames of the video.
        box: Left, top and side of the square that was cut out, in the video's pixels; it may reach beyond the picture.
        width: Of the video, in pixels.
        height: Of the video, in pixels.
        file_size: Bytes of the video's file.
    """

    clip_id: str
    positions: tuple[int, ...]
    frames: int
    box: tuple[float, float, float]
    width: int
    height: int
    file_size: int


def write_crops(
    folder: Path,
    number: int,
    settings: CropSettings,
    records: Sequence[CropRecord],
    pictures: Iterable[Pictures],
    failed: Sequence[str] = (),
) -> None:
    """Write a shard; a reader sees all of it or nothing.

    Args:
        folder: The cache.
        number: The shard's number, one that the cache does not have.
        settings: What made the pictures.
        records: The clips.
        pictures: Of each clip, uint8 (T, S, S, 3), one in memory at a time.
        failed: Ids of clips that would be here if their videos were sound.
    """
    rows = sum(len(record.positions) for record in records)
    shape = (rows, settings.size, settings.size, 3)
    # Not a writable memory map: on a full disk that ends the process instead of raising.
    file_of_pictures = folder / f"part-{number:05d}.npy"
    with atomic_write(file_of_pictures) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for record, clip in zip(records, pictures, strict=True):
            assert clip.dtype == np.uint8 and clip.shape == (len(record.positions), *shape[1:])
            file.write(np.ascontiguousarray(clip).data)
    own = {"schema_version": _SCHEMA_VERSION, "failed": list(failed)}
    own |= {field.name: getattr(settings, field.name) for field in fields(settings)}
    metadata = {_PREFIX + key: json.dumps(value) for key, value in own.items()}
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS.names}
    try:
        with atomic_write(folder / f"part-{number:05d}.parquet") as temporary:
            pq.write_table(pa.table(columns, schema=_COLUMNS.with_metadata(metadata)), temporary)
    except BaseException:
        file_of_pictures.unlink()
        raise


@dataclass(frozen=True)
class CropShard:
    """What a shard says of itself.

    Args:
        number: Its number.
        settings: What made its pictures.
        failed: Ids of clips that are not in it because they failed.
        table: One row a clip, with the fields of `CropRecord`.
    """

    number: int
    settings: CropSettings
    failed: tuple[str, ...]
    table: pa.Table


def read_shards(folder: Path) -> list[CropShard]:
    """Return the finished shards of a cache, without their pictures, by number.

    Raises:
        DataError: If shards are damaged or made by another release; all of them are named.
    """
    shards, faults = [], []
    for path in sorted(folder.glob("part-*.parquet")):
        try:
            table = pq.read_table(path, partitioning=None)
            metadata = {key.decode(): value for key, value in (table.schema.metadata or {}).items()}
            own: dict[str, Any] = {
                key.removeprefix(_PREFIX): json.loads(value)
                for key, value in metadata.items()
                if key.startswith(_PREFIX)
            }
            if own.get("schema_version", _SCHEMA_VERSION) != _SCHEMA_VERSION:
                faults.append(f"{path}: schema {own['schema_version']}, this release reads {_SCHEMA_VERSION}; upgrade.")
                continue
            settings = CropSettings(**{field.name: own[field.name] for field in fields(CropSettings)})
            shard = CropShard(int(path.stem[5:]), settings, tuple(own["failed"]), table.cast(_COLUMNS))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            faults.append(f"{path}: not a shard of crops ({text}); delete it, and the same command makes it again.")
            continue
        faults += _fault(path.with_suffix(".npy"), shard)
        shards.append(shard)
    if faults:
        raise DataError(*faults)
    return shards


def _fault(path: Path, shard: CropShard) -> list[str]:
    """Return what is wrong with a shard's pictures, if anything is, without reading them."""
    rows = len(shard.table["positions"].combine_chunks().flatten())
    size = path.stat().st_size if path.exists() else 0
    if size >= rows * shard.settings.frame_bytes:
        return []
    text = f"{path}: {size} bytes, but {path.stem}.parquet speaks of {rows} pictures of {shard.settings.size} pixels"
    return [f"{text}; delete both, and the same command makes them again."]


class CropCache:
    """The finished shards of a cache, mapped into memory as they are needed.

    Args:
        path: The folder.

    Raises:
        DataError: If there are no crops, or shards are damaged or disagree.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        shards = [shard for shard in read_shards(self.path) if len(shard.table)]
        if not shards:
            raise DataError(f"{self.path}: no crops there; make them with 'pcan-pose data crops'.")
        self.settings = shards[0].settings
        if faults := [
            f"{self.path}: shard {shard.number} has {shard.settings}, the first {self.settings}; keep them apart."
            for shard in shards
            if shard.settings != self.settings
        ]:
            raise DataError(*faults)
        self.clip_ids: list[str] = [name for shard in shards for name in shard.table["clip_id"].to_pylist()]
        counts = [np.diff(shard.table["positions"].combine_chunks().offsets.to_numpy()) for shard in shards]
        self.frames: npt.NDArray[np.int64] = np.concatenate(counts).astype(np.int64)
        """Stored frames of each clip, int64 (N,)."""
        self._starts = np.concatenate([np.cumsum(count) - count for count in counts]).astype(np.int64)
        self._shards = np.repeat([shard.number for shard in shards], [len(shard.table) for shard in shards])
        self._places = {name: i for i, name in enumerate(self.clip_ids)}
        self._maps: dict[int, Pictures] = {}
        if len(self._places) < len(self.clip_ids):
            raise DataError(f"{self.path}: clips are stored twice; delete the folder and make the crops again.")

    def __len__(self) -> int:
        return len(self.clip_ids)

    def places(self, clip_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return where clips are in the cache, int64 (B,).

        Raises:
            DataError: If clips are missing; the first few are named.
        """
        missing = [name for name in clip_ids if name not in self._places]
        if missing:
            names = first_names(missing)
            raise DataError(
                f"{self.path}: {len(missing)} of {len(clip_ids)} clips have no crops: {names}; make them with "
                "'pcan-pose data crops', or take the clips out of the split."
            )
        return np.array([self._places[name] for name in clip_ids], np.int64)

    def read(self, clips: npt.NDArray[np.int64], frames: npt.NDArray[np.int64], out: Pictures) -> None:
        """Copy stored frames of clips into an array.

        Args:
            clips: int64 (B,), places in the cache.
            frames: int64 (B, T), stored frames of each, from 0.
            out: uint8 (B, T, S, S, 3), filled.
        """
        rows = self._starts[clips][:, None] + frames  # (B, T)
        for target, shard, wanted in zip(out, self._shards[clips].tolist(), rows.tolist(), strict=True):
            pictures = self._map(shard)
            for t, row in enumerate(wanted):
                target[t] = pictures[row]

    def _map(self, shard: int) -> Pictures:
        found = self._maps.get(shard)
        if found is None:
            path = self.path / f"part-{shard:05d}.npy"
            try:
                # As a plain array: indexing a memmap object costs as much as copying a picture.
                found = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
            except (OSError, ValueError) as error:
                raise DataError(f"{path}: the pictures cannot be read ({error}); make the crops again.") from error
            self._maps[shard] = found
        return found
