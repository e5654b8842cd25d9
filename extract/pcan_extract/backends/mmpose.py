"""MMPose: any of its top-down networks, from a configuration and a checkpoint.

Shapes: N crops, P people in one frame, V joints, H rows, W columns.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from pcan_extract.backends.batching import Crops
from pcan_extract.backends.detector import Detector, detector_settings, load_detector
from pcan_extract.backends.mmpose_configs import (
    config_fingerprint,
    find_config,
    published_weights,
    read_config,
    read_dataset_meta,
)
from pcan_extract.backends.mmpose_environment import check_environment, missing_packages, mmpose_version
from pcan_extract.backends.mmpose_layouts import find_layout
from pcan_extract.backends.mmpose_network import load_network, resolve_device
from pcan_extract.backends.mmpose_stubs import import_mmpose
from pcan_extract.backends.onnx_session import fingerprint
from pcan_extract.backends.options import BackendOptions
from pcan_extract.backends.top_down import Floats, Joints, TopDown
from pcan_extract.video import Frame
from pcan_pose.errors import ConfigError, MissingDependencyError, PcanError
from pcan_pose.skeleton import skeleton

_BATCH = {"cpu": 4, "cuda": 32}


class MMPoseBackend(TopDown[Any]):
    """A top-down network of MMPose, run through MMPose's own preparation of pictures and its own test step.

    Layout: what the configuration's data set says of its joints, by their names. Those of COCO, Halpe-26 and
    COCO-WholeBody are the built-in layouts; any other set becomes a skeleton of its own. Scores: MMPose's own, between
    0 and 1; RTMPose's are values of its answer that may lie outside, which are clipped.

    Building it imports MMPose, which takes seconds, and reads the configuration, which runs it: a configuration is a
    Python program. The checkpoint is read when the backend is entered, and refused if it would run anything. On a CPU
    the network uses one thread, so that the numbers do not depend on how many workers there are.

    Args:
        options: model is the path of a configuration, the name of one that comes with MMPose, or one of MMPose's short
            names; checkpoint is its weights. The detector is an .onnx file (see `detector`), the whole picture without
            one. A batch is 4 pictures on a CPU and 32 on a GPU unless the options say otherwise.

    Raises:
        ConfigError: If an option does not fit, or the configuration is not that of a top-down network.
        MissingDependencyError: If something that MMPose needs is not installed.
    """

    name = "mmpose"

    def __init__(self, options: BackendOptions) -> None:
        options.only(self.name, "model", "checkpoint", "detector", "device", "precision", "batch_size", "persons")
        if faults := missing_packages():
            raise MissingDependencyError(*(f"backend 'mmpose': {fault}" for fault in faults))
        if options.model is None:
            raise ConfigError(
                "backend 'mmpose': which network? Give an MMPose configuration as the model, by path or by name "
                "(rtmw-m_8xb1024-270e_cocktail14-256x192), and its weights as the checkpoint."
            )
        self._config = find_config(options.model)
        self._checkpoint = _find_checkpoint(options.checkpoint, self._config)
        import_mmpose()
        self._device = resolve_device(options.device)
        kind = self._device.partition(":")[0]
        if options.precision != "fp32" and kind == "cpu":
            raise ConfigError(f"precision {options.precision!r} needs a GPU; on a CPU, leave the precision out.")
        config = read_config(self._config)
        with warnings.catch_warnings():
            # It says where it has found the description of the data set.
            warnings.simplefilter("ignore")
            self._meta = read_dataset_meta(config, self._config)
        self.layout = find_layout(self._meta, options.model)
        self._options = options
        super().__init__(
            batch_size=options.batch_size or _BATCH[kind],
            persons=options.persons,
            joints=skeleton(self.layout).num_joints,
            across_videos=kind != "cpu",
        )
        self.estimator = f"mmpose-{self._config.stem} mmpose {mmpose_version()}"
        self.settings = {
            "model": self._config.stem,
            "model_sha256": config_fingerprint(config),
            "checkpoint": self._checkpoint.name,
            "checkpoint_sha256": fingerprint(self._checkpoint),
            "device": kind,
            "precision": options.precision,
            "batch_size": str(self._batch_size),
            "persons": str(options.persons),
            **detector_settings(options),
        }
        self._network: Any = None
        self._pipeline: Any = None
        self._detector: Detector | None = None
        self._threads: int | None = None

    def __enter__(self) -> Self:
        import_mmpose()
        import torch
        from mmengine.dataset import Compose

        config = read_config(self._config)
        self._network = load_network(config, self._meta, self._checkpoint, self._device, self._options.precision)
        self._pipeline = Compose(config.test_dataloader.dataset.pipeline)
        self._detector = load_detector(self._options)
        if self._device == "cpu":
            self._threads = torch.get_num_threads()
            torch.set_num_threads(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        self._network = self._pipeline = self._detector = None

    def find_people(self, frames: Sequence[Frame]) -> list[Floats]:
        """Return the boxes of the people in each frame; see `TopDown.find_people`."""
        assert self._detector is not None
        return self._detector(frames)

    def cut_out(self, frames: Sequence[Frame], boxes: Sequence[Floats]) -> Crops[Any]:
        """Yield what MMPose's pipeline makes of each person; see `TopDown.cut_out`."""
        for frame, people in zip(frames, boxes, strict=True):
            # MMPose's pictures have blue first.
            picture = np.ascontiguousarray(frame[..., ::-1])
            for box in people:
                yield self._sample(picture, box)

    def _sample(self, picture: Frame, box: Floats) -> Any:
        """Return what MMPose's pipeline makes of one person: the crop and how to get back from it."""
        return self._pipeline(
            {
                "img": picture,
                "bbox": box[None],  # (1, 4)
                "bbox_score": np.ones(1, np.float32),
                **self._network.dataset_meta,
            }
        )

    def run_network(self, crops: Sequence[Any]) -> Joints:
        """Return the keypoints of a batch and their scores; see `TopDown.run_network`.

        Raises:
            ConfigError: If the network has other joints than its configuration says.
        """
        import torch
        from mmengine.dataset import pseudo_collate

        with torch.inference_mode(), warnings.catch_warnings():
            # MMPose calls torch functions by names that are going out of use.
            warnings.simplefilter("ignore", FutureWarning)
            found = [each.pred_instances for each in self._network.test_step(pseudo_collate(crops))]
        keypoints = np.concatenate([each.keypoints for each in found])
        scores = np.concatenate([each.keypoint_scores for each in found])
        if keypoints.shape != (len(crops), self._joints, 2) or scores.shape != keypoints.shape[:2]:
            raise ConfigError(
                f"{self._config}: the network answers with keypoints {keypoints.shape} and scores {scores.shape}; its "
                f"data set has {self._joints} joints: expected ({len(crops)}, {self._joints}, 2)."
            )
        return keypoints, scores.clip(0, 1)


def check(options: BackendOptions | None = None) -> list[str]:
    """Return what keeps the backend from running, each with what mends it; empty if nothing does.

    Args:
        options: What it shall run with; without a model only the environment is looked at. Otherwise the network is
            loaded too, so that a wrong checkpoint shows.
    """
    faults = check_environment()
    if faults or options is None or options.model is None:
        return faults
    try:
        with MMPoseBackend(options):
            return []
    except PcanError as error:
        return list(error.faults)


def _find_checkpoint(checkpoint: str | None, config: Path) -> Path:
    """Return the checkpoint's path.

    Raises:
        ConfigError: If none is given, or it is not there.
    """
    if checkpoint is not None and Path(checkpoint).is_file():
        return Path(checkpoint)
    address = published_weights(config)
    source = f"; MMPose's authors publish it at {address}" if address else ""
    if checkpoint is None:
        raise ConfigError(
            f"backend 'mmpose': model {config.stem!r} needs its weights: download them once and give the .pth file "
            f"as the checkpoint{source}."
        )
    raise ConfigError(f"checkpoint {checkpoint!r}: no such file; give the path of a .pth file{source}.")
