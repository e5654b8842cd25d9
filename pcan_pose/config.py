"""The configuration of a run: one complete YAML file, checked whole before anything starts.

YAML is read as version 1.2: ``1e-3`` is a number and ``no`` is a word. Unknown keys are errors that name the nearest
known one. Every value can be set from the command line as ``section.key=value``.
"""

import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pcan_pose.errors import ConfigError, did_you_mean

Stream = Literal["joint", "bone", "joint_motion", "bone_motion"]
Centre = Literal["first_frame", "clip", "frame"]
Range = tuple[float, float]

# What mode as_published means for each switch of a fault.
PUBLISHED_HEAD: dict[str, Any] = {
    "embedding_pooling": "published",
    "diversity": "detached",
    "unseen_prototypes": "random",
}
PUBLISHED_CALIBRATION: dict[str, Any] = {"weighting": "logits", "clips": "all", "detach_probability": False}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AugmentConfig(_Section):
    """Augmentations of training clips; every default leaves the clip as it is."""

    flip: float = Field(
        default=0.0, ge=0, le=1, description="probability that a clip is mirrored, left and right joints swapped"
    )
    rotation: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="largest angles in degrees about x, y and z; 2-D clips turn about z only"
    )
    scale: float = Field(default=0.0, ge=0, lt=1, description="largest relative change of size, 0.1 for 0.9 to 1.1")
    shear: float = Field(default=0.0, ge=0, description="largest shear factor")
    crop: Range = Field(default=(1.0, 1.0), description="shortest and longest part of the clip that is kept, in (0, 1]")
    resampling: Literal["uniform", "random"] = Field(
        default="uniform", description="frames at even or at sorted random positions"
    )
    noise: float = Field(default=0.0, ge=0, description="standard deviation of the joints' noise, in body sizes")
    joint_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="probability that a joint is missing for a whole clip"
    )

    @model_validator(mode="after")
    def _crop_is_a_range(self) -> "AugmentConfig":
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop must be two numbers with 0 < shortest <= longest <= 1, got {self.crop}")
        return self


class DataConfig(_Section):
    """Which clips, and what of them the network sees."""

    path: Path = Field(description="keypoint set: a folder of Parquet shards")
    train_split: str = Field(default="train", description="split to train on")
    val_split: str | None = Field(default=None, description="split to measure during training; none is needed")
    streams: tuple[Stream, ...] = Field(
        default=("joint", "bone", "joint_motion", "bone_motion"),
        min_length=1,
        description="input streams, fused before the encoder",
    )
    frames: int = Field(default=64, ge=2, description="frames sampled from each clip")
    persons: int = Field(default=1, ge=1, description="persons kept in each clip")
    centre: Centre = Field(
        default="clip", description="origin at the centre joints of the first frame, of the clip or of each frame"
    )
    scale: Literal["body", "axes", "none"] = Field(
        default="body",
        description="divide all axes by the body's size, or stretch each axis of each clip to [-1, 1], as most do",
    )
    face_camera: bool = Field(False, description="turn 3-D clips so that the shoulders lie along x on the average")
    augment: AugmentConfig = AugmentConfig()


