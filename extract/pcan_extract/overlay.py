"""Skeletons drawn over their video, to look at what was extracted.

Drawn with Pillow (anti-aliasing is not worth OpenCV), encoded with PyAV. Shapes: M persons, T frames, V joints.
"""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from pcan_extract.video import Frame, VideoReader
from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError
from pcan_pose.keypoints import Clip
from pcan_pose.skeleton import Skeleton

# Okabe and Ito's colours, which the colour-blind can tell apart; the sides are the person's own.
_COLOURS = {"left": (86, 180, 233), "right": (230, 159, 0), "": (255, 255, 255)}
_OUTLINE = (0, 0, 0)
_COMMENT = "pcan-pose overlay"


def write_overlay(video: str | Path, clip: Clip, skeleton: Skeleton, target: str | Path) -> None:
    """Return nothing; write an MP4 of the video with the clip's skeletons, at once or not at all.

    The person's left side is blue, the right side orange, the middle white; the lower a score, the more transparent,
    and what was not found (score 0) is not drawn. The frame rate is the clip's average.

    Args:
        video: The video that the clip was extracted from.
        clip: Keypoints in pixels of that video.
        skeleton: The clip's layout.
        target: The file to write; its folders are made.

    Raises:
        ExtractionError: If the video cannot be decoded.
        DataError: If the clip does not have the video's number of frames.
    """
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with (
        atomic_write(target) as temporary,
        VideoReader(video) as reader,
        av.open(str(temporary), "w", format="mp4") as container,
    ):
        container.metadata["comment"] = _COMMENT
        rate = Fraction(clip.fps or reader.info.fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate))
        stream.codec_context.thread_count = 1
        frames = 0
        for t, frame in enumerate(reader):
            if t == 0:
                # yuv420p holds colour for 2 x 2 pixels: odd sizes lose their last row or column.
                stream.height, stream.width = (size // 2 * 2 for size in frame.shape[:2])
                stream.pix_fmt = "yuv420p"
            if t < clip.keypoints.shape[1]:
                frames += 1
                picture = draw_skeleton(frame, clip, skeleton, t)[: stream.height, : stream.width]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        if frames != clip.keypoints.shape[1] or reader.info.frames != frames:
            raise DataError(
                f"{video}: has {reader.info.frames} frames, clip {clip.clip_id!r} {clip.keypoints.shape[1]}; "
                "the video is not the one that was extracted."
            )
        container.mux(stream.encode())


def is_overlay(path: Path) -> bool:
    """Return whether a file is an MP4 that `write_overlay` has written."""
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment") == _COMMENT
    except (OSError, av.FFmpegError):
        return False


def draw_skeleton(frame: Frame, clip: Clip, skeleton: Skeleton, t: int) -> Frame:
    """Return a copy of a picture, uint8 (H, W, 3), with the clip's skeletons at frame t."""
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image, "RGBA")
    width = max(1, round(max(image.size) / 300))
    sides = [next((side for side in ("left", "right") if side in joint.split("_")), "") for joint in skeleton.joints]
    for points, scores in zip(clip.keypoints[:, t].tolist(), clip.scores[:, t].tolist(), strict=True):
        for child, parent in skeleton.bones:
            score = min(scores[child], scores[parent])
            if score > 0:
                ends = [tuple(points[child]), tuple(points[parent])]
                draw.line(ends, fill=(*_COLOURS[sides[child]], _alpha(score)), width=width)
        for (x, y), score, side in zip(points, scores, sides, strict=True):
            if score > 0:
                box = (x - width, y - width, x + width, y + width)
                draw.ellipse(box, fill=(*_COLOURS[side], _alpha(score)), outline=(*_OUTLINE, _alpha(score)))
    return np.asarray(image)


def _alpha(score: float) -> int:
    return round(255 * min(max(score, 0.0), 1.0))
