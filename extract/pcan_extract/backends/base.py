"""What every pose estimator gives to the pipeline.

Shapes: T frames, M persons, V joints of the backend's own layout, H rows, W columns.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from pcan_extract.decoding import DecodeAhead
from pcan_extract.video import Frame, VideoInfo
from pcan_pose.skeleton import Skeleton


class Estimate(NamedTuple):
    """The poses of one video.

    Args:
        keypoints: float32 (T, M, V, 2), x and y in pixels of the picture as shown, origin in its top left corner. They
            may lie outside the picture.
        scores: float32 (T, M, V) in [0, 1]; 0 says that the joint was not found.

    Person m is the same person in all frames (a backend of several persons tracks them), as far as can be told: who is
    there only before and after a cut may be two. Where somebody is not in the picture, the scores are 0. M may be 0.
    """

    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


class Estimated(NamedTuple):
    """What became of one video among several.

    Args:
        result: Its poses, or what is wrong.
        seconds: Time that went into it; batches are shared out by crops.
    """

    result: Estimate | Exception
    seconds: float


@runtime_checkable
class PoseBackend(Protocol):
    """A pose estimator.

    Building one is cheap, loads no network, and raises `MissingDependencyError` where its packages are absent: the main
    process builds it, reads the four attributes, and pickles it to each worker (or Ray actor). Entering it loads the
    networks, once for each worker; leaving it frees them.

    Attributes:
        name: Name on the command line.
        layout: Layout that `estimate` answers in: a key of `pcan_pose.skeleton.SKELETONS`, or a skeleton of its own
            whose joints are mapped by name.
        estimator: Name and version for the keypoint set's metadata.
        settings: All that changes the numbers; a run with other settings cannot be resumed.
    """

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def layout(self) -> str | Skeleton:
        """Layout of the answers."""

    @property
    def estimator(self) -> str:
        """Name and version for the metadata."""

    @property
    def settings(self) -> Mapping[str, str]:
        """All that changes the numbers."""

    def __enter__(self) -> Self:
        """Return the backend with its networks loaded.

        Raises:
            PcanError: If they cannot be loaded; this ends the run.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the networks."""

    def estimate(self, frames: Iterator[Frame], info: VideoInfo) -> Estimate:
        """Return the poses of one video, all of its frames in order.

        Called once for each video and free to batch the frames as its hardware likes. Nothing may be carried over from
        one video to the next, so that the result depends on neither their order nor the number of workers.

        Args:
            frames: Pictures, uint8 (H, W, 3), RGB, all of one size. Decoded as they are taken: a long video need not
                fit into memory.
            info: What the container announces; its size is the pictures' size except for turned videos.
        """


@runtime_checkable
class BatchingBackend(PoseBackend, Protocol):
    """A pose estimator whose batches may go on with the next video."""

    @property
    def across_videos(self) -> bool:
        """Whether that pays, so that `estimate_all` is to be given several videos."""

    def estimate_all(self, videos: Iterable[DecodeAhead]) -> Iterator[Estimated]:
        """Yield the poses of several videos, in their order; what is wrong with one concerns no other.

        The numbers of each are those of `estimate`, up to rounding.

        Args:
            videos: Their decoders; each is taken when the one before is at its end, read to its end, and closed.
        """
