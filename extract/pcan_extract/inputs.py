"""Which videos a run works on, and what label lists say about them."""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pcan_extract.labels import SPLITS, LabelList
from pcan_pose.clip_list import VIDEO_EXTENSIONS, is_video
from pcan_pose.errors import DataError, first_faults, first_names
from pcan_pose.taxonomy import MA52, Taxonomy

_MA52_NAME = re.compile(r"(\d{4})_\d{2}_\d{4}")


@dataclass(frozen=True)
class VideoInput:
    """One video to extract.

    Args:
        clip_id: Path below the folder that was given, without extension, with forward slashes.
        path: The file, absolute.
        source: Path below the folder that was given, with extension.
        splits: Names of the splits that it belongs to.
        label: Action, or None if unknown.
        subject: Who is seen, or None if unknown.
    """

    clip_id: str
    path: Path
    source: str
    splits: tuple[str, ...] = ()
    label: int | None = None
    subject: str | None = None


def overlay_path(folder: Path, clip_id: str) -> Path:
    """Return the file of a clip's overlay."""
    return folder / f"{clip_id}.mp4"


@dataclass(frozen=True)
class Inputs:
    """The videos of a run in their order, and what the user should know about them.

    Args:
        videos: The videos.
        notices: Sentences to show.
        absent: Files that a label list names and that were not found.
        unlisted: Videos that no label list names, by source; empty if there are no lists.
    """

    videos: tuple[VideoInput, ...]
    notices: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def find_inputs(paths: Sequence[Path], lists: Sequence[LabelList] = (), taxonomy: Taxonomy | None = None) -> Inputs:
    """Return the videos under paths with the labels, splits and subjects that are known.

    A folder is searched through all its folders for files with a video's extension, sorted by name; hidden files are
    left out. Without lists, a video in a folder named train, val or test belongs to that split. With lists, label and
    split go by file name; where the video's folder is named as one of the splits, only that split's list counts.

    Args:
        paths: Files and folders.
        lists: Label lists, as `read_label_list` gives them.
        taxonomy: The labels' tree; with MA-52's, the subject is read from names of its form.

    Raises:
        DataError: If a path is missing, a folder holds no video, two videos have one clip id, one video has two clip
            ids, or lists contradict each other.
    """
    videos, notices = _discover(paths)
    if lists:
        listed = attach_labels(videos, lists, taxonomy)
        return replace(listed, notices=(*notices, *listed.notices))
    videos = [replace(v, splits=(v.path.parent.name,)) if v.path.parent.name in SPLITS else v for v in videos]
    counts = {split: sum(split in video.splits for video in videos) for split in SPLITS}
    if any(counts.values()):
        text = ", ".join(f"{split} {count}" for split, count in counts.items() if count)
        notices.append(f"splits taken from the folders' names: {text}.")
    return Inputs(_with_subjects(videos, taxonomy), tuple(notices))


def attach_labels(videos: Sequence[VideoInput], lists: Sequence[LabelList], taxonomy: Taxonomy | None) -> Inputs:
    """Return the videos with the labels, splits and subjects that are known; those in no list have none.

    Args:
        videos: The videos.
        lists: Label lists, at least one.
        taxonomy: As in `find_inputs`.

    Raises:
        DataError: If lists contradict each other.
    """
    attached, absent, unlisted = _attach(videos, lists)
    notices = [
        f"{entry.path}: all {len(entry.labels)} labels are 0, as in MA-52's test list: stored as unknown."
        for entry in lists
        if entry.labels and None in entry.labels.values()
    ]
    if absent:
        notices.append(f"{_some(absent, 'file')} named in a label list not found.")
    if unlisted:
        notices.append(f"{_some(unlisted, 'video')} in no label list: stored without label and split.")
    return Inputs(_with_subjects(attached, taxonomy), tuple(notices), tuple(absent), tuple(unlisted))


def _discover(paths: Sequence[Path]) -> tuple[list[VideoInput], list[str]]:
    """Return the videos under paths in their order, and notices."""
    faults: list[str] = []
    videos: list[VideoInput] = []
    hidden = 0
    for path in paths:
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            faults.append(f"{path}: {'no such file or folder' if missing else f'cannot be read ({error.strerror})'}.")
            continue
        if is_folder:
            found = sorted(_walk(path, faults), key=lambda file: file.relative_to(path).as_posix())
            visible = [file for file in found if not file.name.startswith(".")]
            hidden += len(found) - len(visible)
            if not visible:
                faults.append(f"{path}: no video in this folder (looked for {', '.join(sorted(VIDEO_EXTENSIONS))}).")
            videos += [_video(file, file.relative_to(path).as_posix()) for file in visible]
        else:
            videos.append(_video(path, path.name))
    # The same argument twice, or a folder and a file in it, name the same clip: that is one clip.
    videos = list(dict.fromkeys(videos))
    faults += _collisions(videos)
    faults += [f"{ascii(str(v.path))}: the name is not text in UTF-8; rename it." for v in videos if not _is_text(v)]
    if faults:
        raise DataError(*first_faults(faults))
    return videos, [f"{hidden} hidden video files left out."] if hidden else []


