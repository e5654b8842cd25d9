"""Export of a trained run: one ONNX file that takes keypoints in pixels, checked against the run before it is written.

Shapes: N clips, M persons, F frames of a clip, T sampled frames, V joints, C coordinates, K classes.
"""

import importlib.util
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import pcan_pose
from pcan_pose.atomic import atomic_write
from pcan_pose.config import (
    CommitteeConfig,
    DataConfig,
    PoseEncoderConfig,
    RunConfig,
)
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.engine.onnx_graph import PoseGraph
from pcan_pose.engine.test import load_run
from pcan_pose.errors import ConfigError, DataError, MissingDependencyError
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.skeleton import Skeleton, skeleton

Floats = npt.NDArray[np.float32]

_OPSET = 17
_INPUTS, _OUTPUTS = ("keypoints", "scores"), ("action_logits", "body_logits")
# Of the largest logit; rounding is a hundredth of it.
_TOLERANCE = 1e-4
_SAMPLING = (
    "Give all frames of a clip as they were extracted; clips of one call have the same number of frames F. The graph "
    "centres and scales them and then samples T frames: frame t lies at positions[t] * (F - 1), interpolated linearly "
    "between the frames before and after it; of a joint that only one of the two has, that one's is taken. A place "
    "within 0.001 of a frame is that frame alone."
)
_PADDING = " A clip of fewer than T frames keeps its own, and the places that it leaves are empty."


