"""The pose and the RGB encoder side by side, with an exchange between them on request.

Shapes: N clips, M persons, T frames, V joints, C channels of the streams, K pictures, H rows, W columns, A pose tokens.
"""

import torch
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.exchange import Exchange
from pcan_pose.models.pooling import Pool, by_clip, masked_mean
from pcan_pose.models.rgb.encoder import RGBEncoder


class TwoBranch(nn.Module):
    """Both branches' pooled features side by side, for a head each (`MemberHeads`), as in PCAN.

    Without an exchange the branches learn apart in one run. With one, each hears the other's tokens; a branch alone is
    then its own encoder without messages, which it was trained for by messages that did not arrive.

    Args:
        pose: The encoder over skeletons.
        rgb: The encoder over pictures.
        exchange: What passes between them, or None.

    Shapes:
        x (N, M, T, V, C), found (N, M, T, V), clips (N, K, 3, H, W) -> output (N, F_pose + F_rgb).
    """

    def __init__(self, pose: Encoder, rgb: RGBEncoder, exchange: Exchange | None = None) -> None:
        super().__init__()
        self.pose = pose
        self.rgb = rgb
        self.exchange = exchange
        self.member_features = (pose.out_features, rgb.out_features)
        self.out_features = sum(self.member_features)

    def forward(self, x: Tensor, found: Tensor, clips: Tensor, *, pool: Pool = masked_mean) -> Tensor:
        """Return the features of both branches, (N, F_pose + F_rgb).

        Args:
            x: (N, M, T, V, C), the fused streams.
            found: bool (N, M, T, V), where a joint is there.
            clips: (N, K, 3, H, W), the pictures in [0, 1].
            pool: Makes a clip's pose feature out of those of its frames and joints.
        """
        features = self.pose.features(x, found)  # (N * M, F_pose, T', V)
        pose = pool(features, found)  # (N, F_pose)
        if self.exchange is None:
            return torch.cat([pose, self.rgb(clips).to(pose.dtype)], dim=1)
        tokens = self.rgb.tokens(clips)  # (N, B, F_rgb)
        rgb = self.rgb.pool(tokens).to(pose.dtype)  # (N, F_rgb)
        heard, there = pose_tokens(features, found)
        pose, rgb = self.exchange(pose, rgb, heard, tokens, there)
        return torch.cat([pose, rgb], dim=1)


def pose_tokens(features: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Return one token a frame, (N, T', C), and which frames have a joint at all, bool (N, T').

    A token is the mean over the persons and joints that were found there.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).
    """
    features, mask = by_clip(features, found)  # (N, M, C, T', V), (N, M, 1, T', V)
    exact = torch.promote_types(features.dtype, torch.float32)
    total = (features * mask).sum((1, 4), dtype=exact)  # (N, C, T')
    weight = mask.sum((1, 4), dtype=exact)  # (N, 1, T')
    return (total / weight.clamp(min=1)).transpose(1, 2), weight[:, 0] > 0
