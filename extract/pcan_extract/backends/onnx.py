"""Top-down pose networks as ONNX files: RTMPose, RTMW, DWPose and their like.

Shapes: N crops, P people in one frame, V joints, h rows and w columns of a crop.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.batching import Crops
from pcan_extract.backends.crops import Regions, cut, regions, to_picture
from pcan_extract.backends.detector import Detector, detector_settings, load_detector
from pcan_extract.backends.onnx_models import find_model
from pcan_extract.backends.onnx_session import (
    Floats,
    Network,
    fingerprint,
    require_onnxruntime,
    resolve_device,
    runtime_version,
)
from pcan_extract.backends.options import BackendOptions
from pcan_extract.backends.simcc import decode
from pcan_extract.backends.top_down import Joints, TopDown
from pcan_extract.video import Frame
from pcan_pose.errors import CheckpointError, ConfigError
from pcan_pose.skeleton import SKELETONS, skeleton

# What MMPose's top-down networks are trained with: mean and deviation of red, green and blue.
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
_LAYOUTS = {17: "coco17", 26: "halpe26", 133: "coco_wholebody133"}


class _Piece(NamedTuple):
    """A person cut out of a picture.

    Args:
        picture: uint8 (1, h, w, 3).
        where: The region that it shows.
    """

    picture: npt.NDArray[np.uint8]
    where: Regions


class OnnxBackend(TopDown[_Piece]):
    """A top-down pose network in an ONNX file, run by onnxruntime, with or without a network that finds the people.

    Layout: what the file's metadata name under `layout`, else by the number of joints: 17 coco17, 26 halpe26, 133
    coco_wholebody133. Pictures are cut and normalised and answers are read as MMPose does, without its averaging over
    the mirrored picture, so an exported network gives the joints that it gives there. Building the backend opens the
    file and runs one black picture, because only the answer says how many joints there are.

    Args:
        options: model is a path or one of `onnx_models.NAMES`, detector likewise (see `detector`). A batch is 8
            pictures on a CPU and 32 on a GPU unless the options say otherwise. Half precision is a matter of the file.

    Raises:
        CheckpointError: If the file is missing, damaged, or of another kind.
        ConfigError: If an option does not fit.
        MissingDependencyError: If onnxruntime is not installed, or rtmlib, where a name is given.
    """

    name = "onnx"

    def __init__(self, options: BackendOptions) -> None:
        options.only(self.name, "model", "detector", "device", "precision", "batch_size", "persons")
        if options.model is None:
            raise ConfigError(
                "backend 'onnx': which network? Give the path of an RTMPose, RTMW or DWPose .onnx file as the model."
            )
        require_onnxruntime()
        self._path = find_model(options.model, "pose")
        self._device = resolve_device(options.device, self._path)
        self._options = options
        network = Network(self._path)
        _check_precision(options.precision, network, self._path)
        joints = _count_joints(network)
        self.layout = _layout(network, joints, self._path)
        super().__init__(
            batch_size=options.batch_size or (8 if self._device == "cpu" else 32),
            persons=options.persons,
            joints=joints,
            across_videos=self._device != "cpu",
        )
        self.estimator = f"onnx-{self._path.stem} onnxruntime {runtime_version()}"
        self.settings = {
            "model": self._path.name,
            "model_sha256": fingerprint(self._path),
            "device": self._device.partition(":")[0],
            "precision": network.precision,
            "persons": str(options.persons),
            **detector_settings(options),
        }
        if self._device != "cpu":
            # CUDA's kernels depend on the batch's size; onnxruntime's on a CPU do not.
            self.settings["batch_size"] = str(self._batch_size)
        self._network: Network | None = None
        self._detector: Detector | None = None

    def __enter__(self) -> Self:
        self._network = Network(self._path, self._device)
        self._detector = load_detector(self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network = self._detector = None

    def find_people(self, frames: Sequence[Frame]) -> list[Floats]:
        """Return the boxes of the people in each frame; see `TopDown.find_people`."""
        assert self._detector is not None
        return self._detector(frames)

    def cut_out(self, frames: Sequence[Frame], boxes: Sequence[Floats]) -> Crops[_Piece]:
        """Yield the pictures of the people; see `TopDown.cut_out`."""
        assert self._network is not None
        size = self._network.size
        for frame, people in zip(frames, boxes, strict=True):
            # A crowd's crops need not all be there at once.
            for box in people:
                where = regions(box[None], size)
                yield _Piece(cut([frame], [0], where, size), where)

    def run_network(self, crops: Sequence[_Piece]) -> Joints:
        """Return the keypoints of a batch and their scores; see `TopDown.run_network`."""
        assert self._network is not None
        pictures = normalised(np.concatenate([each.picture for each in crops]))
        points, scores = _joints(self._network, pictures, self._batch_size)
        where = Regions(*map(np.concatenate, zip(*(each.where for each in crops), strict=True)))
        return to_picture(points, where, self._network.size), scores


def normalised(pictures: npt.NDArray[np.uint8]) -> Floats:
    """Return what the network takes, float32 (N, 3, h, w), of pictures (N, h, w, 3)."""
    return np.ascontiguousarray(((pictures - _MEAN) / _DEVIATION).transpose(0, 3, 1, 2))


def _joints(network: Network, pictures: Floats, batch_size: int) -> tuple[Floats, Floats]:
    """Return joints (N, V, 2) in pixels of the crops and scores (N, V)."""
    parts = [decode(each, network.output_names, network.size) for each in network.batches(pictures, batch_size)]
    points, scores = zip(*parts, strict=True)
    return np.concatenate(points), np.concatenate(scores)


def _count_joints(network: Network) -> int:
    """Return V, which is seen in the answer only: exported files often leave it open."""
    black = np.zeros((1, network.size.height, network.size.width, 3), np.uint8)
    points, _ = _joints(network, normalised(black), 1)
    return points.shape[1]


def _layout(network: Network, joints: int, path: Path) -> str:
    """Return the layout's name.

    Raises:
        CheckpointError: If it is not known or does not fit the number of joints.
    """
    named = network.metadata.get("layout")
    layout = named or _LAYOUTS.get(joints)
    if layout in SKELETONS and skeleton(layout).num_joints == joints:
        return layout
    got = f"the layout {named!r} and {joints} joints" if named else f"{joints} joints"
    raise CheckpointError(
        f"{path}: a network of {got} is of no known layout: expected 17 joints (coco17), 26 (halpe26) or 133 "
        f"(coco_wholebody133), or in the file's metadata, under 'layout', one of {', '.join(SKELETONS)}."
    )


def _check_precision(precision: str, network: Network, path: Path) -> None:
    """Return nothing; check that the file computes as precisely as was asked.

    fp32 is what the options say when nothing is said, so a file in half precision passes.

    Raises:
        ConfigError: If half precision was asked for and the file has another.
    """
    if precision not in ("fp32", network.precision):
        raise ConfigError(
            f"precision {precision!r}: {path} was exported in {network.precision} and computes in nothing else; leave "
            "the precision out, or export the network again."
        )
