"""Networks of configurations."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pcan_pose.config import (
    CommitteeConfig,
    CTRGCNConfig,
    EfficientNetConfig,
    EncoderConfig,
    HeadConfig,
    PoseEncoderConfig,
    RefinedEncoderConfig,
    RGBEncoderConfig,
    SingleEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
    TwoBranchConfig,
    VideoTransformerConfig,
)
from pcan_pose.models.committee import Committee
from pcan_pose.models.ctr_gcn import CTRGCN
from pcan_pose.models.encoder import Encoder
from pcan_pose.models.exchange import Exchange
from pcan_pose.models.member_heads import MemberHeads
from pcan_pose.models.pose_encoder import PoseEncoder, SpatialFactory
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.models.refined_encoder import RefinedEncoder
from pcan_pose.models.rgb.encoder import RGBEncoder
from pcan_pose.models.st_gcn import STGCN
from pcan_pose.models.stgcn_plus_plus import STGCNPlusPlus
from pcan_pose.models.tree_head import TreeHead
from pcan_pose.models.two_branch import TwoBranch
from pcan_pose.skeleton import Skeleton, adjacency, spatial_partition
from pcan_pose.taxonomy import Taxonomy


def build_recognizer(
    encoder: EncoderConfig,
    head: HeadConfig,
    *,
    skeleton: Skeleton,
    in_channels: int,
    taxonomy: Taxonomy,
    precision: torch.dtype = torch.float32,
    action_counts: Tensor | None = None,
    member_channels: Sequence[Sequence[int]] = (),
    member_views: Sequence[int] = (),
    trained: Mapping[str, Any] | None = None,
) -> Recognizer:
    """Return the network of a configuration.

    Args:
        encoder: Which encoder, and its sizes.
        head: Switches of the head.
        skeleton: The joints' graph.
        in_channels: C of the fused streams.
        taxonomy: The action tree.
        precision: Arithmetic of the encoder.
        action_counts: int64 (K_a,), the training split's clips of each action; `HeadConfig.logit_adjustment` needs them
            to train.
        member_channels: For each member of a committee the channels of the fused streams that it sees.
        member_views: For each member of a committee which of the views of a clip it sees; none if there is one view.
        trained: What `describe_rgb` said of the network whose weights will be loaded into this one; nothing else is
            then loaded. None for a new network.

    Raises:
        ConfigError: If torch-geometric has no such convolution, or there is no such video model.
        MissingDependencyError: If the packages of an RGB encoder are not installed.
    """

    def make_head(features: int, config: HeadConfig = head) -> TreeHead:
        return TreeHead(features, taxonomy, config, action_counts)

    match encoder:
        case CommitteeConfig():
            members = [
                build_encoder(member.encoder, skeleton, len(channels))
                for member, channels in zip(encoder.members, member_channels, strict=True)
            ]
            committee = Committee(members, member_channels, member_views)
            heads = [make_head(features) for features in committee.member_features]
            return Recognizer(committee, MemberHeads(heads, committee.member_features, encoder.vote), precision)
        case TwoBranchConfig():
            pose, rgb = build_encoder(encoder.pose, skeleton, in_channels), build_rgb(encoder.rgb, trained)
            exchange = None
            if encoder.exchange is not None:
                exchange = Exchange(pose.out_features, rgb.out_features, **encoder.exchange.model_dump())
            both = TwoBranch(pose, rgb, exchange)
            rgb_head = head.model_copy(update={"rectification": encoder.rgb_rectification})
            heads = [make_head(pose.out_features), make_head(rgb.out_features, rgb_head)]
            return Recognizer(both, MemberHeads(heads, both.member_features), precision)
        case EfficientNetConfig() | VideoTransformerConfig():
            rgb = build_rgb(encoder, trained)
            return Recognizer(rgb, make_head(rgb.out_features), precision)
        case _:
            network = build_encoder(encoder, skeleton, in_channels)
            return Recognizer(network, make_head(network.out_features), precision)


def build_rgb(encoder: RGBEncoderConfig, trained: Mapping[str, Any] | None = None) -> RGBEncoder:
    """Return one encoder over pictures.

    Args:
        encoder: Which one, and its start.
        trained: As in `build_recognizer`.

    Raises:
        ConfigError: If there is no such video model.
        MissingDependencyError: If its packages are not installed.
    """
    network: RGBEncoder
    match encoder:
        case EfficientNetConfig():
            from pcan_pose.models.rgb.efficientnet import EfficientNetLite0

            network = EfficientNetLite0(pretrained=encoder.pretrained and trained is None, fold=encoder.fold)
        case VideoTransformerConfig():
            from pcan_pose.models.rgb.video_transformer import VideoTransformer

            if trained is None:
                network = VideoTransformer.load(encoder.model, pretrained=encoder.pretrained)
            else:
                network = VideoTransformer.from_description(trained)
    network.checkpoint_gradients(encoder.checkpoint_gradients)
    return network.freeze() if encoder.freeze else network


def describe_rgb(recognizer: Recognizer) -> dict[str, Any]:
    """Return what a checkpoint must say of a network over pictures, so that it stands alone; empty if it need not."""
    from pcan_pose.models.rgb.video_transformer import VideoTransformer

    network = recognizer.encoder.rgb if isinstance(recognizer.encoder, TwoBranch) else recognizer.encoder
    return network.description() if isinstance(network, VideoTransformer) else {}


def build_encoder(encoder: SingleEncoderConfig, skeleton: Skeleton, in_channels: int) -> Encoder:
    """Return one encoder over skeletons.

    Args:
        encoder: Which one, and its sizes.
        skeleton: The joints' graph.
        in_channels: C of the streams that it sees.

    Raises:
        ConfigError: If torch-geometric has no such convolution.
    """
    match encoder:
        case PoseEncoderConfig():
            spatial: SpatialFactory | None = None
            if encoder.spatial is not None:
                from pcan_pose.models.geometric import spatial_operator

                spatial = spatial_operator(encoder.spatial, skeleton)
            return PoseEncoder(
                in_channels,
                adjacency(skeleton, normalise=True),
                widths=encoder.widths,
                depths=encoder.depths,
                groups=encoder.groups,
                temporal_kernel=encoder.temporal_kernel,
                reduction=encoder.reduction,
                stem_stride=encoder.stem_stride,
                spatial=spatial,
            )
        case RefinedEncoderConfig():
            return RefinedEncoder(
                in_channels,
                adjacency(skeleton, normalise=True),
                widths=encoder.widths,
                depths=encoder.depths,
                stem_stride=encoder.stem_stride,
            )
        case STGCNPlusPlusConfig():
            return STGCNPlusPlus(in_channels, spatial_partition(skeleton), base_channels=encoder.base_channels)
        case CTRGCNConfig():
            return CTRGCN(in_channels, spatial_partition(skeleton), base_channels=encoder.base_channels)
        case STGCNConfig():
            return STGCN(
                in_channels,
                spatial_partition(skeleton),
                base_channels=encoder.base_channels,
                dropout=encoder.dropout,
            )