def export_run(
    run: Path,
    file: Path,
    *,
    frames: int | None = None,
    checkpoint: Path | None = None,
    overwrite: bool = False,
) -> float | None:
    """Write a run over skeletons as one ONNX file; return its largest difference to the run's own logits.

    The difference is measured with ONNX Runtime on random clips that also go through the run's own pipeline; it is None
    where ONNX Runtime is not installed. Nothing is written when they disagree.

    Args:
        run: The run folder.
        file: The file to make.
        frames: Frames sampled from each clip, T; None takes the run's own.
        checkpoint: Another checkpoint than the run's newest.
        overwrite: Whether an existing file may be replaced.

    Raises:
        CheckpointError: If the run or its checkpoint cannot be used.
        ConfigError: If the run's encoder cannot be exported.
        DataError: If the file exists, or ONNX Runtime computes something else than the run.
        MissingDependencyError: If the package onnx is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("ONNX export needs the package onnx; run pip install 'pcan-pose[onnx]'.")
    file = Path(file)
    if file.is_dir():
        raise DataError(f"{file}: is a folder; name a file, such as {file / 'model.onnx'}.")
    if file.exists() and not overwrite:
        raise DataError(f"{file}: already exists; name another file, or allow it to be replaced with --overwrite.")
    config, recognizer, taxonomy, state = load_run(run, "cpu", checkpoint)
    _refuse_others(config)
    views = [view if frames is None else view.model_copy(update={"frames": frames}) for view in config.views]
    layout, dims = skeleton(str(state["layout"])), int(str(state["dims"]))
    recognizer = recognizer.eval()
    # Autocast is the trainer's; the file computes in float32, and what it is compared with too.
    recognizer.precision = torch.float32
    content = to_onnx(
        recognizer,
        layout,
        views,
        dims,
        {
            "taxonomy": taxonomy.to_json(),
            "layout": layout.name,
            "joints": json.dumps(layout.joints),
            "dims": str(dims),
            "persons": str(config.data.persons),
            "frames": "+".join(str(view.frames) for view in views),
            "streams": "+".join(config.data.streams),
            "sampling": _sampling(views),
            "model": config.name,
            "version": pcan_pose.__version__,
        },
    )
    difference = None
    if importlib.util.find_spec("onnxruntime") is not None:
        difference = _compare(content, recognizer, layout, views, dims, file)
    with atomic_write(file) as temporary:
        temporary.write_bytes(content)
    return difference


def _sampling(views: Sequence[DataConfig]) -> str:
    """Return in words how a file samples clips."""
    text = _SAMPLING
    if len(views) > 1:
        text += " T and positions stand once for each view of a clip that the network takes."
    if padded := [str(view.frames) for view in views if view.short_clips == "pad"]:
        text += _PADDING if len(padded) == len(views) else f" Of T = {', '.join(padded)}:{_PADDING}"
    return text


def to_onnx(
    recognizer: Recognizer, layout: Skeleton, views: Sequence[DataConfig], dims: int, metadata: dict[str, str]
) -> bytes:
    """Return a network over skeletons, and all that comes before it, as an ONNX file's content.

    Args:
        recognizer: The network, in evaluation mode.
        layout: The joints.
        views: What is done to clips before the network, for each view of them that it takes.
        dims: Coordinates of a keypoint, C.
        metadata: What the file says of itself; the positions of the sampled frames are added.
    """
    import onnx

    graph = PoseGraph(recognizer, layout, views).eval()
    shape = (2, views[0].persons, max(view.frames for view in views) + 1, layout.num_joints)
    example = torch.rand(*shape, dims), torch.rand(*shape)
    clips, frames = {0: "clips"}, {0: "clips", 2: "frames"}
    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        # The exporter that is to replace this one needs a package more, onnxscript. That the layout's sizes become
        # constants of the graph is meant.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        temporary = Path(folder) / "model.onnx"
        torch.onnx.export(
            graph,
            example,
            temporary,
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(_INPUTS),
            output_names=list(_OUTPUTS),
            dynamic_axes={**dict.fromkeys(_INPUTS, frames), **dict.fromkeys(_OUTPUTS, clips)},
        )
        model = onnx.load(temporary)
    positions = [positions.tolist() for positions in graph.positions]
    said = json.dumps(positions if len(views) > 1 else positions[0])
    onnx.helper.set_model_props(model, {**metadata, "positions": said})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _refuse_others(config: RunConfig) -> None:
    """Check that the encoder sees skeletons alone, with operators that ONNX has.

    Raises:
        ConfigError: If it does not.
    """
    encoder = config.encoder
    if config.sees_pictures:
        raise ConfigError(
            f"{config.folder}: encoder {encoder.type!r} sees pictures; only runs over skeletons can be exported, so "
            "train or name one of these."
        )
    members = [member.encoder for member in encoder.members] if isinstance(encoder, CommitteeConfig) else [encoder]
    for member in members:
        if isinstance(member, PoseEncoderConfig) and member.spatial is not None:
            raise ConfigError(
                f"{config.folder}: torch-geometric's {member.spatial} (encoder.spatial) cannot be exported; train with "
                "encoder.spatial=null."
            )


def _compare(
    content: bytes, recognizer: Recognizer, layout: Skeleton, views: Sequence[DataConfig], dims: int, file: Path
) -> float:
    """Return the largest difference between the logits of ONNX Runtime and of the run, on one and on three clips.

    Raises:
        DataError: If they disagree.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    shortest, longest = (choose(view.frames for view in views) for choose in (min, max))
    # Of clips shorter than a view's frames padding leaves some empty.
    for clips, frames in ((1, longest), (3, longest + 7), (2, (shortest + longest) // 2), (2, shortest // 2 + 1)):
        keypoints, scores = _random_clips(clips, views[0].persons, frames, layout, dims)
        expected = _run_logits(recognizer, keypoints, scores, layout, views)
        got = session.run(list(_OUTPUTS), {"keypoints": keypoints, "scores": scores})
        for name, mine, theirs in zip(_OUTPUTS, expected, got, strict=True):
            difference = float(np.abs(mine - theirs).max())
            # Written so that a number that is none is a difference.
            if not difference <= _TOLERANCE * float(np.abs(mine).max()):
                raise DataError(
                    f"{file}: not written, ONNX Runtime {onnxruntime.__version__} gives {name} that differ by up to "
                    f"{difference:.2g} from the run's own, expected at most {_TOLERANCE:g} of the largest; this is a "
                    "fault of the export, please report it with the run's config.yaml."
                )
            largest = max(largest, difference)
    return largest


def _random_clips(clips: int, persons: int, frames: int, layout: Skeleton, dims: int) -> tuple[Floats, Floats]:
    """Return people who tremble; joints are missing now and then, some always, and the last person comes late."""
    random = np.random.default_rng(clips)
    shape = (clips, persons, frames, layout.num_joints)
    body = random.normal(0, 100, (clips, persons, 1, layout.num_joints, dims))
    keypoints = 500 + body + random.normal(0, 5, (*shape, dims))
    scores = random.uniform(0.2, 1, shape) * (random.random(shape) > 0.1)
    scores *= random.random((clips, persons, 1, layout.num_joints)) > 0.1
    scores[:, -1, : frames // 2] = 0
    return keypoints.astype(np.float32), scores.astype(np.float32)


@torch.inference_mode()
def _run_logits(
    recognizer: Recognizer, keypoints: Floats, scores: Floats, layout: Skeleton, views: Sequence[DataConfig]
) -> tuple[Floats, Floats]:
    """Return the logits of the network as it was trained, of clips that come from a set, (N, K_a) and (N, K_b)."""
    made = [Clip(str(i), one, found) for i, (one, found) in enumerate(zip(keypoints, scores, strict=True))]
    header = Header(layout=layout.name, dims=keypoints.shape[-1], estimator="random")
    # In memory, wherever the run keeps its own clips.
    in_memory = views[0].model_copy(update={"memory": "device"})
    source = PoseSource.from_set(KeypointSet.from_clips(header, made), in_memory, "cpu", views)
    assert isinstance(source.dataset, PoseDataset)
    (inputs,) = source.scoring_batches([torch.arange(len(made))], 0)
    prediction = recognizer(*inputs)
    return prediction.action_logits.numpy(), prediction.body_logits.numpy()
