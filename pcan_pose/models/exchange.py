"""What two branches tell each other: cross-attention between the tokens of skeletons and of pictures.

Shapes: N clips, A and B tokens of the two branches, E and F their features, D width of the attention.
"""

import torch
from torch import Tensor, nn


class Message(nn.Module):
    """One direction: each token of the listening branch attends to the other's, and their mean becomes a change.

    The last layer starts at zero, so that two trained branches start as what they were.

    Args:
        features: E, of the listening branch.
        others: F, of the other branch.
        width: D, a multiple of the heads.
        heads: Attention heads.

    Shapes:
        tokens (N, A, E), others (N, B, F) -> (N, E).
    """

    def __init__(self, features: int, others: int, width: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.ask = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width))
        self.hear = nn.Sequential(nn.LayerNorm(others), nn.Linear(others, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.change = nn.Linear(width, features)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Return the change of the listening branch's pooled feature, (N, E)."""
        heard = self.hear(others)  # (N, B, D)
        answer, _ = self.attention(self.ask(tokens), heard, heard, need_weights=False)  # (N, A, D)
        change: Tensor = self.change(answer.mean(1))
        return change


class Exchange(nn.Module):
    """Both directions, each of which is left out for some clips in training, and where a branch is missing.

    Args:
        pose_features: Features of a pose token.
        rgb_features: Features of an RGB token.
        width: Width of the attention.
        heads: Attention heads.
        dropout: Probability in training that a message does not arrive, for each clip and direction, in [0, 1). A
            branch whose messages sometimes fail to arrive learns to do without them.
    """

    def __init__(
        self, pose_features: int, rgb_features: int, *, width: int = 128, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.to_pose = Message(pose_features, rgb_features, width, heads)
        self.to_rgb = Message(rgb_features, pose_features, width, heads)

    def forward(self, pose: Tensor, rgb: Tensor, pose_tokens: Tensor, rgb_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pooled features after the exchange, (N, E) and (N, F).

        Args:
            pose: (N, E), pooled.
            rgb: (N, F), pooled.
            pose_tokens: (N, A, E).
            rgb_tokens: (N, B, F).
        """
        to_pose, to_rgb = self.to_pose(pose_tokens, rgb_tokens), self.to_rgb(rgb_tokens, pose_tokens)
        if self.training and self.dropout:
            # Not scaled up as dropout is: a message arrives whole or not at all.
            arrives = torch.rand(2, len(pose), 1, device=pose.device) >= self.dropout
            to_pose, to_rgb = to_pose * arrives[0], to_rgb * arrives[1]
        return pose + to_pose, rgb + to_rgb
