"""Decoding in a thread, ahead of the estimator.

PyAV and most estimators leave Python's lock while they compute, so the two overlap.
"""

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pcan_extract.video import Frame, VideoInfo, VideoReader

# Enough to bridge a slow frame or an estimator's batch; a 4K picture has 25 MB, so its bytes count too.
_MOST_FRAMES = 32
_MOST_BYTES = 64 * 1024**2


class DecodeAhead:
    """A video that a thread opens and decodes at once, a bounded number of pictures ahead.

    What goes wrong while decoding is raised where the pictures are taken.

    Args:
        path: The file.
        frames: Most pictures that wait to be taken, >= 1.
        size: Most bytes that they have, unless it is one picture.
    """

    def __init__(self, path: Path, *, frames: int = _MOST_FRAMES, size: int = _MOST_BYTES) -> None:
        self.path = path
        self._limits = frames, size
        self._waiting: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._announced: VideoInfo | None = None
        self._measured: VideoInfo | None = None
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._thread = threading.Thread(target=self._decode, name=f"decode {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Return nothing; end the thread, whatever is left to decode."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    @property
    def announced(self) -> VideoInfo:
        """What the container announces; waits until it is open.

        Raises:
            ExtractionError: If the file cannot be opened.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._announced is not None or self._ended)
            if self._announced is None:
                raise self._error or RuntimeError(f"{self.path}: closed before it was open.")
            return self._announced

    @property
    def measured(self) -> VideoInfo:
        """What was measured, once all pictures are taken."""
        if self._measured is None:
            raise RuntimeError(f"{self.path}: not decoded to its end.")
        return self._measured

    def __iter__(self) -> Iterator[Frame]:
        """Return an iterator over the pictures, uint8 (H, W, 3), RGB.

        Raises:
            ExtractionError: If the file is damaged or cut short.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                frame = self._waiting.popleft()
                self._changed.notify_all()
            yield frame

    def _decode(self) -> None:
        try:
            with VideoReader(self.path) as reader:
                with self._changed:
                    self._announced = reader.info
                    self._changed.notify_all()
                for frame in reader:
                    if not self._put(frame):
                        return
                self._measured = reader.info
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Return whether to go on, once there is room for a picture."""
        frames, size = self._limits
        # All pictures of a video have one size.
        most = max(1, min(frames, size // max(frame.nbytes, 1)))
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < most or self._closed)
            if self._closed:
                return False
            self._waiting.append(frame)
            self._changed.notify_all()
            return True