class PoseEncoderConfig(_Section):
    """The default encoder: learned adjacency, temporal bottlenecks, channels-last throughout."""

    type: Literal["pose"] = "pose"
    widths: tuple[int, ...] = Field(default=(64, 128, 256), min_length=1, description="channels of each stage")
    depths: tuple[int, ...] = Field(
        default=(3, 2, 2), min_length=1, description="blocks of each stage; time is halved between stages"
    )
    groups: int = Field(default=1, ge=1, description="adjacencies of a block, each for its share of the channels")
    temporal_kernel: int = Field(default=5, ge=1, description="frames that a temporal convolution spans; odd")
    reduction: int = Field(default=4, ge=1, description="channels of a temporal bottleneck: width / reduction")
    stem_stride: int = Field(default=2, ge=1, description="stride in time of the first convolution")
    spatial: str | None = Field(
        default=None,
        description="torch-geometric convolution to use instead of the learned adjacency, such as GATv2Conv",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "PoseEncoderConfig":
        if len(self.widths) != len(self.depths):
            raise ValueError(
                f"widths and depths must have the same length, got {len(self.widths)} and {len(self.depths)}"
            )
        if self.temporal_kernel % 2 == 0:
            raise ValueError(f"temporal_kernel must be odd, got {self.temporal_kernel}")
        if wrong := [width for width in self.widths if width % self.groups or width % self.reduction]:
            raise ValueError(
                f"widths {wrong} are not multiples of groups ({self.groups}) and reduction ({self.reduction})"
            )
        return self


class STGCNPlusPlusConfig(_Section):
    """ST-GCN++, the baseline of the field (Duan et al., 2022)."""

    type: Literal["stgcn++"]
    base_channels: int = Field(default=64, ge=12, description="channels of the first stage")


class CTRGCNConfig(_Section):
    """CTR-GCN, whose adjacencies are refined for each channel and clip (Chen et al., 2021)."""

    type: Literal["ctr-gcn"]
    base_channels: int = Field(default=64, ge=4, multiple_of=4, description="channels of the first stage")


class STGCNConfig(_Section):
    """ST-GCN, the first of its kind (Yan et al., 2018)."""

    type: Literal["st-gcn"]
    base_channels: int = Field(default=64, ge=1, description="channels of the first stage")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of a block's features dropped in training; published with 0.5"
    )


EncoderConfig = PoseEncoderConfig | STGCNPlusPlusConfig | CTRGCNConfig | STGCNConfig
"""What an encoder can be, told apart by its type."""


class CalibrationConfig(_Section):
    """Prototypical calibration of ambiguous clips; each switch settles one fault of the published code."""

    enabled: bool = Field(default=True, description="whether the calibration losses are computed")
    weight: float = Field(default=0.2, ge=0, description="weight of both calibration losses in the total")
    alpha: float = Field(default=0.125, ge=0, description="strength of the compensation towards ambiguous clips")
    temperature: float = Field(default=0.125, gt=0, description="temperature of the contrastive logits")
    false_negative_weights: tuple[float, float, float] = Field(
        default=(1.0, 0.1, 0.5), description="weights of FN1 (action wrong), FN2 (body part wrong) and FN3 (both wrong)"
    )
    false_positive_weight: float = Field(default=1.0, ge=0, description="weight of the false positives")
    weighting: Literal["losses", "logits"] = Field(
        default="losses",
        description="what the four weights multiply; on logits, as published, they are temperatures and not weights",
    )
    clips: Literal["ambiguous", "all"] = Field(
        default="ambiguous",
        description="clips that each loss is averaged over; the published code takes all, ambiguous or not",
    )
    detach_probability: bool = Field(
        default=True,
        description="keep the label's probability constant; the published code leaks this loss into the classifier",
    )


