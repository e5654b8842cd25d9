"""Clips of a set that is larger than memory: read from a map on disk, ahead of the batches that need them.

A map that fits into memory is left to the system, which has read all of it soon. Of a larger one it is asked for the
pages of the clips that come next, some batches ahead, and for nothing around them; it reads while the network works. A
thread of our own would only take turns with the loop. On a CPU batches are gathered from the mapped files themselves;
for a GPU whole clips are copied to pinned memory and sampled on the device. Batches are those of `PoseDataset`, bit for
bit. Pages belong to the system, which keeps as many as there is room for; several processes share them.

Shapes: N clips, B clips of a batch, R rows (person-frames), V joints, C coordinates.
"""

import mmap
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pcan_pose.config import DataConfig
from pcan_pose.data.clip_index import ClipIndex
from pcan_pose.data.dataset import RaggedClips
from pcan_pose.data.memory import available_bytes
from pcan_pose.data.pose_map import open_map
from pcan_pose.data.set_reader import refuse_empty
from pcan_pose.errors import DataError
from pcan_pose.skeleton import Skeleton

_AHEAD = 4
"""Batches that are asked for before their turn."""


class MappedDataset:
    """Clips of a keypoint set, normalised, in mapped files.

    Args:
        index: The clips; their order is kept.
        data: Persons, normalisation, and where maps lie.
        device: Where batches live.
        copies: Whether batches are copied from the map before they are sampled; None does so for another device
            than the CPU.

    Raises:
        DataError: If clips have no frame, the set cannot be read or its map not be written.
    """

    def __init__(
        self, index: ClipIndex, data: DataConfig, device: torch.device | str = "cpu", *, copies: bool | None = None
    ) -> None:
        self.clip_ids = index.clips.clip_ids
        self.skeleton: Skeleton = index.header.skeleton
        self.device = torch.device(device)
        self.labels = torch.from_numpy(index.labels).to(self.device)  # (N,)
        self._copies = self.device.type != "cpu" if copies is None else copies
        found = open_map(index.path, data)
        index.check_unchanged()
        starts, frames, persons = (every[index.places] for every in (found.starts, found.frames, found.persons))
        refuse_empty(self.clip_ids, frames * persons)
        rows = int((found.frames * found.persons).sum())
        joints, dims = self.skeleton.num_joints, index.header.dims
        keypoints = _MappedArray(found.keypoints, (rows, joints, dims))
        scores = _MappedArray(found.scores, (rows, joints))
        self._files = (keypoints, scores)
        room = available_bytes()
        # Half of it, as the run needs memory too.
        self._larger = room is not None and 2 * (keypoints.tensor.nbytes + scores.tensor.nbytes) > room
        if self._larger:
            for file in self._files:
                file.read_no_neighbours()
        self._clips = RaggedClips(
            skeleton=self.skeleton,
            device=torch.device("cpu"),
            persons=data.persons,
            keypoints=keypoints.tensor,
            scores=scores.tensor,
            starts=torch.from_numpy(starts),
            frames=torch.from_numpy(frames),
            num_persons=torch.from_numpy(persons),
        )

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def dims(self) -> int:
        """Coordinates of a keypoint, C."""
        return self._clips.dims

    def at_hand(self, batches: Iterable[Tensor]) -> Iterator[tuple[RaggedClips, Tensor]]:
        """Yield, for each batch of clips, ragged clips that hold it and the batch's places there, int64 (B,).

        Args:
            batches: int64 (B,) each, positions of the clips in the set.
        """
        # Copied at once: a GPU is waited for once an epoch instead of once a batch.
        wanted = [clips.cpu() for clips in batches]
        for clips in wanted[:_AHEAD]:
            self._announce(clips)
        for place, clips in enumerate(wanted):
            for later in wanted[place + _AHEAD : place + _AHEAD + 1]:
                self._announce(later)
            if self._copies:
                yield self._copy(clips), torch.arange(len(clips), device=self.device)
            else:
                yield self._clips, clips

    def _announce(self, clips: Tensor) -> None:
        """Ask the system for the clips' pages, if it does not keep all of them anyway."""
        if not self._larger:
            return
        starts, rows = self._clips.starts[clips].tolist(), self._rows(clips).tolist()
        for file in self._files:
            file.will_need(starts, rows)

    def _copy(self, clips: Tensor) -> RaggedClips:
        """Return these clips alone, on the device."""
        whole = self._clips
        lengths = self._rows(clips)  # (B,)
        ends = lengths.cumsum(0)
        starts = ends - lengths
        rows = torch.repeat_interleave(whole.starts[clips] - starts, lengths) + torch.arange(int(ends[-1]))  # (R,)
        pinned = self.device.type == "cuda"
        arrays = (
            torch.index_select(array, 0, rows, out=torch.empty(len(rows), *array.shape[1:], pin_memory=pinned))
            for array in (whole.keypoints, whole.scores)
        )
        counts = (starts, whole.frames[clips], whole.num_persons[clips])
        moved = (tensor.to(self.device, non_blocking=True) for tensor in (*arrays, *counts))
        return RaggedClips(self.skeleton, self.device, whole.persons, *moved)

    def _rows(self, clips: Tensor) -> Tensor:
        return self._clips.frames[clips] * self._clips.num_persons[clips]  # (B,)


class _MappedArray:
    """A float32 array in a .npy file, mapped read-only: a writable map would count against the memory there is."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._row_bytes = 4 * int(np.prod(shape[1:]))
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
            stored, _, _ = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
            self._offset = file.tell()
            size = os.fstat(file.fileno()).st_size
            if stored != shape or size != self._offset + shape[0] * self._row_bytes:
                raise DataError(
                    f"{path}: {size} bytes of shape {stored}, expected shape {shape}; delete the folder, and the same "
                    "command makes it again."
                )
            self._descriptor = os.dup(file.fileno())
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        array: npt.NDArray[np.float32] = np.frombuffer(self._mapped, np.float32, offset=self._offset).reshape(shape)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.tensor = torch.from_numpy(array)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read_no_neighbours(self) -> None:
        """Tell the system that the page after one that is missed is not wanted: the next clip is somewhere else."""
        self._mapped.madvise(mmap.MADV_RANDOM)

    def will_need(self, starts: list[int], rows: list[int]) -> None:
        """Ask the system to read rows; it does so while the caller goes on."""
        for start, count in zip(starts, rows, strict=True):
            place = self._offset + start * self._row_bytes
            os.posix_fadvise(self._descriptor, place, count * self._row_bytes, os.POSIX_FADV_WILLNEED)
