"""The clips of a set, or of a split, in the memory of one device.

Shapes: N clips, B clips of a batch, R rows (person-frames of the kept persons), V joints, C coordinates.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pcan_pose.config import DataConfig
from pcan_pose.data.clip_index import ClipIndex
from pcan_pose.data.dataset import RaggedClips
from pcan_pose.data.memory import check_room
from pcan_pose.data.set_reader import clip_counts, clip_parts, normalised, refuse_empty
from pcan_pose.keypoints import KeypointSet, shard_paths

Integers = npt.NDArray[np.int64]


@dataclass(eq=False)
class PoseDataset(RaggedClips):
    """All clips of a set or of a split, normalised, as one ragged tensor on one device.

    Args:
        clip_ids: N names.
        labels: int64 (N,), -1 where unknown.
    """

    clip_ids: list[str]
    labels: Tensor

    @classmethod
    def from_set(cls, keypoint_set: KeypointSet, data: DataConfig, device: torch.device | str = "cpu") -> "PoseDataset":
        """Return the clips of a set in memory, in its order.

        Args:
            keypoint_set: The clips.
            data: The persons that are kept, and how clips are normalised.
            device: Where the tensors live.

        Raises:
            DataError: If clips have no frame.
        """
        persons = np.minimum(keypoint_set.persons, data.persons)
        refuse_empty(keypoint_set.clip_ids, persons * keypoint_set.frames)
        keypoints, scores = (torch.from_numpy(array).to(device) for array in normalised(keypoint_set, data))
        return cls._made(keypoint_set, persons, keypoint_set.frames, keypoints, scores, data, device)

    @classmethod
    def from_index(cls, index: ClipIndex, data: DataConfig, device: torch.device | str = "cpu") -> "PoseDataset":
        """Return the clips of an index, in its order, read from disk in the memory that they take in the end.

        Args:
            index: The clips.
            data: The persons that are kept, and how clips are normalised.
            device: Where the tensors live.

        Raises:
            DataError: If clips have no frame, the set cannot be read or is changed meanwhile, or it does not fit into
                memory.
        """
        shards = shard_paths(index.path)
        counts = [clip_counts(shard, data.persons) for shard in shards]  # (N of the shard, 2) each
        ends = np.cumsum([0, *map(len, counts)])
        index.check_unchanged()
        persons, frames = np.ascontiguousarray(np.concatenate(counts)[index.places].T)  # (N,) each
        lengths = persons * frames
        refuse_empty(index.clip_ids, lengths)
        joints, dims, rows = index.header.skeleton.num_joints, index.header.dims, int(lengths.sum())
        if torch.device(device).type == "cpu":
            check_room(index.path, 4 * rows * joints * (dims + 1))
        keypoints = torch.empty(rows, joints, dims, device=device)
        scores = torch.empty(rows, joints, device=device)
        starts = np.cumsum(lengths) - lengths
        order = np.argsort(index.places, kind="stable")  # the clips as they come
        for shard, first, last in zip(shards, ends[:-1], ends[1:], strict=True):
            here = order[slice(*np.searchsorted(index.places, [first, last], sorter=order))]
            done = 0
            for part in clip_parts(shard, index.places[here] - first):
                read = here[done : done + len(part)]
                done += len(part)
                own = lengths[read]
                targets = np.repeat(starts[read] - (np.cumsum(own) - own), own) + np.arange(own.sum())
                for whole, array in zip((keypoints, scores), normalised(part, data), strict=True):
                    whole.index_copy_(0, torch.from_numpy(targets).to(device), torch.from_numpy(array).to(device))
        index.check_unchanged()
        return cls._made(index.clips, persons, frames, keypoints, scores, data, device)

    @classmethod
    def _made(
        cls,
        clips: KeypointSet,
        persons: Integers,
        frames: Integers,
        keypoints: Tensor,
        scores: Tensor,
        data: DataConfig,
        device: torch.device | str,
    ) -> "PoseDataset":
        def moved(values: Integers) -> Tensor:
            return torch.from_numpy(values).to(device)

        return cls(
            skeleton=clips.header.skeleton,
            device=torch.device(device),
            persons=data.persons,
            keypoints=keypoints,
            scores=scores,
            starts=moved(np.cumsum(persons * frames) - persons * frames),
            frames=moved(frames),
            num_persons=moved(persons),
            clip_ids=clips.clip_ids,
            labels=moved(clips.labels),
        )

    def __len__(self) -> int:
        return len(self.clip_ids)

    def at_hand(self, batches: Iterable[Tensor]) -> Iterator[tuple[RaggedClips, Tensor]]:
        """Yield, for each batch of clips, ragged clips that hold it and the batch's places there, int64 (B,).

        Args:
            batches: int64 (B,) each, positions of the clips in the set.
        """
        return ((self, clips) for clips in batches)