class HeadConfig(_Section):
    """The hierarchical head: two classifiers, the action tree, prototypes, calibration, rectification."""

    mode: Literal["corrected", "as_published"] = Field(
        default="corrected", description="as_published sets every switch of a fault to the published code's arithmetic"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the pooled feature dropped in training")
    body_weight: float = Field(default=1.0, ge=0, description="weight of the body parts' cross-entropy")
    tree_weight: float = Field(default=1.0, ge=0, description="weight of the tree loss")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="label smoothing of both cross-entropies")
    action_embedding: int = Field(default=256, ge=1, description="width of the action prototypes")
    body_embedding: int = Field(default=128, ge=1, description="width of the body-part prototypes")
    embedding_pooling: Literal["mean", "published"] = Field(
        default="mean",
        description="what embeddings see in training: the mean over time and joints as at inference, or the published "
        "maximum over joints of the mean over time, which inference never sees",
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="share of the old prototype in an update")
    calibration: CalibrationConfig = CalibrationConfig()
    diversity_weight: float = Field(default=0.2, ge=0, description="weight of the prototypes' diversity loss")
    diversity: Literal["differentiable", "detached"] = Field(
        default="differentiable",
        description="off-diagonal and differentiable, or the published full and detached norm, which trains nothing",
    )
    unseen_prototypes: Literal["zero", "random"] = Field(
        default="zero",
        description="start of a prototype; the published code starts at random normal, noise that rectification adds",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="tau: the actions' cross-entropy takes logits + tau log(share of the training clips), which keeps "
        "frequent actions from crowding out rare ones; 0 is off, 1 aims at the mean of the classes' accuracies",
    )
    rectification: float = Field(
        default=1.0, ge=0, description="weight of the prototypes' similarity at inference; 0 is off"
    )

    @model_validator(mode="before")
    @classmethod
    def _published_switches(cls, values: Any) -> Any:
        """Set the switches of a mode, unless they are given."""
        if not isinstance(values, dict) or values.get("mode") != "as_published":
            return values
        given = values.get("calibration") or {}
        calibration = {**PUBLISHED_CALIBRATION, **given} if isinstance(given, dict) else given
        return {**PUBLISHED_HEAD, **values, "calibration": calibration}


class OptimConfig(_Section):
    """Optimiser and schedule: cosine with a linear warm-up."""

    type: Literal["sgd", "adamw"] = Field(default="sgd", description="SGD with Nesterov momentum, or AdamW")
    lr: float = Field(default=0.1, gt=0, description="highest learning rate")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="SGD's momentum")
    weight_decay: float = Field(default=5e-4, ge=0, description="weight decay")
    decay_all: bool = Field(default=False, description="decay norms, biases and learned adjacencies too")
    warmup_epochs: float = Field(default=5, ge=0, description="epochs over which the rate rises from 0")
    clip_norm: float | None = Field(default=None, gt=0, description="largest norm of the gradient; none is off")


class TrainConfig(_Section):
    """The loop."""

    epochs: int = Field(default=65, ge=1, description="passes")
    repeats: int = Field(default=1, ge=1, description="times that each clip comes in one epoch")
    batch_size: int = Field(default=32, ge=1, description="clips of a step, over all processes together")
    ema: float = Field(
        default=0.0, ge=0, lt=1, description="decay of the averaged weights that are tested and saved; 0 is off"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="arithmetic of the encoder (autocast)")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; none keeps torch's choice")
    compile: bool = Field(
        default=False, description="compile the encoder; costs a minute or more before the first step"
    )
    val_every: int = Field(default=5, ge=1, description="epochs between measurements of the val split")
    save_every: int = Field(default=1, ge=1, description="epochs between checkpoints")


