"""Which clips a run sees, what of them, and how they are changed."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pcan_pose.config.section import Section

Stream = Literal["joint", "bone", "joint_motion", "bone_motion"]
Centre = Literal["first_frame", "clip", "frame"]
Memory = Literal["device", "map"]
ShortClips = Literal["stretch", "pad"]
Range = tuple[float, float]


class AugmentConfig(Section):
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
    tempo: float = Field(
        default=0.0, ge=0, description="largest relative change of a padded clip's pace, 0.5 for 2/3 to 3/2 of it"
    )
    noise: float = Field(
        default=0.0,
        ge=0,
        description="standard deviation of the joints' noise: in body sizes where data.scale is body, else in the "
        "set's own unit, pixels or metres",
    )
    bone_noise: float = Field(
        default=0.0,
        ge=0,
        description="standard deviation of a change of each bone, one for the whole clip, in its lengths; joints move "
        "with all bones between them and the root",
    )
    joint_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="probability that a joint is missing for a whole clip"
    )

    @model_validator(mode="after")
    def _crop_is_a_range(self) -> "AugmentConfig":
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop must be two numbers with 0 < shortest <= longest <= 1, got {self.crop}")
        return self


class RGBAugmentConfig(Section):
    """Augmentations of training clips of pictures; every default leaves the clip as it is."""

    scale: Range = Field(default=(1.0, 1.0), description="smallest and largest part of the crop's area that is cut out")
    ratio: Range = Field(default=(1.0, 1.0), description="narrowest and widest of its shapes, width by height")
    flip: float = Field(
        default=0.0, ge=0, le=1, description="probability that a clip is mirrored; 0 where actions tell left from right"
    )
    brightness: float = Field(default=0.0, ge=0, le=1, description="largest relative change, 0.4 for 0.6 to 1.4")
    contrast: float = Field(default=0.0, ge=0, le=1, description="largest relative change towards or from mean grey")
    saturation: float = Field(default=0.0, ge=0, le=1, description="largest relative change towards or from grey")
    erasing: float = Field(default=0.0, ge=0, le=1, description="probability that a rectangle is grey in all frames")
    erased: Range = Field(default=(0.02, 0.2), description="smallest and largest part of the area that is erased")

    @model_validator(mode="after")
    def _are_ranges(self) -> "RGBAugmentConfig":
        for name, (low, high), most in (
            ("scale", self.scale, 1),
            ("ratio", self.ratio, 10),
            ("erased", self.erased, 1),
        ):
            if not 0 < low <= high <= most:
                raise ValueError(f"{name} must be two numbers with 0 < low <= high <= {most}, got {(low, high)}")
        return self


class RGBConfig(Section):
    """The pictures of the clips, for the RGB branch."""

    crops: Path = Field(description="crops of the clips, the folder that 'pcan-pose data crops' made")
    frames: int = Field(default=8, ge=1, description="pictures taken of each clip, one of each of so many parts")
    size: int = Field(default=224, ge=32, description="side of a picture that the network sees, pixels")
    augment: RGBAugmentConfig = RGBAugmentConfig()


class DataConfig(Section):
    """Which clips, and what of them the network sees."""

    path: Path = Field(description="keypoint set: a folder of Parquet shards")
    memory: Memory = Field(
        default="device",
        description="where the keypoints lie: on the device, or in files mapped into memory, for sets larger than it",
    )
    map_folder: Path | None = Field(
        default=None, description="folder of the mapped files; none puts them beside the set, in <path>.map"
    )
    train_split: str = Field(default="train", description="split to train on")
    val_split: str | None = Field(default=None, description="split to measure during training; none is needed")
    streams: tuple[Stream, ...] = Field(
        default=("joint", "bone", "joint_motion", "bone_motion"),
        min_length=1,
        description="input streams, fused before the encoder",
    )
    frames: int = Field(default=64, ge=2, description="frames sampled from each clip")
    short_clips: ShortClips = Field(
        default="stretch",
        description="spread clips of fewer frames than that over all of them, or keep their pace and leave the rest "
        "empty",
    )
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
    rgb: RGBConfig | None = Field(default=None, description="the pictures, for encoders that see them")

    @model_validator(mode="after")
    def _tempo_of_padded_clips(self) -> "DataConfig":
        if self.augment.tempo and self.short_clips != "pad":
            raise ValueError("augment.tempo changes nothing where short clips are stretched; set short_clips to pad")
        return self
