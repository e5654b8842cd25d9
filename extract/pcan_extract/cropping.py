"""One video cut to a square box and resized: what is stored of a clip for the RGB branch.

Shapes: T stored frames, H rows, W columns, S side of a stored picture.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pcan_extract.video import Frame, VideoInfo, VideoReader
from pcan_pose.crop_cache import CropRecord, CropSettings, Pictures
from pcan_pose.errors import ExtractionError

Box = tuple[float, float, float]
"""Left, top and side of a square, in pixels."""

# Rendered copies of a film are rounded to even sizes, which moves the aspect ratio of small ones by some percent.
_ASPECT_SLACK = 0.05


@dataclass(frozen=True)
class CropClip:
    """A clip to cut out.

    Args:
        clip_id: Its clip id.
        path: Its video; None if none was found.
        box: The box, in pixels of a picture of `width` x `height`; NaN for the whole picture.
        frames: Frames that the keypoints have.
        width: Of the picture that the keypoints lie in, in pixels; 0 if it is not known: then the video's own.
        height: As width.
    """

    clip_id: str
    path: Path | None
    box: Box
    frames: int
    width: int
    height: int


def crop_video(clip: CropClip, settings: CropSettings) -> tuple[Pictures, CropRecord]:
    """Return a clip's pictures, uint8 (T, S, S, 3), and what to store of it.

    A video with another number of frames than the keypoints is decoded twice, as its frames are then chosen anew.

    Raises:
        ExtractionError: If there is no video, it cannot be decoded to its end, or is of another shape than the picture
            that the keypoints lie in.
    """
    if clip.path is None:
        raise ExtractionError("no video of this name was found; name the folder with --videos, or take the clip out.")
    pictures, info, box = _decode(clip.path, clip, settings, clip.frames)
    if info.frames != clip.frames:
        pictures, info, box = _decode(clip.path, clip, settings, info.frames)
    positions = tuple(settings.positions(info.frames).tolist())
    size = clip.path.stat().st_size
    return np.stack(pictures), CropRecord(clip.clip_id, positions, info.frames, box, info.width, info.height, size)


def _decode(path: Path, clip: CropClip, settings: CropSettings, frames: int) -> tuple[list[Frame], VideoInfo, Box]:
    wanted = frozenset(settings.positions(frames).tolist())
    pictures: list[Frame] = []
    box: Box | None = None
    with VideoReader(path) as reader:
        for picture in reader.frames(wanted):
            box = box or fit_box(clip, picture.shape[1], picture.shape[0])
            pictures.append(cut_out(picture, box, settings.size))
        info = reader.info
    return pictures, info, box or (math.nan,) * 3


def fit_box(clip: CropClip, width: int, height: int) -> Box:
    """Return a clip's box in pixels of its video, moved inside as far as it fits.

    A box that is larger than the picture holds all of it; what lies outside is black.

    Args:
        clip: The clip.
        width: Of the video, in pixels.
        height: Of the video, in pixels.

    Raises:
        ExtractionError: If the video is of another shape than the picture that the keypoints lie in.
    """
    across, down = width / (clip.width or width), height / (clip.height or height)
    if abs(across / down - 1) > _ASPECT_SLACK:
        raise ExtractionError(
            f"{clip.path}: {width}x{height} pixels, but the keypoints are of a picture of {clip.width}x{clip.height}; "
            "give the video that they were extracted from."
        )
    left, top, side = clip.box
    if math.isnan(side):
        side = float(max(width, height))
        return (width - side) / 2, (height - side) / 2, side
    scaled = side * max(across, down)
    left = (left + side / 2) * across - scaled / 2
    top = (top + side / 2) * down - scaled / 2
    return _inside(left, width - scaled), _inside(top, height - scaled), scaled


def _inside(start: float, room: float) -> float:
    """Return where a box starts on an axis on which the picture is longer (or, if negative, shorter) by this room."""
    return min(max(start, min(room, 0.0)), max(room, 0.0))


def cut_out(picture: Frame, box: Box, size: int) -> Frame:
    """Return a square of a picture, resized with an antialiased triangle filter, uint8 (S, S, 3).

    Args:
        picture: uint8 (H, W, 3).
        box: What to cut out; black where it lies outside of the picture.
        size: S.
    """
    height, width = picture.shape[:2]
    left, top, side = box
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    columns = slice(round((x0 - left) / side * size), round((x1 - left) / side * size))
    rows = slice(round((y0 - top) / side * size), round((y1 - top) / side * size))
    result = np.zeros((size, size, 3), np.uint8)
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    if min(shape) > 0 and x1 > x0 and y1 > y0:
        part = Image.fromarray(picture).resize(shape, Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
        result[rows, columns] = np.asarray(part)
    return result
