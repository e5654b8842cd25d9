"""A whole run: optimiser, loop, and the sections of clips, encoder and head."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from pcan_pose.config.data import DataConfig
from pcan_pose.config.encoder import (
    CommitteeConfig,
    EfficientNetConfig,
    EncoderConfig,
    PoseEncoderConfig,
    TwoBranchConfig,
    VideoTransformerConfig,
    pose_by_default,
)
from pcan_pose.config.head import HeadConfig
from pcan_pose.config.section import Section

Precision = Literal["auto", "fp32", "bf16"]
"""Arithmetic of the encoder; `auto` is the one that is faster on the device."""


class OptimConfig(Section):
    """Optimiser and schedule: cosine with a linear warm-up."""

    type: Literal["sgd", "adamw"] = Field(default="sgd", description="SGD with Nesterov momentum, or AdamW")
    lr: float = Field(default=0.1, gt=0, description="highest learning rate")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="SGD's momentum")
    weight_decay: float = Field(default=5e-4, ge=0, description="weight decay")
    decay_all: bool = Field(default=False, description="decay norms, biases and learned adjacencies too")
    warmup_epochs: float = Field(default=5, ge=0, description="epochs over which the rate rises from 0")
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="the rate of an RGB encoder's layer is this times that of the next one towards the output",
    )
    clip_norm: float | None = Field(default=None, gt=0, description="largest norm of the gradient; none is off")


class TrainConfig(Section):
    """The loop."""

    epochs: int = Field(default=65, ge=1, description="passes")
    repeats: int = Field(default=1, ge=1, description="times that each clip comes in one epoch")
    batch_size: int = Field(default=32, ge=1, description="clips of a step, over all processes together")
    ema: float = Field(
        default=0.0, ge=0, lt=1, description="decay of the averaged weights that are tested and saved; 0 is off"
    )
    precision: Precision = Field(
        default="fp32",
        description="arithmetic of the encoder (autocast); auto is bf16 where the device is faster in it, and "
        "fp32 elsewhere, where bf16 takes two to ten times as long; the run folder says which it was",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; none keeps torch's choice")
    compile: Literal[True, False, "reduce-overhead"] = Field(
        default=False,
        description="compile the encoder; costs a minute or more before the first step. reduce-overhead: and replay a "
        "GPU's kernels as CUDA graphs",
    )
    val_every: int = Field(default=5, ge=1, description="epochs between measurements of the val split")
    save_every: int = Field(default=1, ge=1, description="epochs between checkpoints")

    def steps_per_epoch(self, clips: int) -> int:
        """Return the steps of an epoch over so many clips; what does not fill a batch is left out."""
        return clips * self.repeats // self.batch_size


class RunConfig(Section):
    """A whole run."""

    name: str = Field(description="the run's name")
    output: Path = Field(default=Path("runs"), description="folder in which the run folder <name> is made")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of weights, batches and augmentations")
    data: DataConfig
    encoder: EncoderConfig = Field(default=PoseEncoderConfig(), discriminator="type")
    head: HeadConfig = HeadConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    def computing_in(self, precision: Precision) -> "RunConfig":
        """Return the configuration with another arithmetic."""
        return self.model_copy(update={"train": self.train.model_copy(update={"precision": precision})})

    @model_validator(mode="before")
    @classmethod
    def _encoder_type(cls, values: Any) -> Any:
        return pose_by_default(values)

    @model_validator(mode="after")
    def _pictures(self) -> "RunConfig":
        if not self.sees_pictures:
            return self
        if self.data.rgb is None:
            raise ValueError(
                f"encoder {self.encoder.type!r} sees pictures; name their crops as data.rgb.crops ('pcan-pose data "
                "crops' makes them)"
            )
        if self.head.embedding_pooling == "published":
            raise ValueError("head.embedding_pooling 'published' is for skeletons alone; take 'mean'")
        return self

    @model_validator(mode="after")
    def _members_see_what_there_is(self) -> "RunConfig":
        if isinstance(self.encoder, CommitteeConfig):
            seen = [stream for member in self.encoder.members for stream in member.streams]
            if absent := sorted(set(seen) - set(self.data.streams)):
                raise ValueError(f"members of the encoder see {', '.join(absent)}, which data.streams does not have")
            for k, view in enumerate(self.member_views):
                try:
                    DataConfig.model_validate(view.model_dump())
                except ValidationError as error:
                    faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
                    raise ValueError(f"encoder.members.{k}: {faults}") from error
        return self

    @property
    def member_views(self) -> tuple[DataConfig, ...]:
        """How each member of a committee sees clips, or the encoder where there is no committee."""
        if isinstance(self.encoder, CommitteeConfig):
            return tuple(member.view(self.data) for member in self.encoder.members)
        return (self.data,)

    @property
    def views(self) -> tuple[DataConfig, ...]:
        """The ways in which clips are seen, each once, in the order of `member_views`."""
        views: list[DataConfig] = []
        for view in self.member_views:
            if view not in views:
                views.append(view)
        return tuple(views)

    @property
    def sees_pictures(self) -> bool:
        """Whether the encoder sees pictures, alone or beside skeletons."""
        return isinstance(self.encoder, EfficientNetConfig | VideoTransformerConfig | TwoBranchConfig)

    @property
    def without_effect(self) -> dict[str, list[str]]:
        """Keys that are set and change nothing here, by the reason; a file that serves several runs may have them."""
        reasons: dict[str, list[str]] = {}
        if not self.sees_pictures:
            pictures = [
                *(["data.rgb"] if self.data.rgb is not None else []),
                *(["optim.layer_decay"] if self.optim.layer_decay != 1 else []),
            ]
            reasons[f"encoder {self.encoder.type!r} sees no pictures"] = pictures
        if isinstance(self.encoder, CommitteeConfig):
            own = [
                f"data.{key}"
                for key in ("frames", "short_clips", "augment")
                if key in self.data.model_fields_set
                and all(getattr(member, key) is not None for member in self.encoder.members)
            ]
            reasons["each member of the encoder has its own"] = own
        return {reason: keys for reason, keys in reasons.items() if keys}

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.output / self.name
