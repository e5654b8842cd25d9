"""Labels, splits and subjects for a keypoint set that was made without them, or with others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from pcan_extract.inputs import VideoInput, attach_labels
from pcan_extract.labels import LabelList, read_lists
from pcan_pose.clip_list import is_video
from pcan_pose.errors import DataError, first_names
from pcan_pose.keypoints import KeypointSet
from pcan_pose.taxonomy import Taxonomy


def relabel(keypoint_set: KeypointSet, labels: Sequence[str], taxonomy: Taxonomy) -> tuple[KeypointSet, list[str]]:
    """Return the same clips with the labels and splits of lists, and what the user should know.

    A list's line belongs to the clip whose id is its file name without a video's extension, or ends in that after a
    slash. Clips in no list have no label and no split afterwards. Subjects are kept; MA-52's names tell them.

    Args:
        keypoint_set: The clips.
        labels: Label lists, as paths or ``SPLIT=PATH``, at least one.
        taxonomy: The labels' tree, the new set's.

    Raises:
        DataError: If lists cannot be read or contradict each other, or no clip is in any of them.
    """
    lists, faults = read_lists(labels, taxonomy)
    if faults:
        raise DataError(*faults)
    videos = [
        VideoInput(clip_id, Path(clip_id), clip_id, subject=subject)
        for clip_id, subject in zip(keypoint_set.clip_ids, keypoint_set.subjects, strict=True)
    ]
    found = attach_labels(videos, [_without_extensions(entry) for entry in lists], taxonomy)
    if len(found.unlisted) == len(videos):
        raise DataError(
            f"none of the {len(videos)} clips is in a label list; clip ids are {first_names(keypoint_set.clip_ids)}, "
            f"lines {first_names(list(lists[0].labels))}."
        )
    labelled = replace(
        keypoint_set,
        header=replace(keypoint_set.header, taxonomy=taxonomy),
        splits=[video.splits for video in found.videos],
        labels=np.array([-1 if video.label is None else video.label for video in found.videos], np.int64),
        subjects=[video.subject for video in found.videos],
    )
    return labelled, list(found.notices)


def _without_extensions(entry: LabelList) -> LabelList:
    """Return the list with clip ids in the place of file names.

    Raises:
        DataError: If two of its files would be one clip and have different labels.
    """
    labels: dict[str, int | None] = {}
    for name, label in entry.labels.items():
        path = PurePosixPath(name)
        clip_id = path.with_suffix("").as_posix() if is_video(path) else name
        if labels.setdefault(clip_id, label) != label:
            raise DataError(
                f"{entry.path}: clip {clip_id!r} has labels {labels[clip_id]} and {label}; correct the list."
            )
    return replace(entry, labels=labels)
