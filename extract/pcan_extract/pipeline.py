"""Many videos to one keypoint set: several processes, resumable, the same bytes however often it was interrupted."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pcan_extract.backends import BackendOptions, PoseBackend, create_backend
from pcan_extract.checks import check_folder, check_layout, check_numbers, check_overlay, read_inputs
from pcan_extract.engines import create_engine
from pcan_extract.estimation import MIN_SCORE, ClipOptions, batches_across_videos
from pcan_extract.locks import FolderLock
from pcan_extract.plan import PLAN_NAME, Plan, load_plan, save_plan
from pcan_extract.planning import ShardLimits, extend_plan
from pcan_extract.progress import say
from pcan_extract.report import Summary
from pcan_extract.run import Run
from pcan_extract.share import EVERYTHING, Share
from pcan_extract.smoothing import Processing
from pcan_extract.staging import STAGING_NAME, Staging
from pcan_extract.worker import write_fault
from pcan_pose.errors import ExtractionError
from pcan_pose.keypoints import Header
from pcan_pose.taxonomy import MA52, Taxonomy

_log = logging.getLogger(__name__)


def extract(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    backend: str | PoseBackend = "mediapipe",
    options: BackendOptions | None = None,
    layout: str = "openpose28",
    allow_missing_joints: bool = False,
    min_score: float = MIN_SCORE,
    processing: Processing | None = None,
    labels: Sequence[str] = (),
    taxonomy: Taxonomy | None = None,
    overlay: str | Path | None = None,
    workers: int | None = None,
    clips_per_shard: int = 256,
    bytes_per_shard: int = 1024**3,
    share: Share = EVERYTHING,
    engine: str = "local",
    address: str | None = None,
    console: Console | None = None,
) -> Summary:
    """Return the figures of a keypoint set after extracting videos into it.

    Run again on the same folder, it goes on where it stopped: clips that are finished are kept, failed ones are tried
    again, new videos are added behind the others. Runs on the program's main module being importable, as it starts
    processes: call it below ``if __name__ == "__main__":``.

    Args:
        paths: Videos and folders of videos.
        out: Folder of the keypoint set: new, empty, or of an earlier extraction with the same settings.
        backend: A backend's name, or a backend that is not yet entered.
        options: What to say to a backend that is given by name; None for its defaults.
        layout: Layout of the set, a key of `SKELETONS`.
        allow_missing_joints: Whether joints that the backend's layout cannot give get score 0 instead of being an
            error.
        min_score: Joints with a lower score, or outside the picture, count as not found, 0 to 1; 0 keeps all.
        processing: Closes gaps and smooths; None does neither.
        labels: Label lists, as paths or ``SPLIT=PATH``.
        taxonomy: The labels' tree; MA-52's if there are lists and it is None.
        overlay: Folder for an MP4 of each clip with its skeleton, or None.
        workers: Processes, >= 1; None for one a CPU, or one if the backend runs on a GPU.
        clips_per_shard: Clips in one shard, >= 1.
        bytes_per_shard: Bytes of the videos of one shard, >= 1, unless it is a single one.
        share: This job's share, where several jobs work on the folder at the same time.
        engine: local for processes on this machine, ray for Ray.
        address: Ray cluster to join; None starts Ray on this machine, unless the program has joined one.
        console: Where to show progress, or None.

    Raises:
        ConfigError: If an option is out of range or differs from those that the folder was begun with.
        DataError: If paths, label lists or the folder cannot be used as they are.
        SkeletonError: If the layout is unknown or the backend's cannot be mapped onto it.
        MissingDependencyError: If the backend's or the engine's packages are not installed.
        ExtractionError: If the backend cannot be loaded, another process works on the folder, or the disk is full.
    """
    out = Path(out)
    given = {} if workers is None else {"workers": workers}
    check_numbers(**given, clips_per_shard=clips_per_shard, bytes_per_shard=bytes_per_shard)
    estimator = create_backend(backend, options) if isinstance(backend, str) else backend
    check_layout(estimator, layout, allow_missing=allow_missing_joints)
    clip_options = ClipOptions(allow_missing_joints, processing or Processing(), min_score)
    taxonomy = MA52 if labels and taxonomy is None else taxonomy
    inputs = read_inputs(paths, labels, taxonomy)
    if overlay is not None:
        check_overlay(Path(overlay), paths, inputs.videos)
    header = _header(estimator, layout, clip_options, taxonomy)
    staging = Staging(out, header, share)
    gpus = float(estimator.settings.get("device", "").startswith("cuda"))
    runner, in_order = create_engine(engine, workers, estimator, staging, clip_options, address=address, gpus=gpus)
    check_folder(out)
    with _room(out), FolderLock(out / STAGING_NAME, share) as lock:
        settings = _settings(header, clips_per_shard)
        with lock.planning():
            old = load_plan(out) if (out / PLAN_NAME).exists() else Plan(settings)
            limits = ShardLimits(clips_per_shard, bytes_per_shard)
            plan, changed = extend_plan(old, settings, inputs.videos, limits=limits, share=share)
            # The results of changed files are dropped before the plan says that it knows of the change.
            finished, dirty = staging.prepare(plan, changed)
            save_plan(out, plan)
        grouped = batches_across_videos(estimator)
        run = Run(plan, staging, finished, inputs, runner, in_order=in_order, grouped=grouped, console=console)
        notices = run.notices(changed)
        for notice in notices:
            _log.info(notice)
            say(console, notice)
        try:
            run.extract(dirty)
            if overlay is not None:
                run.draw(Path(overlay))
        finally:
            run.report()
        return run.summary(notices)


def _header(backend: PoseBackend, layout: str, options: ClipOptions, taxonomy: Taxonomy | None) -> Header:
    extra = {"backend": backend.name, **{f"backend.{key}": value for key, value in backend.settings.items()}}
    extra |= options.settings
    return Header(layout=layout, dims=2, estimator=backend.estimator, taxonomy=taxonomy, extra=extra)


def _settings(header: Header, clips_per_shard: int) -> Mapping[str, str]:
    tree = header.taxonomy
    digest = hashlib.sha256(tree.to_json().encode()).hexdigest()[:8] if tree else ""
    return {
        "layout": header.layout,
        "estimator": header.estimator,
        **header.extra,
        "taxonomy": f"{tree.name} {digest}" if tree else "none",
        "clips_per_shard": str(clips_per_shard),
    }


@contextmanager
def _room(out: Path) -> Iterator[None]:
    """Return a context in which a full disk is a user's fault."""
    try:
        yield
    except OSError as error:
        if text := write_fault(error, out):
            raise ExtractionError(text) from error
        raise
