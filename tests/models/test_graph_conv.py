import numpy as np
import pytest
import torch
from torch_geometric.nn import GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import to_dense_adj, to_undirected

from pcan_pose.models.graph_conv import SpatialGraphConv
from pcan_pose.skeleton import SKELETONS, adjacency, skeleton

LAYOUT = skeleton("openpose28")


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_adjacency_equals_torch_geometrics(name: str) -> None:
    layout = skeleton(name)
    bones = torch.tensor(layout.bones).T
    dense = to_dense_adj(to_undirected(bones), max_num_nodes=layout.num_joints)[0]
    np.testing.assert_array_equal(adjacency(layout, self_loops=False), dense.numpy())
    np.testing.assert_array_equal(adjacency(layout), (dense + torch.eye(layout.num_joints)).numpy())
    index, weight = gcn_norm(to_undirected(bones), num_nodes=layout.num_joints)
    normalised = to_dense_adj(index, edge_attr=weight, max_num_nodes=layout.num_joints)[0]
    np.testing.assert_allclose(adjacency(layout, normalise=True), normalised.numpy(), rtol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_gcn_conv_as_long_as_the_adjacency_is_the_skeletons(groups: int) -> None:
    conv = SpatialGraphConv(6, 8, adjacency(LAYOUT, normalise=True), groups)
    reference = GCNConv(6, 8, bias=False)
    reference.lin.load_state_dict(conv.linear.state_dict())
    edges = to_undirected(torch.tensor(LAYOUT.bones).T)
    x = torch.randn(2, 6, 3, 28)
    out = conv(x)
    assert out.shape == (2, 8, 3, 28)
    for clip in range(2):
        for frame in range(3):
            torch.testing.assert_close(
                out[clip, :, frame].T, reference(x[clip, :, frame].T, edges), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("groups", [1, 2])
def test_equals_a_naive_loop_with_a_directed_adjacency(groups: int) -> None:
    conv = SpatialGraphConv(3, 4, np.zeros((5, 5), np.float32), groups)
    torch.nn.init.normal_(conv.adjacency)
    x = torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        out = conv(x)
        expected = torch.zeros_like(out)
        for n in range(2):
            for t in range(4):
                for w in range(5):
                    for v in range(5):
                        mixed = conv.linear.weight @ x[n, :, t, v]
                        for c in range(4):
                            expected[n, c, t, w] += conv.adjacency[c * groups // 4, v, w] * mixed[c]
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_adjacency_and_input_get_their_analytic_gradients(groups: int) -> None:
    conv = SpatialGraphConv(2, 4, np.eye(3, dtype=np.float32), groups).double()
    torch.nn.init.normal_(conv.adjacency)
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor, weight: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(conv, {"linear.weight": weight, "adjacency": matrix}, (x,))

    assert torch.autograd.gradcheck(run, (x, conv.linear.weight, conv.adjacency))


def test_clips_and_frames_are_independent() -> None:
    conv = SpatialGraphConv(3, 4, adjacency(LAYOUT, normalise=True))
    x = torch.randn(4, 3, 5, 28)
    torch.testing.assert_close(conv(x)[2:3, :, 1:2], conv(x[2:3, :, 1:2]))


@pytest.mark.parametrize("groups", [1, 4])
def test_channels_stay_last_in_memory(groups: int) -> None:
    conv = SpatialGraphConv(8, 16, adjacency(LAYOUT), groups)
    x = torch.randn(2, 8, 5, 28).contiguous(memory_format=torch.channels_last)
    assert conv(x).is_contiguous(memory_format=torch.channels_last)


def test_the_given_adjacency_is_copied() -> None:
    matrix = adjacency(LAYOUT)
    conv = SpatialGraphConv(2, 2, matrix)
    with torch.no_grad():
        conv.adjacency.zero_()
    assert matrix.sum() > 0
