import numpy as np
import pytest
import torch
from torch_geometric.nn import GATv2Conv, GCNConv

from pcan_pose.errors import ConfigError, SkeletonError
from pcan_pose.keypoints import Clip
from pcan_pose.models.geometric import (
    GeometricConv,
    edge_index,
    joint_encodings,
    neighbourhood,
    spatial_operator,
    to_data,
)
from pcan_pose.skeleton import adjacency, skeleton

LAYOUT = skeleton("kinect20")


def test_edges_go_both_ways() -> None:
    edges = {tuple(edge) for edge in edge_index(LAYOUT).T.tolist()}
    assert edges == {pair for a, b in LAYOUT.bones for pair in ((a, b), (b, a))}
    with_loops = edge_index(LAYOUT, self_loops=True)
    assert with_loops.shape == (2, 2 * 19 + 20)
    assert {(v, v) for v in range(20)} <= {tuple(edge) for edge in with_loops.T.tolist()}


def test_neighbourhood() -> None:
    assert neighbourhood(LAYOUT, "left_wrist", 0) == ["left_wrist"]
    assert sorted(neighbourhood(LAYOUT, "left_wrist", 1)) == ["left_elbow", "left_hand", "left_wrist"]
    assert len(neighbourhood(LAYOUT, "spine", 20)) == 20
    with pytest.raises(SkeletonError, match="layout 'kinect20' has no joint 'left_wirst'. Did you mean 'left_wrist'?"):
        neighbourhood(LAYOUT, "left_wirst", 1)


def test_random_walk_encodings_are_the_diagonals_of_the_walks_powers() -> None:
    encodings = joint_encodings(LAYOUT, laplacian=3, random_walk=4)
    assert encodings.shape == (20, 7) and encodings.dtype == torch.float32
    matrix = adjacency(LAYOUT, self_loops=False)
    walk = matrix / matrix.sum(1, keepdims=True)
    for step in range(4):
        np.testing.assert_allclose(encodings[:, 3 + step], np.diag(np.linalg.matrix_power(walk, step + 1)), atol=1e-6)


def test_laplacian_encodings_are_eigenvectors() -> None:
    encodings = joint_encodings(LAYOUT, laplacian=3, random_walk=1)[:, :3].double().numpy()
    matrix = adjacency(LAYOUT, self_loops=False).astype(np.float64)
    root = 1 / np.sqrt(matrix.sum(1))
    laplacian = np.eye(20) - root[:, None] * matrix * root
    for column in encodings.T:
        value = column @ laplacian @ column / (column @ column)
        np.testing.assert_allclose(laplacian @ column, value * column, atol=1e-5)
        assert value > 1e-3  # the constant one is left out


def test_a_clip_becomes_a_graph_in_space_and_time() -> None:
    rng = np.random.default_rng(0)
    clip = Clip(
        "a", rng.normal(size=(2, 3, 20, 3)).astype(np.float32), rng.random((2, 3, 20)).astype(np.float32), label=4
    )
    data = to_data(clip, LAYOUT)
    data.validate()
    assert data.x.shape == (2 * 3 * 20, 4)
    assert data.y.tolist() == [4]

    def node(m: int, t: int, v: int) -> int:
        return (m * 3 + t) * 20 + v

    np.testing.assert_array_equal(data.x[node(1, 2, 7)], [*clip.keypoints[1, 2, 7], clip.scores[1, 2, 7]])
    expected = set()
    for m in range(2):
        for t in range(3):
            expected |= {(node(m, t, a), node(m, t, b)) for a, b in LAYOUT.bones}
            expected |= {(node(m, t, v), node(m, t + 1, v)) for v in range(20) if t < 2}
    expected |= {(b, a) for a, b in expected}
    edges = [tuple(edge) for edge in data.edge_index.T.tolist()]
    assert len(edges) == len(set(edges)) and set(edges) == expected


def test_a_clip_of_one_frame_without_a_label() -> None:
    clip = Clip("a", np.zeros((1, 1, 20, 3), np.float32), np.ones((1, 1, 20), np.float32))
    data = to_data(clip, LAYOUT)
    assert data.edge_index.shape == (2, 38)
    assert "y" not in data


@pytest.mark.parametrize("kind", [GCNConv, GATv2Conv])
def test_a_geometric_conv_works_on_each_frame_alone(kind: type[torch.nn.Module]) -> None:
    conv = kind(4, 6)
    edges = edge_index(LAYOUT)
    layer = GeometricConv(conv, edges)
    x = torch.randn(2, 4, 3, 20).contiguous(memory_format=torch.channels_last)
    out = layer(x)
    assert out.shape == (2, 6, 3, 20) and out.is_contiguous(memory_format=torch.channels_last)
    for n in range(2):
        for t in range(3):
            torch.testing.assert_close(out[n, :, t].T, conv(x[n, :, t].T, edges), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["GCNConv", "GATConv", "GATv2Conv", "SAGEConv", "GraphConv", "TransformerConv"])
def test_operators_by_name_learn(name: str) -> None:
    layer = spatial_operator(name, LAYOUT)(4, 6)
    out = layer(torch.randn(2, 4, 3, 20))
    assert out.shape == (2, 6, 3, 20)
    out.square().sum().backward()
    assert any(p.grad.abs().sum() > 0 for p in layer.parameters())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GATv2", r"encoder.spatial: torch-geometric has no convolution 'GATv2'. Did you mean 'GATv2Conv'\?"),
        (
            "GINConv",
            "encoder.spatial: GINConv needs nn; only convolutions that are made from in_channels and out_channels",
        ),
        ("ChebConv", "encoder.spatial: ChebConv needs in_channels, out_channels, K; only convolutions"),
        ("PointNetConv", "encoder.spatial: PointNetConv needs"),
    ],
)
def test_operators_that_cannot_be_used_are_errors(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        spatial_operator(name, LAYOUT)
