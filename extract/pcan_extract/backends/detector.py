"""People found in pictures by a YOLOX or RTMDet network in an ONNX file.

Shapes: T pictures, P people in one of them, A anchors, h rows and w columns of the network's input.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.detections import count_anchors, letterbox, suppress, surest, yolox_boxes
from pcan_extract.backends.onnx_models import find_model
from pcan_extract.backends.onnx_session import Floats, Network, fingerprint, require_onnxruntime, resolve_device
from pcan_extract.backends.options import BackendOptions
from pcan_extract.backends.top_down import whole_picture
from pcan_extract.video import Frame
from pcan_pose.errors import CheckpointError, ConfigError

Detector = Callable[[Sequence[Frame]], list[Floats]]
"""From T pictures of one size to each one's people, surest first: float32 (P, 4), left, top, right, bottom (pixels)."""

Kind = Literal["yolox", "rtmdet"]

THRESHOLD = 0.3
"""Probability from which on a box is a person."""

_OVERLAP = 0.45  # two boxes that share more than this are one person
# RTMDet's mean and deviation of red, green and blue.
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)


def load_detector(options: BackendOptions) -> Detector:
    """Return the detector that the options ask for, ready to run; without one the whole picture is one person's box.

    Args:
        options: Of them detector, device and batch_size. The detector is a path or one of `onnx_models.NAMES`. A file
            that does the last step itself (mmdeploy's, with non-maximum suppression) and YOLOX's raw answer are read.

    Raises:
        CheckpointError: If the file is missing, damaged, or of another kind.
        ConfigError: If it does not say what it is, or an option does not fit.
        MissingDependencyError: If onnxruntime is not installed.
    """
    if options.detector is None:
        return whole_picture
    path = _path(options)
    device = resolve_device(options.device, path)
    network = Network(path, device)
    return _People(network, _kind(path, network), path, options.batch_size or (8 if device == "cpu" else 32))


def detector_settings(options: BackendOptions) -> dict[str, str]:
    """Return what of the detector changes the numbers, for a backend's settings.

    Raises:
        ConfigError: If several people are to be found by nobody.
        PcanError: As `load_detector`, without running it.
    """
    if options.detector is None:
        if options.persons > 1:
            raise ConfigError(
                f"persons {options.persons} needs a detector: without one the whole picture is one person's box; name "
                "one with --detector."
            )
        return {"detector": "whole picture"}
    path = _path(options)
    return {
        "detector": path.name,
        "detector_sha256": fingerprint(path),
        "detector_kind": _kind(path, Network(path)),
        "detector_threshold": str(THRESHOLD),
    }


def _path(options: BackendOptions) -> Path:
    require_onnxruntime()
    assert options.detector is not None
    return find_model(options.detector, "det")


def _kind(path: Path, network: Network) -> Kind:
    """Return which of the two a file is; their inputs and answers look alike, but their colours are scaled differently.

    Raises:
        ConfigError: If neither the metadata nor the name says it.
    """
    told = network.metadata.get("detector", "")
    # Exports are often called end2end.onnx, in a folder of the network's name.
    for text in (told, path.name, path.parent.name):
        found: list[Kind] = [kind for kind in ("yolox", "rtmdet") if kind in text.lower()]
        if len(found) == 1:
            return found[0]
    raise ConfigError(
        f"{path}: is this detector a YOLOX or an RTMDet? Rename the file or its folder so that it contains yolox or "
        "rtmdet."
    )


class _People:
    def __init__(self, network: Network, kind: Kind, path: Path, batch_size: int) -> None:
        self._network = network
        self._kind = kind
        self._path = path
        self._batch_size = batch_size

    def __call__(self, frames: Sequence[Frame]) -> list[Floats]:
        pictures, ratio = letterbox(frames, self._network.size)  # (T, h, w, 3)
        inputs = (pictures - _MEAN) / _DEVIATION if self._kind == "rtmdet" else pictures.astype(np.float32)
        # Both networks take blue first.
        inputs = np.ascontiguousarray(inputs[..., ::-1].transpose(0, 3, 1, 2))  # (T, 3, h, w)
        people: list[Floats] = []
        for answers in self._network.batches(inputs, self._batch_size):
            people += [boxes / ratio for boxes in self._read(answers)]
        return people

    def _read(self, answers: list[npt.NDArray[Any]]) -> list[Floats]:
        """Return each picture's people, in pixels of the network's input, surest first.

        Raises:
            CheckpointError: If the answers are those of another kind of network.
        """
        found = answers[0]
        shapes = [answer.shape for answer in answers]
        if found.ndim == 3 and found.shape[-1] == 5 and shapes[1:] in ([], [found.shape[:2]]):
            labels = answers[1] if len(answers) > 1 else np.zeros(found.shape[:2])
            scores = np.where(labels == 0, found[..., 4], 0)  # (T, P)
            return [surest(*each, THRESHOLD) for each in zip(found[..., :4], scores, strict=True)]
        raw = found.ndim == 3 and found.shape[-1] > 5 and found.shape[1] == count_anchors(self._network.size)
        if raw and len(answers) == 1 and self._kind == "yolox":
            boxes = yolox_boxes(found, self._network.size)  # (T, A, 4)
            scores = found[..., 4] * found[..., 5]  # (T, A)
            return [suppress(surest(*each, THRESHOLD), _OVERLAP) for each in zip(boxes, scores, strict=True)]
        told = ", ".join(f"{name} {shape}" for name, shape in zip(self._network.output_names, shapes, strict=True))
        raise CheckpointError(
            f"{self._path}: the network answers with {told}; expected boxes with scores (N, P, 5) and their labels "
            "(N, P), or YOLOX's raw answer (N, anchors, 5 + classes)."
        )