def _walk(folder: Path, faults: list[str]) -> Iterator[Path]:
    """Return an iterator over the videos below a folder; what cannot be searched is added to the faults."""

    def blocked(error: OSError) -> None:
        faults.append(f"{error.filename}: cannot be searched ({error.strerror}); permit it, or name the files.")

    seen = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, onerror=blocked, followlinks=True):
        # A link to a folder above would otherwise be followed for ever.
        folders[:] = [name for name in sorted(folders) if os.path.realpath(os.path.join(root, name)) not in seen]
        seen.update(os.path.realpath(os.path.join(root, name)) for name in folders)
        yield from (Path(root, name) for name in names if is_video(Path(name)))


def _is_text(video: VideoInput) -> bool:
    try:
        str(video.path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _video(path: Path, source: str) -> VideoInput:
    return VideoInput(PurePosixPath(source).with_suffix("").as_posix(), Path(os.path.abspath(path)), source)


def _collisions(videos: Iterable[VideoInput]) -> list[str]:
    by_id: dict[str, list[VideoInput]] = defaultdict(list)
    by_path: dict[Path, list[VideoInput]] = defaultdict(list)
    for video in videos:
        by_id[video.clip_id].append(video)
        by_path[video.path].append(video)
    same_id = [
        f"clip id {clip_id!r} stands for {' and '.join(str(video.path) for video in group)}; "
        "give the folder above them, or rename one."
        for clip_id, group in by_id.items()
        if len(group) > 1
    ]
    same_path = [
        f"{path} is given twice, as clips {' and '.join(repr(video.clip_id) for video in group)}; give it once."
        for path, group in by_path.items()
        if len(group) > 1
    ]
    return same_id + same_path


def _attach(videos: Sequence[VideoInput], lists: Sequence[LabelList]) -> tuple[list[VideoInput], list[str], list[str]]:
    """Return the videos with label and split, the names not found, and the sources of videos in no list."""
    named: dict[str, list[tuple[LabelList, int | None]]] = defaultdict(list)
    for entry in lists:
        for name, label in entry.labels.items():
            named[name].append((entry, label))
    known_splits = {entry.split for entry in lists}
    used: set[tuple[Path, str]] = set()
    attached: list[VideoInput] = []
    unlisted: list[str] = []
    faults: list[str] = []
    for video in videos:
        parts = PurePosixPath(video.source).parts
        suffixes = ["/".join(parts[start:]) for start in range(len(parts))]
        # A folder that is itself named as a split was perhaps given as the root: its name is not in the source.
        suffixes.append(f"{video.path.parent.name}/{video.path.name}")
        hits = [(entry, name, label) for name in dict.fromkeys(suffixes) for entry, label in named.get(name, [])]
        if video.path.parent.name in known_splits:
            hits = [hit for hit in hits if hit[0].split == video.path.parent.name]
        used.update((entry.path, name) for entry, name, _ in hits)
        labels = {label for _, _, label in hits if label is not None}
        if not hits:
            unlisted.append(video.source)
        if len(labels) > 1:
            says = " and ".join(f"{label} in {entry.path}" for entry, _, label in hits if label is not None)
            faults.append(f"{video.source}: the label is {says}; correct one of the lists.")
        splits = tuple(dict.fromkeys(entry.split for entry, _, _ in hits))
        attached.append(replace(video, splits=splits, label=min(labels) if labels else None))
    if faults:
        raise DataError(*first_faults(faults))
    absent = [name for entry in lists for name in entry.labels if (entry.path, name) not in used]
    return attached, absent, unlisted


def _with_subjects(videos: Sequence[VideoInput], taxonomy: Taxonomy | None) -> tuple[VideoInput, ...]:
    """Return the videos with the subjects that MA-52's names tell, if that is the tree."""
    if taxonomy != MA52:
        return tuple(videos)
    names = [_MA52_NAME.fullmatch(video.path.stem) for video in videos]
    return tuple(replace(v, subject=name[1]) if name else v for v, name in zip(videos, names, strict=True))


def _some(names: Sequence[str], noun: str) -> str:
    """Return a count and the first few names, as ``2 files (a.mp4, b.mp4)``."""
    return f"{len(names)} {noun}{'s' if len(names) != 1 else ''} ({first_names(names)})"
