"""The configuration of a run."""

from pcan_pose.config.data import AugmentConfig, Centre, DataConfig, RGBAugmentConfig, RGBConfig, Stream
from pcan_pose.config.encoder import (
    CommitteeConfig,
    CTRGCNConfig,
    EfficientNetConfig,
    EncoderConfig,
    ExchangeConfig,
    MemberConfig,
    PoseEncoderConfig,
    RefinedEncoderConfig,
    RGBEncoderConfig,
    SingleEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
    TwoBranchConfig,
    VideoTransformerConfig,
    Vote,
)
from pcan_pose.config.files import find_config, load_config, parse_config, to_yaml
from pcan_pose.config.head import PUBLISHED_CALIBRATION, PUBLISHED_HEAD, CalibrationConfig, HeadConfig
from pcan_pose.config.run import OptimConfig, Precision, RunConfig, TrainConfig
from pcan_pose.config.schema import describe_keys

__all__ = [
    "AugmentConfig",
    "CTRGCNConfig",
    "CalibrationConfig",
    "Centre",
    "CommitteeConfig",
    "EfficientNetConfig",
    "ExchangeConfig",
    "Precision",
    "RGBAugmentConfig",
    "RGBConfig",
    "RGBEncoderConfig",
    "RefinedEncoderConfig",
    "TwoBranchConfig",
    "VideoTransformerConfig",
    "Vote",
    "DataConfig",
    "EncoderConfig",
    "HeadConfig",
    "MemberConfig",
    "OptimConfig",
    "PUBLISHED_CALIBRATION",
    "PUBLISHED_HEAD",
    "PoseEncoderConfig",
    "RunConfig",
    "STGCNConfig",
    "STGCNPlusPlusConfig",
    "SingleEncoderConfig",
    "Stream",
    "TrainConfig",
    "describe_keys",
    "find_config",
    "load_config",
    "parse_config",
    "to_yaml",
]
