"""torch-geometric's view of skeletons and clips: graphs, encodings, `Data`, and its convolutions as spatial operators.

Import it only where it is needed: torch-geometric adds two seconds to start-up.

Shapes: B clips x persons, M persons, T frames, V joints, C channels, E directed edges.
"""

import inspect

import torch
import torch_geometric.nn as gnn
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, AddRandomWalkPE
from torch_geometric.utils import add_self_loops, k_hop_subgraph, to_undirected

from pcan_pose.errors import ConfigError, did_you_mean
from pcan_pose.keypoints import Clip
from pcan_pose.models.pose_encoder import SpatialFactory
from pcan_pose.skeleton import Skeleton


def edge_index(skeleton: Skeleton, *, self_loops: bool = False) -> Tensor:
    """Return the bones as undirected edges, int64 (2, E).

    Args:
        skeleton: The layout.
        self_loops: Whether each joint is joined to itself too.
    """
    bones = torch.tensor(skeleton.bones, dtype=torch.int64).T  # (2, V - 1)
    edges: Tensor = to_undirected(bones, num_nodes=skeleton.num_joints)
    if self_loops:
        edges = add_self_loops(edges, num_nodes=skeleton.num_joints)[0]
    return edges


def neighbourhood(skeleton: Skeleton, joint: str, hops: int) -> list[str]:
    """Return the names of the joints within some bones of a joint, itself included.

    Raises:
        SkeletonError: If the layout has no such joint.
    """
    index = skeleton.index(joint)
    joints = k_hop_subgraph(index, hops, edge_index(skeleton), num_nodes=skeleton.num_joints)[0]
    return [skeleton.joints[i] for i in joints.tolist()]


def joint_encodings(skeleton: Skeleton, *, laplacian: int = 4, random_walk: int = 4) -> Tensor:
    """Return structural encodings of the joints, float32 (V, laplacian + random_walk).

    Args:
        skeleton: The layout.
        laplacian: Number of eigenvectors of the graph's Laplacian, their signs as the solver gives them.
        random_walk: Longest walk whose return probability is taken.
    """
    graph = Data(edge_index=edge_index(skeleton), num_nodes=skeleton.num_joints)
    graph = AddLaplacianEigenvectorPE(laplacian, attr_name="laplacian", is_undirected=True)(graph)
    graph = AddRandomWalkPE(random_walk, attr_name="walk")(graph)
    return torch.cat([graph.laplacian, graph.walk], dim=1).float()


def to_data(clip: Clip, skeleton: Skeleton) -> Data:
    """Return a clip as a spatio-temporal graph: a node for each person, frame and joint; edges along bones and in time.

    Returns:
        `Data` with x float32 (M * T * V, C + 1), coordinates and score; edge_index int64 (2, E); y int64 (1,) if the
        clip has a label.
    """
    persons, frames, joints, _ = clip.keypoints.shape
    x = torch.cat([torch.from_numpy(clip.keypoints), torch.from_numpy(clip.scores)[..., None]], dim=-1)
    nodes = torch.arange(persons * frames * joints).view(persons * frames, joints)
    bones = edge_index(skeleton)  # (2, E)
    spatial = (bones[:, None] + nodes[:, :1, None].view(1, -1, 1)).reshape(2, -1)
    by_person = nodes.view(persons, frames, joints)
    temporal = torch.stack([by_person[:, :-1].reshape(-1), by_person[:, 1:].reshape(-1)])
    edges = torch.cat([spatial, to_undirected(temporal, num_nodes=nodes.numel())], dim=1)
    data = Data(x=x.reshape(nodes.numel(), -1), edge_index=edges)
    if clip.label is not None:
        data.y = torch.tensor([clip.label])
    return data


class GeometricConv(nn.Module):
    """A torch-geometric convolution over the bones, in each frame alone.

    Args:
        conv: A message-passing layer from C_in to C_out channels.
        edges: int64 (2, E), the skeleton's edges.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V), channels last in memory.
    """

    edges: Tensor

    def __init__(self, conv: nn.Module, edges: Tensor) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("edges", edges, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V)."""
        batch, channels, frames, joints = x.shape
        nodes = x.permute(0, 2, 3, 1).reshape(-1, channels)  # (B * T * V, C)
        first = torch.arange(batch * frames, device=x.device) * joints
        edges = (self.edges[:, None] + first[None, :, None]).reshape(2, -1)  # (2, B * T * E)
        return self.conv(nodes, edges).view(batch, frames, joints, -1).permute(0, 3, 1, 2)


def spatial_operator(name: str, skeleton: Skeleton) -> SpatialFactory:
    """Return a factory of a torch-geometric convolution by its class name, such as ``GATv2Conv``.

    Raises:
        ConfigError: If torch-geometric has no such convolution, or it needs more than channels in and out.
    """
    known = [conv for conv in gnn.conv.__all__ if conv.endswith("Conv")]
    if name not in known:
        raise ConfigError(f"encoder.spatial: torch-geometric has no convolution {name!r}.{did_you_mean(name, known)}")
    conv = getattr(gnn, name)
    parameters = list(inspect.signature(conv.__init__).parameters.values())[1:]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if not {"in_channels", "out_channels"} <= {p.name for p in parameters} or set(needed) - {
        "in_channels",
        "out_channels",
    }:
        raise ConfigError(
            f"encoder.spatial: {name} needs {', '.join(needed)}; only convolutions that are made from in_channels and "
            "out_channels alone can be used, such as GCNConv, GATv2Conv, SAGEConv or GraphConv."
        )
    edges = edge_index(skeleton)

    def make(in_channels: int, out_channels: int) -> nn.Module:
        return GeometricConv(conv(in_channels, out_channels), edges)

    return make
