"""Following people from frame to frame, and choosing the main ones.

Who is who is told by place alone: a cut to somebody else in the same place goes unnoticed, and after a cut that moves
somebody aside it is somebody new. So tracks that are never there at the same time may be one person's.

Shapes: T frames, P people in one frame, M persons kept, V joints, K tracks.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.base import Estimate
from pcan_extract.boxes import Boxes, areas, around_joints, grown, is_picture, overlaps

PATIENCE = 30
"""Frames for which a lost person is looked for nearby: a second at 30 frames a second."""

_LEAST_OVERLAP = 0.3
# How much of a step enters the velocity: a waving arm widens the box and moves its middle, while the person stays.
_RESPONSE = 0.3


class FramePoses(NamedTuple):
    """The people in one frame.

    Args:
        keypoints: float32 (P, V, 2) in pixels.
        scores: float32 (P, V) in [0, 1].
        boxes: float32 (P, 4): left, top, right, bottom in pixels. A box that is the whole picture does not say where
            the person is; the box of the joints takes its place.
    """

    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]


@dataclass(eq=False, slots=True)
class _Track:
    """A person.

    Args:
        box: float64 (4,), where last seen.
        importance: Sum over the sights.
        sights: Frame, and position among its people, of each.
        velocity: float64 (2,), pixels a frame.
    """

    box: Boxes
    importance: float
    sights: list[tuple[int, int]]
    velocity: Boxes = field(default_factory=lambda: np.zeros(2))

    @property
    def first(self) -> int:
        return self.sights[0][0]

    @property
    def last(self) -> int:
        return self.sights[-1][0]

    def expected(self, frame: int) -> Boxes:
        return self.box + np.tile(self.velocity * (frame - self.last), 2)

    def add(self, frame: int, place: int, box: Boxes, importance: float) -> None:
        step = (box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2 / (frame - self.last)
        self.velocity = (1 - _RESPONSE) * self.velocity + _RESPONSE * step
        self.box = box
        self.importance += importance
        self.sights.append((frame, place))


def follow(
    frames: Sequence[FramePoses], *, persons: int, joints: int, width: int, height: int, patience: int = PATIENCE
) -> Estimate:
    """Return the main persons of a video, M = min(persons, tracks found), the most important first.

    A person goes on in the next frame as whoever overlaps most with where the person is expected; all people of a frame
    are assigned together. First come those who were seen in the frame before. Then those lost for at most `patience`
    frames, their boxes grown to twice the size, whether they moved on as before or stayed. Then those away for longer,
    and only where they were last seen: somebody seated stays one person, however long hidden.

    The importance is the sum, over the frames that show the person, of size times centrality. Size is the square root
    of the box's share of the picture; centrality is 1 in the middle of the picture and falls to 1/2 in its corners. It
    is thus the share of the video that shows the person, times mean size and place. Equals come by first appearance.

    Each of the most important tracks is a person. The others, the important ones first, go on as the first person of
    whom no track is there at the same time, from its first frame to its last: after a jump cut the only person in the
    picture is not lost. Tracks for which there is no such person are dropped.

    Args:
        frames: The people in each of the T frames. Somebody without any joint of a score above 0 is nobody.
        persons: How many to keep, >= 1.
        joints: V.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
        patience: Frames, >= 0.
    """
    assert all(poses.keypoints.shape == (len(poses.boxes), joints, 2) for poses in frames)
    if all(len(poses.boxes) <= 1 and is_picture(poses.boxes, width, height).all() for poses in frames):
        # Without a detector there is one person, wherever the network puts the joints.
        seen = [(frame, 0) for frame, poses in enumerate(frames) if poses.scores.any()]
        tracks = [_Track(np.zeros(4), 1.0, seen)] if seen else []
    else:
        tracks = _tracks(frames, width, height, patience)
    # Without its last digits: rounding errors must not choose between equals.
    chosen = _share_out(sorted(tracks, key=lambda track: -round(track.importance, 6)), persons)
    keypoints = np.zeros((len(frames), len(chosen), joints, 2), np.float32)
    scores = np.zeros((len(frames), len(chosen), joints), np.float32)
    for m, person in enumerate(chosen):
        for frame, place in (sight for track in person for sight in track.sights):
            keypoints[frame, m] = frames[frame].keypoints[place]
            scores[frame, m] = frames[frame].scores[place]
    return Estimate(keypoints, scores)


def _share_out(ranked: Sequence[_Track], persons: int) -> list[list[_Track]]:
    """Return the tracks of each person; those of one person are never there at the same time.

    Args:
        ranked: Everybody, the most important first.
        persons: How many to keep.
    """
    chosen = [[track] for track in ranked[:persons]]
    for track in ranked[persons:]:
        free = (all(track.last < other.first or other.last < track.first for other in person) for person in chosen)
        if (m := next((m for m, is_free in enumerate(free) if is_free), None)) is not None:
            chosen[m].append(track)
    return chosen


def _tracks(frames: Sequence[FramePoses], width: int, height: int, patience: int) -> list[_Track]:
    """Return everybody, by first appearance."""
    recent: list[_Track] = []
    away: dict[int, _Track] = {}
    everybody: list[_Track] = []
    for frame, poses in enumerate(frames):
        places = np.flatnonzero(poses.scores.any(1))
        boxes = _boxes(FramePoses(*(array[places] for array in poses)), width, height)  # (P, 4)
        away |= {id(track): track for track in recent if frame - track.last > patience + 1}
        recent = [track for track in recent if frame - track.last <= patience + 1]
        owners = _owners(frame, boxes, recent, away.values())
        importance = _importance(boxes, width, height).tolist()
        for i, place in enumerate(places.tolist()):
            if i in owners:
                owners[i].add(frame, place, boxes[i], importance[i])
            else:
                owners[i] = _Track(boxes[i], importance[i], [(frame, place)])
                everybody.append(owners[i])
        known = {id(track) for track in recent}
        recent += [owner for owner in owners.values() if id(owner) not in known]
        for owner in owners.values():
            away.pop(id(owner), None)
    return everybody


def _owners(frame: int, boxes: Boxes, recent: Sequence[_Track], away: Collection[_Track]) -> dict[int, _Track]:
    """Return whose box each of (P, 4) is; boxes of somebody new are left out."""
    owners: dict[int, _Track] = {}
    for rivals, likeness in _rounds(frame, recent, away):
        free = [i for i in range(len(boxes)) if i not in owners]
        if not free:
            break
        taken = {id(track) for track in owners.values()}
        if rivals := [track for track in rivals if id(track) not in taken]:
            owners |= {free[i]: rivals[k] for k, i in _assign(likeness(rivals, boxes[free]))}
    return owners


Likeness = Callable[[Sequence[_Track], Boxes], Boxes]


def _rounds(
    frame: int, recent: Sequence[_Track], away: Collection[_Track]
) -> Iterator[tuple[Collection[_Track], Likeness]]:
    """Yield who competes in each round, and how alike K tracks are to P boxes, (K, P)."""

    def expected(tracks: Sequence[_Track]) -> Boxes:
        return np.stack([track.expected(frame) for track in tracks])

    def last(tracks: Sequence[_Track]) -> Boxes:
        return np.stack([track.box for track in tracks])

    def near(tracks: Sequence[_Track], boxes: Boxes) -> Boxes:
        boxes = grown(boxes)
        return np.maximum(overlaps(grown(expected(tracks)), boxes), overlaps(grown(last(tracks)), boxes))

    present = [track for track in recent if frame - track.last == 1]
    yield present, lambda tracks, boxes: overlaps(expected(tracks), boxes)
    yield recent, near
    yield away, lambda tracks, boxes: overlaps(last(tracks), boxes)


def _assign(likeness: Boxes) -> list[tuple[int, int]]:
    """Return (track, box) pairs of the highest total likeness, none below the least overlap; likeness is (K, P)."""
    likeness = np.where(likeness >= _LEAST_OVERLAP, likeness, 0)
    if 1 in likeness.shape:
        pairs = [(int(k), int(i)) for k, i in [np.unravel_index(likeness.argmax(), likeness.shape)]]
    else:
        from scipy.optimize import linear_sum_assignment

        pairs = [(int(k), int(i)) for k, i in zip(*linear_sum_assignment(likeness, maximize=True), strict=True)]
    return [pair for pair in pairs if likeness[pair] > 0]


def _boxes(poses: FramePoses, width: int, height: int) -> Boxes:
    """Return where the people are, float64 (P, 4)."""
    boxes = poses.boxes.astype(np.float64)
    if len(vague := np.flatnonzero(is_picture(poses.boxes, width, height))):
        boxes[vague] = around_joints(poses.keypoints[vague], poses.scores[vague], width, height)
    return boxes


def _importance(boxes: Boxes, width: int, height: int) -> Boxes:
    """Return size times centrality of each box in a frame, float64 (P,)."""
    size = np.array([width, height, width, height])
    shown = boxes.clip(0, size) / size  # (P, 4), in parts of the picture
    middle = (shown[:, :2] + shown[:, 2:]) / 2
    return np.sqrt(areas(shown)) * (1 - np.linalg.norm(middle - 0.5, axis=1) / np.sqrt(2))
