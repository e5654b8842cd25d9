"""Encoders and their sizes."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from pcan_pose.config.data import AugmentConfig, DataConfig, ShortClips, Stream
from pcan_pose.config.section import Section

_DEPTHS = Field(default=(3, 2, 2), min_length=1, description="blocks of each stage; time is halved between stages")


def _check_stages(widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
    if len(widths) != len(depths):
        raise ValueError(f"widths and depths must have the same length, got {len(widths)} and {len(depths)}")


class PoseEncoderConfig(Section):
    """The default encoder: learned adjacency, temporal bottlenecks, channels-last throughout."""

    type: Literal["pose"] = Field(default="pose", description="the default encoder: a learned graph, few parameters")
    widths: tuple[PositiveInt, ...] = Field(default=(64, 128, 256), min_length=1, description="channels of each stage")
    depths: tuple[PositiveInt, ...] = _DEPTHS
    groups: int = Field(default=1, ge=1, description="adjacencies of a block, each for its share of the channels")
    temporal_kernel: int = Field(default=5, ge=3, description="frames that a temporal convolution spans; odd")
    reduction: int = Field(default=4, ge=1, description="channels of a temporal bottleneck: width / reduction")
    stem_stride: int = Field(default=2, ge=1, description="stride in time of the first convolution")
    spatial: str | None = Field(
        default=None,
        description="torch-geometric convolution to use instead of the learned adjacency, such as GATv2Conv",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "PoseEncoderConfig":
        _check_stages(self.widths, self.depths)
        if self.temporal_kernel % 2 == 0:
            raise ValueError(f"temporal_kernel must be odd, got {self.temporal_kernel}")
        if wrong := [width for width in self.widths if width % self.groups or width % self.reduction]:
            raise ValueError(
                f"widths {wrong} are not multiples of groups ({self.groups}) and reduction ({self.reduction})"
            )
        return self


class RefinedEncoderConfig(Section):
    """The default encoder's stages with CTR-GCN's refinement and temporal branches, channels first."""

    type: Literal["refined"] = Field(
        description="the default encoder's stages with a graph refined for each channel and clip, and temporal branches"
    )
    widths: tuple[Annotated[PositiveInt, Field(multiple_of=4)], ...] = Field(
        default=(64, 128, 256), min_length=1, description="channels of each stage, multiples of 4"
    )
    depths: tuple[PositiveInt, ...] = _DEPTHS
    stem_stride: int = Field(default=1, ge=1, description="stride in time of the first convolution")

    @model_validator(mode="after")
    def _consistent(self) -> "RefinedEncoderConfig":
        _check_stages(self.widths, self.depths)
        return self


class STGCNPlusPlusConfig(Section):
    """ST-GCN++, the baseline of the field (Duan et al., 2022)."""

    type: Literal["stgcn++"] = Field(description="ST-GCN++, the baseline of the field")
    base_channels: int = Field(default=64, ge=12, description="channels of the first stage")


class CTRGCNConfig(Section):
    """CTR-GCN, whose adjacencies are refined for each channel and clip (Chen et al., 2021)."""

    type: Literal["ctr-gcn"] = Field(description="CTR-GCN, whose graph is refined for each channel and clip")
    base_channels: int = Field(default=64, ge=4, multiple_of=4, description="channels of the first stage")


class STGCNConfig(Section):
    """ST-GCN, the first of its kind (Yan et al., 2018)."""

    type: Literal["st-gcn"] = Field(description="ST-GCN, the first of its kind")
    base_channels: int = Field(default=64, ge=1, description="channels of the first stage")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of a block's features dropped in training; published with 0.5"
    )


SingleEncoderConfig = PoseEncoderConfig | RefinedEncoderConfig | STGCNPlusPlusConfig | CTRGCNConfig | STGCNConfig
"""What one network over skeletons can be, told apart by its type."""


def pose_by_default(values: Any, key: str = "encoder") -> Any:
    """Return a section's values with the type of its encoder, which may be left out for the default one."""
    if isinstance(values, dict) and isinstance(values.get(key), dict):
        return {**values, key: {"type": "pose", **values[key]}}
    return values


Vote = Literal["probabilities", "logits"]


