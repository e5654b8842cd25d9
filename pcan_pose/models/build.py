"""Networks of configurations."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pcan_pose.config import (
    CommitteeConfig,
    CTRGCNConfig,
    EncoderConfig,
    HeadConfig,
    PoseEncoderConfig,
    SingleEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
)
from pcan_pose.models.committee import Committee
from pcan_pose.models.ctr_gcn import CTRGCN
from pcan_pose.models.encoder import Encoder
from pcan_pose.models.member_heads import MemberHeads
from pcan_pose.models.pose_encoder import PoseEncoder, SpatialFactory
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.models.st_gcn import STGCN
from pcan_pose.models.stgcn_plus_plus import STGCNPlusPlus
from pcan_pose.models.tree_head import TreeHead
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

    Raises:
        ConfigError: If torch-geometric has no such convolution.
    """
    if not isinstance(encoder, CommitteeConfig):
        network = build_encoder(encoder, skeleton, in_channels)
        return Recognizer(network, TreeHead(network.out_features, taxonomy, head, action_counts), precision)
    members = [
        build_encoder(member.encoder, skeleton, len(channels))
        for member, channels in zip(encoder.members, member_channels, strict=True)
    ]
    committee = Committee(members, member_channels)
    heads = [TreeHead(features, taxonomy, head, action_counts) for features in committee.member_features]
    return Recognizer(committee, MemberHeads(heads, committee.member_features), precision)


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
