"""What estimators share that look for people first and for joints in their boxes.

Shapes: T frames, P people in one frame, N crops, M persons kept, V joints, H rows, W columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.base import Estimate, Estimated
from pcan_extract.backends.batching import Answers, Crops, fill_batches
from pcan_extract.decoding import DecodeAhead
from pcan_extract.tracking import FramePoses, follow
from pcan_extract.video import Frame, VideoInfo

Floats = npt.NDArray[np.float32]
Joints = tuple[Floats, Floats]
"""Keypoints (..., V, 2), in pixels, and scores (..., V) in [0, 1]."""

Crop = TypeVar("Crop")


@dataclass
class _Sights:
    """Who is where in one video.

    Args:
        boxes: The people of each frame so far, (P, 4).
        width: Of the pictures, in pixels.
        height: As width.
        patience: Frames for which a lost person is looked for nearby.
    """

    boxes: list[Floats] = field(default_factory=list)
    width: int = 0
    height: int = 0
    patience: int = 1


class TopDown(ABC, Generic[Crop]):
    """Boxes, then joints, in batches of crops; then everybody is followed through the video.

    A clip's numbers shall depend on no other clip, on the order of the clips, or on the number of workers. So people
    are looked for in the frames of one video at a time, and batches of crops either end with the video or all have one
    size, the last one filled up: a network's arithmetic for a crop depends on the size of its batch, but not on the
    crops beside it.

    Args:
        batch_size: Frames that are detected in, and crops that are estimated, at once, >= 1.
        persons: People to keep, >= 1.
        joints: V.
        across_videos: Whether a batch goes on with the next video's crops. On a GPU a small batch takes as long as a
            large one; on a CPU nothing is gained.

    Attributes:
        across_videos: As given.
    """

    def __init__(self, *, batch_size: int, persons: int, joints: int, across_videos: bool) -> None:
        self._batch_size = batch_size
        self._persons = persons
        self._joints = joints
        self.across_videos = across_videos

    @abstractmethod
    def find_people(self, frames: Sequence[Frame]) -> list[Floats]:
        """Return the boxes of the people in each frame, float32 (P, 4): left, top, right, bottom in pixels.

        Args:
            frames: Pictures of one size.
        """

    @abstractmethod
    def cut_out(self, frames: Sequence[Frame], boxes: Sequence[Floats]) -> Crops[Crop]:
        """Yield what the network needs of each person, frame by frame.

        Args:
            frames: Pictures of one size.
            boxes: The people in each, (P, 4); P may be 0.
        """

    @abstractmethod
    def run_network(self, crops: Sequence[Crop]) -> Joints:
        """Return the keypoints (N, V, 2) of a batch, in their pictures' pixels, and scores (N, V) in [0, 1].

        Args:
            crops: The batch, not empty; one crop may be in it more than once.
        """

    def find_joints(self, frames: Sequence[Frame], boxes: Sequence[Floats]) -> list[Joints]:
        """Return each frame's keypoints (P, V, 2) and scores (P, V).

        Args:
            frames: Pictures of one size.
            boxes: The people in each, (P, 4); P may be 0.
        """
        (answers,) = fill_batches([self.cut_out(frames, boxes)], self._rows, self._batch_size)
        return self._by_frame(answers, boxes)

    def estimate(self, frames: Iterator[Frame], info: VideoInfo) -> Estimate:
        """Return the poses of one video; see `PoseBackend.estimate`."""
        sights = _Sights()
        (answers,) = fill_batches([self._crops(frames, info, sights)], self._rows, self._batch_size)
        return self._followed(answers, sights)

    def estimate_all(self, videos: Iterable[DecodeAhead]) -> Iterator[Estimated]:
        """Yield the poses of several videos, in their order; see `BatchingBackend.estimate_all`."""
        begun: list[_Sights] = []

        def crops(video: DecodeAhead) -> Crops[Crop]:
            sights = _Sights()
            begun.append(sights)
            with video:
                yield from self._crops(iter(video), video.announced, sights)

        for answers in fill_batches(map(crops, videos), self._rows, self._batch_size):
            try:
                result: Estimate | Exception = self._followed(answers, begun.pop(0))
            except Exception as error:
                result = error
            yield Estimated(result, answers.seconds)

    def _crops(self, frames: Iterator[Frame], info: VideoInfo, sights: _Sights) -> Crops[Crop]:
        """Yield the crops of a video, and note whose they are."""
        sights.width, sights.height = info.width, info.height
        sights.patience = max(1, round(info.fps))
        while batch := list(islice(frames, self._batch_size)):
            # Of turned videos the container announces another size.
            sights.height, sights.width = batch[0].shape[:2]
            boxes = self.find_people(batch)
            sights.boxes += boxes
            yield from self.cut_out(batch, boxes)

    def _rows(self, crops: list[Crop]) -> list[Joints]:
        """Return each crop's keypoints (V, 2) and scores (V,)."""
        missing = self._batch_size - len(crops) if self.across_videos else 0
        keypoints, scores = self.run_network(crops + crops[-1:] * missing)
        return list(zip(keypoints[: len(crops)], scores[: len(crops)], strict=True))

    def _by_frame(self, answers: Answers[Joints], boxes: Sequence[Floats]) -> list[Joints]:
        if answers.error is not None:
            raise answers.error
        keypoints, scores = zip(*answers.rows, strict=True) if answers.rows else ((), ())
        ends = np.cumsum([len(people) for people in boxes], dtype=np.int64)
        parts = (
            np.split(np.array(keypoints, np.float32).reshape(-1, self._joints, 2), ends),
            np.split(np.array(scores, np.float32).reshape(-1, self._joints), ends),
        )
        # Nothing is behind the last frame.
        return list(zip(*parts, strict=True))[:-1]

    def _followed(self, answers: Answers[Joints], sights: _Sights) -> Estimate:
        found = self._by_frame(answers, sights.boxes)
        poses = [FramePoses(*joints, box) for joints, box in zip(found, sights.boxes, strict=True)]
        return follow(
            poses,
            persons=self._persons,
            joints=self._joints,
            width=sights.width,
            height=sights.height,
            patience=sights.patience,
        )


def whole_picture(frames: Sequence[Frame]) -> list[Floats]:
    """Return one box for each frame that holds all of it, float32 (1, 4)."""
    return [np.array([[0, 0, frame.shape[1], frame.shape[0]]], np.float32) for frame in frames]
