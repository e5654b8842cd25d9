"""Which video belongs to which clip of a keypoint set, when the set was made elsewhere or long ago."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pcan_extract.inputs import find_inputs
from pcan_pose.errors import DataError, first_faults


def find_videos(folder: Path, clip_ids: Sequence[str], sources: Sequence[str | None]) -> list[Path | None]:
    """Return the video of each clip, or None where none was found.

    A clip's video is the one at its source below the folder; else the one of its clip id, with any extension; else the
    only one in the folder with the last part of the clip id as its name.

    Args:
        folder: A folder of videos, searched through all its folders.
        clip_ids: The clips.
        sources: Where the clips came from, as the keypoint set says, or None.

    Raises:
        DataError: If there is no video for any clip, or several for some.
    """
    videos = find_inputs([folder]).videos
    by_source = {video.source: video.path for video in videos}
    by_id = {video.clip_id: video.path for video in videos}
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for video in videos:
        by_name[PurePosixPath(video.clip_id).name].append(video.path)
    found: list[Path | None] = []
    faults = []
    for clip_id, source in zip(clip_ids, sources, strict=True):
        path = by_source.get(source or "") or by_id.get(clip_id)
        named = by_name.get(PurePosixPath(clip_id).name, [])
        if path is None and len(named) > 1:
            faults.append(f"clip {clip_id!r} may be {' or '.join(map(str, named))}; rename one, or move one away.")
        found.append(path or (named[0] if len(named) == 1 else None))
    if faults:
        raise DataError(*first_faults(faults))
    if not any(found):
        raise DataError(
            f"{folder}: no video of any of the {len(found)} clips, such as {clip_ids[0]!r}; name the folder that the "
            "keypoints were extracted from."
        )
    return found