class RunConfig(_Section):
    """A whole run."""

    name: str = Field(description="the run's name")
    output: Path = Field(default=Path("runs"), description="folder in which the run folder <name> is made")
    seed: int = Field(default=0, ge=0, description="seed of weights, batches and augmentations")
    data: DataConfig
    encoder: EncoderConfig = Field(default=PoseEncoderConfig(), discriminator="type")
    head: HeadConfig = HeadConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _encoder_type(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("encoder"), dict):
            return {**values, "encoder": {"type": "pose", **values["encoder"]}}
        return values

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.output / self.name


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the checked configuration of a YAML file.

    Args:
        path: The file, or the name of one that ships with the package.
        overrides: Settings such as ``optim.lr=0.05``; their values are YAML too.

    Raises:
        ConfigError: If there is no such file; or one line for each unknown key and each value that does not fit.
    """
    path = find_config(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    content = _yaml(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys such as name, data and train, got {type(content).__name__}.")
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set {override}: expected key=value, e.g. --set optim.lr=0.05.")
        if key.strip() == "head.mode":
            _forget_switches(content)
        _assign(content, key.strip().split("."), _yaml(value, f"--set {override}"), override)
    return parse_config(content, str(path))


def find_config(path: str | Path) -> Path:
    """Return the path of a configuration: a file, or else one that ships with the package, by its name.

    Raises:
        ConfigError: If there is neither.
    """
    path = Path(path)
    if path.is_file():
        return path
    # In a wheel the folder lies inside the package, in a checkout beside it.
    package = Path(__file__).parent
    folders = [folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir()]
    shipped = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    if path.stem in shipped and path.parent.name in ("", "configs") and path.suffix in ("", ".yaml"):
        return shipped[path.stem]
    raise ConfigError(
        f"{path}: there is no such file, nor a configuration of that name.{did_you_mean(path.stem, shipped)}"
    )


def parse_config(content: dict[str, Any], where: str) -> RunConfig:
    """Return the checked configuration of plain containers.

    Raises:
        ConfigError: One line for each unknown key and each value that does not fit.
    """
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(*_faults(error, where)) from error


def to_yaml(config: RunConfig) -> str:
    """Return the whole configuration as YAML, every key with its value."""
    from ruamel.yaml import YAML

    stream = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def describe_keys() -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and meaning of every setting, depth first."""
    schema = RunConfig.model_json_schema()
    yield from _describe(schema, schema, "")


def _describe(section: dict[str, Any], root: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, entry in section["properties"].items():
        branches = [entry, *entry.get("oneOf", [])]
        references = [branch["$ref"].rsplit("/", 1)[-1] for branch in branches if "$ref" in branch]
        for reference in references:
            yield from _describe(root["$defs"][reference], root, f"{prefix}{name}.")
        if not references:
            default = json.dumps(entry["default"]) if "default" in entry else "required"
            yield f"{prefix}{name}", _type(entry), default, entry.get("description", "")


def _type(entry: dict[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(_type(option) for option in entry["anyOf"])
    if "const" in entry:
        return json.dumps(entry["const"])
    if "enum" in entry:
        return " | ".join(map(str, entry["enum"]))
    if entry.get("type") == "array":
        items = entry.get("items") or (entry.get("prefixItems") or [{}])[0]
        return f"list of {_type(items)}"
    return str(entry.get("format", entry.get("type", "any")))


def _yaml(text: str, where: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigError(f"{where}: not YAML ({' '.join(str(error).split())}).") from error


def _forget_switches(content: dict[str, Any]) -> None:
    """Take the switches out that a mode sets, so that a mode given on the command line decides them anew."""
    head = content.get("head")
    if not isinstance(head, dict):
        return
    for name in PUBLISHED_HEAD:
        head.pop(name, None)
    if isinstance(head.get("calibration"), dict):
        for name in PUBLISHED_CALIBRATION:
            head["calibration"].pop(name, None)


def _assign(content: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {'.'.join(keys[: depth + 1])} is a value, not a section.")
        content = inner
    content[keys[-1]] = value


def _faults(error: ValidationError, where: str) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        # The chosen member of a union is part of pydantic's path but not a key of the file.
        place = [str(part) for part in fault["loc"] if part not in ("pose", "stgcn++", "ctr-gcn", "st-gcn")]
        key = ".".join(place)
        if fault["type"] == "extra_forbidden":
            options = _known(place[:-1])
            yield f"{where}: unknown key {key!r}.{did_you_mean(place[-1], options)}"
        elif fault["type"] == "missing":
            yield f"{where}: {key!r} is missing; it has no default."
        else:
            yield f"{where}: {key or 'configuration'}: {fault['msg']}, got {fault['input']!r}."


def _known(path: list[str]) -> list[str]:
    prefix = "".join(part + "." for part in path)
    return sorted({key.removeprefix(prefix).split(".")[0] for key, *_ in describe_keys() if key.startswith(prefix)})
