"""Videos, decoded once from front to back as RGB pictures.

Shapes: H rows, W columns, of the picture as it is to be looked at: with square pixels, turned and mirrored.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.stream import VideoStream

from pcan_extract.display import Frame, Orientation, read_orientation, square_width, to_rgb
from pcan_pose.errors import ExtractionError

__all__ = ["Frame", "VideoInfo", "VideoReader"]

# A file without a frame count is cut short if its last picture ends this much (seconds) before the stream's own end.
_DURATION_SLACK = 0.5
# Containers with a coarse clock (Matroska counts milliseconds) jitter this much (seconds) at a constant rate.
_CLOCK_JITTER = 0.002
# Pictures a second; more are a clock's.
_HIGHEST_RATE = 10_000


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video.

    Args:
        width: Pixels, as shown: made square, and after rotation.
        height: Pixels, as width.
        fps: Pictures a second, > 0; before decoding as the container announces, afterwards the average by timestamps.
        frames: Pictures; before decoding as the container announces (0 = it does not say), afterwards as decoded.
        rotation: Degrees counterclockwise that the stored pictures are turned by: 0, 90, 180 or 270.
        variable: Whether the pictures are unevenly spaced in time; known after decoding only.
        mirrored: Whether left and right are swapped after turning; known, as the rotation, once a picture is decoded.
    """

    width: int
    height: int
    fps: float
    frames: int
    rotation: int
    variable: bool = False
    mirrored: bool = False


