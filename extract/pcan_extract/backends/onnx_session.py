"""ONNX files, opened by onnxruntime: what they take, where they run, and batches through them.

Shapes: N pictures, h rows, w columns.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.crops import Size
from pcan_pose.errors import CheckpointError, ConfigError, MissingDependencyError

Floats = npt.NDArray[np.float32]

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


def require_onnxruntime() -> None:
    """Return nothing; check that onnxruntime can be imported.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingDependencyError(
            "ONNX networks: the package onnxruntime is not installed; run pip install 'pcan-pose[onnx]' "
            "(or pip install onnxruntime-gpu for an NVIDIA GPU)."
        )


def runtime_version() -> str:
    """Return onnxruntime's version; its build for GPUs is another distribution of the same module."""
    import onnxruntime

    return str(onnxruntime.__version__)


def fingerprint(path: Path) -> str:
    """Return the first half of a file's SHA-256, in hexadecimal; another export of a network has another one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def resolve_device(device: str, path: Path) -> str:
    """Return where a network will run: cpu or cuda:N.

    Args:
        device: auto, cpu, cuda or cuda:N. For auto a network is opened to see whether there is a GPU that works: a
            build of onnxruntime that knows CUDA also runs on machines without one.
        path: The network to open.

    Raises:
        ConfigError: If there is no such device, or this build of onnxruntime does not know it.
    """
    import onnxruntime

    known = _CUDA in onnxruntime.get_available_providers()
    kind, _, number = device.partition(":")
    if device == "auto":
        return "cuda:0" if known and Network(path, "cuda:0", required=False).on_gpu else "cpu"
    if device == "cpu":
        return device
    if kind != "cuda" or (number and not number.isdecimal()) or device.endswith(":"):
        raise ConfigError(f"device {device!r} is none of auto, cpu, cuda and cuda:N.")
    if not known:
        raise ConfigError(
            f"device {device!r}: this onnxruntime knows no NVIDIA GPU; run pip install onnxruntime-gpu in place of "
            "onnxruntime, or choose cpu."
        )
    return f"cuda:{number or 0}"


class Network:
    """An open network of one picture input.

    It uses one thread: a run's parallelism is over videos, one worker each, and with a fixed number of threads the
    numbers cannot depend on how many workers there are.

    Args:
        path: The ONNX file.
        device: cpu or cuda:N.
        required: Whether a GPU that does not answer is an error.

    Attributes:
        size: What a picture must measure.
        precision: fp32 or fp16, what the file was exported with.
        batch: How many pictures go in at once; None if any number does.
        metadata: What whoever exported the file wrote into it.
        output_names: Names of its answers.

    Raises:
        CheckpointError: If the file is missing, no ONNX file, or takes something else than one picture.
        ConfigError: If the GPU does not answer.
    """

    def __init__(self, path: Path, device: str = "cpu", *, required: bool = True) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path}: there is no such file; give the path of an .onnx file.")
        self._path = path
        self._session = _open(path, device)
        self.on_gpu = _CUDA in self._session.get_providers()
        if required and device != "cpu" and not self.on_gpu:
            raise ConfigError(
                f"device {device!r}: onnxruntime does not get at this GPU; see that driver, CUDA and cuDNN are those "
                "that onnxruntime-gpu asks for, or choose cpu."
            )
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type not in _TYPES:
            told = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise CheckpointError(
                f"{path}: the network takes {told}; expected one input of floats (N, 3, rows, columns)."
            )
        if not all(isinstance(side, int) and side > 0 for side in shape[2:]):
            raise CheckpointError(
                f"{path}: the network's input {shape} leaves its rows and columns open; export it with a fixed size."
            )
        self.size = Size(width=shape[3], height=shape[2])
        self.batch: int | None = shape[0] if isinstance(shape[0], int) else None
        self.precision = "fp32" if _TYPES[inputs[0].type] is np.float32 else "fp16"
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.output_names = [each.name for each in self._session.get_outputs()]
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]

    def batches(self, pictures: Floats, most: int) -> Iterator[list[npt.NDArray[Any]]]:
        """Yield the network's answers, batch by batch, each of the shape (n, ...); halves are made float32.

        A network that takes one number of pictures only gets that many, black ones added at the end.

        Args:
            pictures: float32 (N, 3, h, w).
            most: How many may go in at once, where the network takes any number.

        Raises:
            CheckpointError: If the network fails.
        """
        step = self.batch or most
        for start in range(0, len(pictures), step):
            part = pictures[start : start + step].astype(self._type, copy=False)
            count = len(part)
            if self.batch and count < step:
                part = np.concatenate([part, np.zeros((step - count, *part.shape[1:]), self._type)])
            try:
                answers = self._session.run(self.output_names, {self._input: part})
            except Exception as error:  # onnxruntime's own exceptions have no common parent
                raise CheckpointError(
                    f"{self._path}: the network fails on {len(part)} pictures: {_line(error)}"
                ) from error
            yield [_single(answer[:count]) for answer in answers]


def _open(path: Path, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Failures come as exceptions; what else it logs concerns developers of networks.
    options.log_severity_level = 4
    providers: list[Any] = [_CPU]
    if device != "cpu":
        # TensorFloat-32 would cut fp32 to 10 bits, and timing algorithms for each new shape makes numbers vary.
        settings = {"device_id": device.partition(":")[2], "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
        providers.insert(0, (_CUDA, settings))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions have no common parent
        raise CheckpointError(f"{path}: onnxruntime cannot open it: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _single(answer: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return answer.astype(np.float32) if answer.dtype == np.float16 else answer
