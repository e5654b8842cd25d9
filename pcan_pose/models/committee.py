"""Several small encoders side by side, each on streams of its own.

Shapes: N clips, M persons, T frames, V joints, C channels of all streams, F features of all members.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.pooling import Pool, masked_mean


class Committee(Encoder):
    """Encoders that share nothing but the clip; their pooled features stand side by side.

    With a head for each member (`MemberHeads`) the members learn apart and vote, as the field's ensembles of streams
    do, but in one run, one file and one pass over the data.

    Args:
        members: K encoders.
        channels: For each member the channels of the input that it sees.
        views: For each member which of the views of a clip it sees, counted from 0; none if there is one view.

    Shapes:
        of each view input (N, M, T, V, C), found (N, M, T, V) -> output (N, F).
    """

    def __init__(
        self, members: Sequence[Encoder], channels: Sequence[Sequence[int] | Tensor], views: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.member_features = tuple(member.out_features for member in members)
        self.out_features = sum(self.member_features)
        self.views = tuple(views) or (0,) * len(members)
        for k, chosen in enumerate(channels):
            self.register_buffer(f"channels_{k}", torch.as_tensor(chosen), persistent=False)

    def only(self, members: Sequence[int]) -> "Committee":
        """Return a committee of some members, with their weights and not a copy of them, that takes all views."""
        encoders = [self.members[k] for k in members]
        channels = [self.get_buffer(f"channels_{k}") for k in members]
        return Committee(cast("list[Encoder]", encoders), channels, [self.views[k] for k in members])

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Raise; the members' features before pooling differ in time."""
        raise NotImplementedError("a committee's members pool apart")

    def forward(self, x: Tensor, found: Tensor, *others: Tensor, pool: Pool = masked_mean) -> Tensor:
        """Return the members' pooled features side by side, (N, F) of the mean.

        Args:
            x: (N, M, T, V, C), the fused streams of the first view.
            found: bool (N, M, T, V), where a joint is there.
            others: The same two of each further view, whose frames may be another number.
            pool: As in `Encoder.forward`.
        """
        streams, masks = (x, *others[::2]), (found, *others[1::2])
        pooled = [
            member(streams[view].index_select(-1, self.get_buffer(f"channels_{k}")), masks[view], pool=pool)
            for k, (member, view) in enumerate(zip(self.members, self.views, strict=True))
        ]
        return torch.cat(pooled, dim=-1)