class VideoReader:
    """An open video; iterate once over its pictures, then read what was measured from `info` and `timestamps`.

    Decoding uses one thread: a run's parallelism is over videos.

    Args:
        path: The file.

    Raises:
        ExtractionError: If the file is missing, empty, cut short, not a video or has no pictures. What shows only
            while decoding is raised by the iteration.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._container: InputContainer = _open(self.path)
        try:
            self._stream: VideoStream = _video_stream(self._container, self.path)
        except ExtractionError:
            self._container.close()
            raise
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        self._pts: list[int | None] = []
        # Of the newest packet, in the stream's unit of time: when it is decoded, and how long it is shown.
        self._decoded_at = self._spacing = 0
        self._orientation = Orientation()
        self._done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """Time of each picture decoded so far, float64 (T,), seconds; evenly spaced where the file holds no times."""
        if any(pts is None for pts in self._pts) or self._stream.time_base is None:
            return np.arange(len(self._pts)) / float(self._announced_fps())
        return np.array(self._pts, dtype=np.float64) * float(self._stream.time_base)

    @property
    def info(self) -> VideoInfo:
        """What the container announces; once the iteration has ended, what was measured."""
        turned = self._orientation
        size = (self._square(self._stream.codec_context.width), self._stream.codec_context.height)
        width, height = size[::-1] if turned.rotation % 180 else size
        fps, variable = self._measured_fps() if self._done else (self._announced_fps(), False)
        frames = len(self._pts) if self._done else self._stream.frames
        return VideoInfo(width, height, float(fps), frames, turned.rotation, variable, turned.mirrored)

    def __iter__(self) -> Iterator[Frame]:
        """Return an iterator over all pictures, uint8 (H, W, 3)."""
        return self.frames()

    def frames(self, wanted: Collection[int] | None = None) -> Iterator[Frame]:
        """Return an iterator over the pictures, uint8 (H, W, 3), RGB.

        The whole file is decoded even if few pictures are wanted, so that a damaged file is never taken for a short
        one; only wanted pictures pay for the conversion to RGB.

        Args:
            wanted: Positions of the pictures to give, from 0; all of them if None.

        Raises:
            ExtractionError: If the file is damaged or holds fewer pictures than it announces.
            RuntimeError: If the pictures were already iterated over.
        """
        if self._pts:
            raise RuntimeError(f"{self.path}: a VideoReader gives its pictures once; open another one.")
        packets = dropped = damaged = 0
        shape: tuple[int, int] | None = None
        try:
            for packet in self._container.demux(self._stream):
                # An edit list marks pictures that are decoded but never shown; they are announced all the same.
                dropped += packet.is_discard
                damaged += packet.is_corrupt
                packets += packet.size > 0
                self._decoded_at = packet.dts or self._decoded_at
                self._spacing = packet.duration or self._spacing
                for frame in packet.decode():
                    damaged += frame.is_corrupt
                    if shape is None:
                        shape = frame.height, frame.width
                        self._orientation = read_orientation(frame)
                    elif (frame.height, frame.width) != shape:
                        raise ExtractionError(
                            f"{self.path}: pictures change size from {shape[1]}x{shape[0]} to "
                            f"{frame.width}x{frame.height} at frame {len(self._pts)}; split the file there."
                        )
                    self._pts.append(frame.pts)
                    if wanted is None or len(self._pts) - 1 in wanted:
                        yield to_rgb(frame, self._square(frame.width), self._orientation)
        except av.FFmpegError as error:
            self._check_complete(packets, dropped)
            raise ExtractionError(
                f"{self.path}: decoding fails after {len(self._pts)} frames ({error.strerror}); "
                "re-encode or replace the file."
            ) from error
        self._check_complete(packets, dropped)
        if damaged:
            raise ExtractionError(
                f"{self.path}: damaged: {damaged} of {len(self._pts)} frames decode with errors; "
                "re-encode or replace the file."
            )
        self._done = True

    def _check_complete(self, packets: int, dropped: int) -> None:
        decoded, announced = len(self._pts), self._stream.frames
        missing = announced - dropped - decoded
        # AVI also counts pictures that the camera left out: such a file holds fewer, but lasts as long as it says.
        if missing > 0 and (self._container.format.name != "avi" or self._ends_early(dropped)):
            raise ExtractionError(
                f"{self.path}: truncated: {decoded} of {announced - dropped} frames decode; replace the file."
            )
        if not decoded:
            raise ExtractionError(f"{self.path}: no frame decodes; replace the file.")
        if missing > 0 and (lost := packets - dropped - decoded) > 0:
            raise ExtractionError(
                f"{self.path}: damaged: {lost} of {packets - dropped} frames do not decode; "
                "re-encode or replace the file."
            )
        duration = 0.0 if announced else _stream_seconds(self._stream)
        end = self._last_picture() + 1 / float(self._announced_fps())
        if end < duration - _DURATION_SLACK:
            raise ExtractionError(
                f"{self.path}: truncated: {end:.1f} of {duration:.1f} seconds decode; replace the file."
            )

    def _ends_early(self, dropped: int) -> bool:
        """Return whether the pictures of an AVI file end before the time that all announced ones take."""
        if not self._pts:
            return True
        step = 1 / float(self._announced_fps())
        unit = float(self._stream.time_base or 0)
        spacing = self._spacing * unit or step
        # The stream's own duration will not do: of an AVI file that is cut short, FFmpeg knows that of the rest.
        duration = max(self._stream.frames * step, _stream_seconds(self._stream))
        # Pictures have no times there, only packets, and the first places may be empty, too.
        packets = (self._decoded_at - (self._stream.start_time or 0)) * unit
        return max(self._last_picture(), packets) + dropped * step + spacing < duration - spacing / 2

    def _last_picture(self) -> float:
        """Return the time of the last picture after the first one's, in seconds."""
        return float(self.timestamps[-1] - self.timestamps[0])

    def _square(self, width: int) -> int:
        return square_width(width, self._stream.sample_aspect_ratio)

    def _announced_fps(self) -> Fraction:
        stream = self._stream
        rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
        # Of raw DV the first one is that of the clock.
        return next((rate for rate in rates if rate <= _HIGHEST_RATE), Fraction(25))

    def _measured_fps(self) -> tuple[Fraction, bool]:
        """Return the average rate by timestamps, and whether the spacing varies."""
        known = sorted(pts for pts in self._pts if pts is not None)
        if len(known) < max(2, len(self._pts)) or known[0] == known[-1] or self._stream.time_base is None:
            return self._announced_fps(), False
        steps = np.diff(known)
        variable = float((steps.max() - steps.min()) * self._stream.time_base) > _CLOCK_JITTER
        if not variable and steps.min() != steps.max() and self._stream.average_rate:
            return self._stream.average_rate, False
        return (len(known) - 1) / ((known[-1] - known[0]) * self._stream.time_base), variable


def _open(path: Path) -> InputContainer:
    try:
        if not path.is_file():
            raise ExtractionError(f"{path}: {'not a file' if path.exists() else 'no such file'}.")
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ExtractionError(f"{path}: cannot be read ({error.strerror}).") from error
    if not start:
        raise ExtractionError(f"{path}: empty file (0 bytes); replace the file.")
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        if start[4:] == b"ftyp":
            raise ExtractionError(
                f"{path}: truncated: the MP4 index (moov) is missing, so nothing decodes; replace the file."
            ) from error
        text = f"{path}: not a video that FFmpeg can read ({error.strerror}); remove or replace it."
        raise ExtractionError(text) from error
    if container.format.name == "tty":
        # FFmpeg draws any text as a film of a terminal.
        container.close()
        raise ExtractionError(f"{path}: text, not a video; remove it, or name the videos themselves.")
    return container


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    # Cover art is a stream of one still picture; it is no video.
    streams = [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
        raise ExtractionError(f"{path}: no video stream (streams: {kinds}); remove it or give the video.")
    return streams[0]


def _stream_seconds(stream: VideoStream) -> float:
    """Return the length that the stream itself announces, in seconds; 0 if it does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
