"""What can be wrong with what a run is asked to do, told before anything is written."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from pcan_extract.backends import BACKENDS, BackendOptions, PoseBackend, create_backend
from pcan_extract.inputs import Inputs, VideoInput, find_inputs, overlay_path
from pcan_extract.labels import read_lists
from pcan_extract.plan import PLAN_NAME
from pcan_pose.errors import ConfigError, DataError, PcanError, did_you_mean, first_faults
from pcan_pose.skeleton import map_layout, skeleton
from pcan_pose.taxonomy import MA52, Taxonomy


def check_backend(name: str, options: BackendOptions) -> list[str]:
    """Return what keeps a backend from running, each with what mends it; empty if nothing does.

    Args:
        name: One of `BACKENDS`. Those that can tell more than that they cannot be built have a function ``check``.
        options: What it shall run with.

    Raises:
        ConfigError: If there is no such backend.
    """
    if name not in BACKENDS:
        raise ConfigError(f"unknown backend {name!r}.{did_you_mean(name, BACKENDS)}")
    check = getattr(import_module(f"pcan_extract.backends.{name}"), "check", None)
    if check is not None:
        return list(check(options))
    try:
        create_backend(name, options)
    except PcanError as error:
        return list(error.faults)
    return []


def read_inputs(paths: Sequence[str | Path], labels: Sequence[str], taxonomy: Taxonomy | None) -> Inputs:
    """Return the videos of a run.

    Args:
        paths: Videos and folders of videos.
        labels: Label lists, as paths or ``SPLIT=PATH``.
        taxonomy: The labels' tree.

    Raises:
        DataError: If paths or lists cannot be used; all faults are named.
    """
    lists, faults = read_lists(labels, taxonomy or MA52)
    try:
        inputs = find_inputs([Path(path) for path in paths], lists, taxonomy)
    except DataError as error:
        raise DataError(*faults, *error.faults) from error
    if faults:
        raise DataError(*faults)
    return inputs


def check_numbers(**numbers: int) -> None:
    """Return nothing; check that numbers are at least 1.

    Raises:
        ConfigError: If some are not; all of them are named.
    """
    faults = [
        f"{name.replace('_', ' ')} must be at least 1, got {value}." for name, value in numbers.items() if value < 1
    ]
    if faults:
        raise ConfigError(*faults)


def check_layout(backend: PoseBackend, layout: str, *, allow_missing: bool) -> None:
    """Return nothing; check that a backend's layout can be mapped onto the set's.

    Raises:
        SkeletonError: If it cannot.
    """
    skeleton(layout)
    joints = skeleton(backend.layout).num_joints
    keypoints, scores = np.zeros((joints, 2), np.float32), np.zeros(joints, np.float32)
    map_layout(keypoints, scores, backend.layout, layout, allow_missing=allow_missing)


def check_overlay(overlay: Path, paths: Sequence[str | Path], videos: Sequence[VideoInput]) -> None:
    """Return nothing; check that overlays do not become inputs, and take the place of earlier overlays at most.

    Args:
        overlay: Their folder.
        paths: What was given to extract.
        videos: The videos in it.

    Raises:
        ConfigError: If the folder is below an input, or a video or anything else has the place of an overlay.
    """
    from pcan_extract.overlay import is_overlay

    for path in map(Path, paths):
        if path.is_dir() and overlay.resolve().is_relative_to(path.resolve()):
            raise ConfigError(
                f"{overlay}: overlays below the input folder {path} would be inputs of the next run; "
                "name another folder."
            )
    faults = []
    for video in videos:
        target = overlay_path(overlay, video.clip_id)
        if not os.path.exists(target):
            continue
        if os.path.exists(video.path) and target.samefile(video.path):
            faults.append(f"{target}: is the video itself, and its overlay would take its place; name another folder.")
        elif not is_overlay(target):
            faults.append(f"{target}: is no overlay, and one would take its place; name another folder, or move it.")
    if faults:
        raise ConfigError(*first_faults(faults))


def check_folder(out: Path) -> None:
    """Return nothing; check that a keypoint set can be begun or gone on with in a folder.

    Raises:
        DataError: If it is a file or holds something else.
    """
    try:
        names = [path.name for path in out.iterdir()] if out.exists() else []
    except NotADirectoryError as error:
        raise DataError(f"{out}: is a file; name a folder for the keypoint set.") from error
    if PLAN_NAME not in names and any(not name.startswith(".") for name in names):
        raise DataError(
            f"{out}: holds files but no {PLAN_NAME}, so it is no extraction to go on with; name another folder."
        )