class MemberConfig(Section):
    """One member of a committee."""

    streams: tuple[Stream, ...] = Field(min_length=1, description="streams that the member sees, of data.streams")
    encoder: SingleEncoderConfig = Field(default=PoseEncoderConfig(), discriminator="type")
    frames: int | None = Field(default=None, ge=2, description="frames sampled for this member; none is data.frames")
    short_clips: ShortClips | None = Field(
        default=None, description="what becomes of short clips for this member; none is data.short_clips"
    )
    augment: AugmentConfig | None = Field(
        default=None, description="all augmentations of this member's clips; none takes data.augment"
    )

    @model_validator(mode="before")
    @classmethod
    def _encoder_type(cls, values: Any) -> Any:
        return pose_by_default(values)

    def view(self, data: DataConfig) -> DataConfig:
        """Return how this member sees clips: what it says itself, and all else as the run does."""
        own = {"frames": self.frames, "short_clips": self.short_clips, "augment": self.augment}
        return data.model_copy(update={key: value for key, value in own.items() if value is not None})


class CommitteeConfig(Section):
    """Small encoders side by side, each on streams and with a head of its own, that vote: an ensemble in one run."""

    type: Literal["committee"] = Field(description="small encoders side by side that vote")
    members: tuple[MemberConfig, ...] = Field(description="the members, at least two")
    vote: Vote = Field(
        default="probabilities",
        description="what the prediction is the mean of: the members' probabilities or logits",
    )

    @model_validator(mode="after")
    def _enough(self) -> "CommitteeConfig":
        if len(self.members) < 2:
            raise ValueError(f"a committee has at least two members, got {len(self.members)}; take its encoder alone")
        return self


_Freeze = Annotated[bool, Field(description="train the head alone, on the features of the start")]
_Checkpoint = Annotated[
    bool, Field(description="compute activations again on the way back: less memory, a third more time")
]


class EfficientNetConfig(Section):
    """EfficientNet-Lite0 on every picture, with temporal shift between them (Tan and Le 2019; Lin et al. 2019)."""

    type: Literal["efficientnet-lite0"] = Field(description="EfficientNet-Lite0 on each picture, with temporal shift")
    pretrained: bool = Field(default=True, description="start from ImageNet's weights, which the extra [rgb] installs")
    fold: int = Field(
        default=8, ge=0, description="one channel in so many sees the next picture, and one the last; 0 moves none"
    )
    freeze: _Freeze = False
    checkpoint_gradients: _Checkpoint = False

    @field_validator("fold")
    @classmethod
    def _both_ways(cls, fold: int) -> int:
        if fold == 1:
            raise ValueError("one channel cannot see both ways; take 0 or at least 2")
        return fold


class VideoTransformerConfig(Section):
    """A video model of Hugging Face's transformers: VideoMAE, V-JEPA 2, TimeSformer, ViViT."""

    type: Literal["video-transformer"] = Field(description="a video model of Hugging Face's transformers")
    model: str = Field(description="a folder with config.json and model.safetensors, or an id on the hub")
    pretrained: bool = Field(default=True, description="load the model's weights, or start from random ones")
    freeze: _Freeze = False
    checkpoint_gradients: _Checkpoint = False


RGBEncoderConfig = EfficientNetConfig | VideoTransformerConfig
"""What a network over pictures can be, told apart by its type."""


class ExchangeConfig(Section):
    """Cross-attention between the tokens of both branches."""

    width: int = Field(default=128, ge=1, description="width of the attention, a multiple of the heads")
    heads: int = Field(default=4, ge=1, description="attention heads")
    dropout: float = Field(
        default=0.2, ge=0, lt=1, description="probability in training that a message does not arrive, a clip"
    )

    @model_validator(mode="after")
    def _divides(self) -> "ExchangeConfig":
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads ({self.heads}), got {self.width}")
        return self


class TwoBranchConfig(Section):
    """A pose and an RGB encoder with a head each, trained in one run, that vote."""

    type: Literal["two-branch"] = Field(description="a pose and an RGB encoder in one run that vote")
    pose: SingleEncoderConfig = Field(default=PoseEncoderConfig(), discriminator="type")
    rgb: RGBEncoderConfig = Field(discriminator="type")
    pose_run: Path | None = Field(default=None, description="run whose pose encoder and head are the start")
    rgb_run: Path | None = Field(default=None, description="run whose RGB encoder and head are the start")
    rgb_rectification: float = Field(
        default=5.0,
        ge=0,
        description="weight of the prototypes' similarity in the RGB branch; head.rectification in pose",
    )
    exchange: ExchangeConfig | None = Field(default=None, description="what passes between the branches; none if null")

    @model_validator(mode="before")
    @classmethod
    def _pose_type(cls, values: Any) -> Any:
        return pose_by_default(values, "pose")


EncoderConfig = SingleEncoderConfig | CommitteeConfig | RGBEncoderConfig | TwoBranchConfig
"""What an encoder can be, told apart by its type."""
