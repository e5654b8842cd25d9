"""The members of a committee, each alone."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from tiny_runs import TREE, Configure

from pcan_pose.config import load_config
from pcan_pose.data.clip_index import read_index
from pcan_pose.engine import test as engine_test
from pcan_pose.engine.branches import some_members
from pcan_pose.engine.network import build_network
from pcan_pose.engine.sources import make_source
from pcan_pose.engine.train import train
from pcan_pose.errors import ConfigError
from pcan_pose.fusion import fuse

SMALL = {"widths": [8, 16], "depths": [1, 1], "temporal_kernel": 3, "reduction": 2}
COMMITTEE = {
    "type": "committee",
    "members": [
        {"streams": ["joint"], "encoder": SMALL | {"stem_stride": 1}},
        {"streams": ["bone", "bone_motion"], "encoder": SMALL},
    ],
}


VIEWS = COMMITTEE | {
    "members": [
        COMMITTEE["members"][0],
        COMMITTEE["members"][1] | {"frames": 13, "short_clips": "pad", "augment": {"tempo": 0.2}},
    ]
}


def test_members_alone_stay_where_the_committee_is(configure: Configure) -> None:
    config = configure(encoder=COMMITTEE, train__precision="fp32")
    network = build_network(config, TREE, layout="openpose28", dims=2).to("meta")
    alone = some_members(network, (2,))
    assert {tensor.device.type for tensor in (*alone.parameters(), *alone.buffers())} == {"meta"}


@pytest.mark.parametrize("encoder", [COMMITTEE, VIEWS], ids=["one view", "two views"])
def test_the_members_alone_are_what_votes(configure: Configure, encoder: dict[str, Any]) -> None:
    run = train(configure(encoder=encoder, head={"rectification": 0.5, "action_embedding": 8, "body_embedding": 6}))
    every = engine_test.test_run(run, "val", device="cpu")
    alone = [engine_test.test_run(run, "val", device="cpu", members=(k,)) for k in (1, 2)]
    assert [scores.stream for scores in alone] == ["joint", "bone+bone_motion"]
    assert every.stream == "joint+bone+joint_motion+bone_motion"
    assert np.abs(alone[0].action_logits - alone[1].action_logits).max() > 1e-2
    fused = fuse(alone)
    np.testing.assert_allclose(every.action_logits, fused.action_logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(every.body_logits, fused.body_logits, rtol=1e-4, atol=1e-5)


def test_some_members_vote_without_the_others(configure: Configure) -> None:
    members = [*VIEWS["members"], {"streams": ["bone"], "encoder": SMALL}]
    run = train(configure(encoder=VIEWS | {"members": members, "vote": "logits"}, train__epochs=1))
    two = engine_test.test_run(run, "val", device="cpu", members=(3, 1))
    assert two.stream == "joint+bone" and two.extra["members"] == "1, 3"
    assert "members" not in engine_test.test_run(run, "val", device="cpu").extra
    mean = np.mean([engine_test.test_run(run, "val", device="cpu", members=(k,)).action_logits for k in (1, 3)], 0)
    np.testing.assert_allclose(two.action_logits, log_softmax(mean, axis=1), rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="members 1, 2, 1: one comes twice; name each once"):
        engine_test.test_run(run, "val", device="cpu", members=(1, 2, 1))


def test_each_member_gets_its_own_view(configure: Configure) -> None:
    run = train(configure(encoder=VIEWS, train__epochs=1))
    config, recognizer, _, _ = engine_test.load_run(run, "cpu")
    assert recognizer.encoder.views == (0, 1)
    seen: list[torch.Size] = []
    for member in recognizer.encoder.members:
        member.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0].shape))
    source = make_source(read_index(config.data.path), config, "cpu")
    recognizer(*next(source.scoring_batches([torch.arange(3)], 0)))
    assert [shape[2] for shape in seen] == [8, 13]
    shipped = build_network(load_config("nwucla_joints", ["train.precision=fp32"]), TREE, layout="kinect20", dims=3)
    assert len(set(shipped.encoder.views)) == 2


def test_a_run_keeps_its_members_views(configure: Configure) -> None:
    run = train(configure(encoder=VIEWS, train__epochs=1))
    views = load_config(run / "config.yaml").member_views
    assert [(view.frames, view.short_clips, view.augment.tempo) for view in views] == [
        (8, "stretch", 0.0),
        (13, "pad", 0.2),
    ]


def test_a_member_that_is_not_there(configure: Configure) -> None:
    run = train(configure(encoder=COMMITTEE, train__epochs=1))
    for member in (0, 3):
        with pytest.raises(ConfigError, match=f"member {member}: the committee has members 1 to 2"):
            engine_test.test_run(run, "val", device="cpu", members=(member,))
    single = train(configure(name="single", train__epochs=1))
    with pytest.raises(ConfigError, match="member 1: the run has one network, no committee; leave the member out"):
        engine_test.test_run(single, "val", device="cpu", members=(1,))
