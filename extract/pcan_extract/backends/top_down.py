"""What estimators share that look for people first and for joints in their boxes.

Shapes: T frames, P people in one frame, M persons kept, V joints, H rows, W columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.base import Estimate
from pcan_extract.tracking import FramePoses, follow
from pcan_extract.video import Frame, VideoInfo

Floats = npt.NDArray[np.float32]


class TopDown(ABC):
    """Boxes, then joints, in batches of one video's frames; then everybody is followed through the video.

    Batches end with the video, so that a clip's numbers depend on no other clip, on the order of the clips, or on the
    number of workers.

    Args:
        batch_size: Frames that are detected in and estimated at once, >= 1.
        persons: People to keep, >= 1.
        joints: V.
    """

    def __init__(self, *, batch_size: int, persons: int, joints: int) -> None:
        self._batch_size = batch_size
        self._persons = persons
        self._joints = joints

    @abstractmethod
    def find_people(self, frames: Sequence[Frame]) -> list[Floats]:
        """Return the boxes of the people in each frame, float32 (P, 4): left, top, right, bottom in pixels.

        Args:
            frames: Pictures of one size.
        """

    @abstractmethod
    def find_joints(self, frames: Sequence[Frame], boxes: Sequence[Floats]) -> list[tuple[Floats, Floats]]:
        """Return each frame's keypoints (P, V, 2), in pixels, and scores (P, V) in [0, 1].

        Args:
            frames: Pictures of one size.
            boxes: The people in each, (P, 4); P may be 0.
        """

    def estimate(self, frames: Iterator[Frame], info: VideoInfo) -> Estimate:
        """Return the poses of one video; see `PoseBackend.estimate`."""
        poses: list[FramePoses] = []
        size = info.width, info.height
        for batch in _batched(frames, self._batch_size):
            size = batch[0].shape[1], batch[0].shape[0]
            boxes = self.find_people(batch)
            found = self.find_joints(batch, boxes)
            poses += [FramePoses(*joints, box) for joints, box in zip(found, boxes, strict=True)]
        return follow(
            poses,
            persons=self._persons,
            joints=self._joints,
            width=size[0],
            height=size[1],
            patience=max(1, round(info.fps)),
        )


def whole_picture(frames: Sequence[Frame]) -> list[Floats]:
    """Return one box for each frame that holds all of it, float32 (1, 4)."""
    return [np.array([[0, 0, frame.shape[1], frame.shape[0]]], np.float32) for frame in frames]


def _batched(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while batch := list(islice(frames, size)):
        yield batch
