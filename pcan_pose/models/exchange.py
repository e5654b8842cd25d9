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
        tokens (N, A, E), others (N, B, F), both with bool (N, A), (N, B) or None -> (N, E).
    """

    def __init__(self, features: int, others: int, width: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.ask = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width))
        self.hear = nn.Sequential(nn.LayerNorm(others), nn.Linear(others, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.change = nn.Linear(width, features)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(
        self, tokens: Tensor, others: Tensor, there: Tensor | None = None, others_there: Tensor | None = None
    ) -> Tensor:
        """Return the change of the listening branch's pooled feature, (N, E).

        Args:
            tokens: (N, A, E), of the listening branch.
            others: (N, B, F), of the other one.
            there: bool (N, A), tokens that show something; None for all. A clip without any has them all.
            others_there: bool (N, B), likewise.
        """
        heard = self.hear(others)  # (N, B, D)
        unheard = None if others_there is None else ~_some(others_there)
        answer, _ = self.attention(
            self.ask(tokens), heard, heard, key_padding_mask=unheard, need_weights=False
        )  # (N, A, D)
        if there is None:
            mean = answer.mean(1)
        else:
            weight = _some(there)[..., None].to(answer.dtype)  # (N, A, 1)
            mean = (answer * weight).sum(1) / weight.sum(1)
        change: Tensor = self.change(mean)
        return change


def _some(there: Tensor) -> Tensor:
    """Return which tokens to take, bool (N, A): those that are there, all of a clip that has none."""
    return there | ~there.any(1, keepdim=True)


class Exchange(nn.Module):
    """Both directions, each of which is left out for some clips in training, and where a branch is missing.

    Args:
        pose_features: Features of a pose token.
        rgb_features: Features of an RGB token.
        width: Width of the attention.
        heads: Attention heads.
        dropout: Probability in training that a message does not arrive, for each clip and direction, in [0, 1). A
            branch whose messages sometimes fail to arrive learns to do without them. Every process draws for its own
            clips, so the masks differ with the number of processes.
    """

    def __init__(
        self, pose_features: int, rgb_features: int, *, width: int = 128, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.to_pose = Message(pose_features, rgb_features, width, heads)
        self.to_rgb = Message(rgb_features, pose_features, width, heads)

    def forward(
        self, pose: Tensor, rgb: Tensor, pose_tokens: Tensor, rgb_tokens: Tensor, pose_there: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the pooled features after the exchange, (N, E) and (N, F).

        Args:
            pose: (N, E), pooled.
            rgb: (N, F), pooled.
            pose_tokens: (N, A, E).
            rgb_tokens: (N, B, F).
            pose_there: bool (N, A), pose tokens of frames that have a joint; None for all.
        """
        to_pose = self.to_pose(pose_tokens, rgb_tokens, there=pose_there)
        to_rgb = self.to_rgb(rgb_tokens, pose_tokens, others_there=pose_there)
        if self.training and self.dropout:
            # Not scaled up as dropout is: a message arrives whole or not at all.
            arrives = torch.rand(2, len(pose), 1, device=pose.device) >= self.dropout
            to_pose, to_rgb = to_pose * arrives[0], to_rgb * arrives[1]
        return pose + to_pose, rgb + to_rgb
