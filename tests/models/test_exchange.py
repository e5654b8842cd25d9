import torch

from pcan_pose.models.exchange import Exchange, Message
from pcan_pose.models.two_branch import pose_tokens


def test_a_message_is_nothing_at_the_start_and_has_gradients() -> None:
    torch.manual_seed(0)
    message = Message(6, 10, width=8, heads=2)
    tokens, others = torch.randn(3, 4, 6), torch.randn(3, 5, 10)
    assert torch.equal(message(tokens, others), torch.zeros(3, 6))
    torch.nn.init.normal_(message.change.weight)
    message(tokens, others).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in message.hear.parameters())


def test_a_clip_hears_its_own_other_branch_alone() -> None:
    torch.manual_seed(0)
    message = Message(6, 10, width=8, heads=2).eval()
    torch.nn.init.normal_(message.change.weight)
    tokens, others = torch.randn(3, 4, 6), torch.randn(3, 5, 10)
    changed = others.clone()
    changed[1] = torch.randn(5, 10)
    one, other = message(tokens, others), message(tokens, changed)
    assert torch.equal(one[[0, 2]], other[[0, 2]]) and not torch.allclose(one[1], other[1])


def test_frames_without_a_joint_neither_speak_nor_hear() -> None:
    torch.manual_seed(0)
    exchange = Exchange(6, 10, width=8, heads=2).eval()
    for message in (exchange.to_pose, exchange.to_rgb):
        torch.nn.init.normal_(message.change.weight)
    pose, rgb, tokens, others = (torch.randn(3, *size) for size in ((6,), (10,), (4, 6), (5, 10)))
    alone = exchange(pose, rgb, tokens, others)
    padded = torch.cat([tokens, torch.randn(3, 7, 6)], 1)
    frames = (torch.arange(11) < 4).expand(3, 11)
    for one, other in zip(alone, exchange(pose, rgb, padded, others, frames), strict=True):
        torch.testing.assert_close(one, other)
    empty = exchange(pose, rgb, padded, others, torch.zeros(3, 11, dtype=torch.bool))
    assert all(torch.isfinite(part).all() for part in empty)


def test_messages_fail_to_arrive_as_often_as_asked_and_whole() -> None:
    torch.manual_seed(0)
    exchange = Exchange(6, 10, width=8, heads=2, dropout=0.3)
    for message in (exchange.to_pose, exchange.to_rgb):
        torch.nn.init.ones_(message.change.bias)
    n = 2000
    tokens = torch.zeros(n, 1, 6), torch.zeros(n, 1, 10)
    pose, rgb = exchange(torch.zeros(n, 6), torch.zeros(n, 10), *tokens)
    for arrived in (pose, rgb):
        assert set(arrived.unique().tolist()) == {0.0, 1.0}
        assert (arrived.amin(1) == arrived.amax(1)).all()
        assert abs(float(arrived[:, 0].detach().mean()) - 0.7) < 0.04
    assert not torch.equal(pose[:, 0], rgb[:, 0])
    pose, rgb = exchange.eval()(torch.zeros(n, 6), torch.zeros(n, 10), *tokens)
    assert (pose == 1).all() and (rgb == 1).all()


def test_pose_tokens_leave_missing_joints_out() -> None:
    torch.manual_seed(0)
    features = torch.randn(2 * 2, 3, 4, 5)
    found = torch.rand(2, 2, 4, 5) > 0.4
    found[1, :, 2] = False
    tokens, frames = pose_tokens(features, found)
    assert tokens.shape == (2, 4, 3)
    assert frames.tolist() == [[True] * 4, [True, True, False, True]]
    by_clip = features.view(2, 2, 3, 4, 5)
    for n in range(2):
        for t in range(4):
            there = found[n, :, t]  # (M, V)
            values = by_clip[n, :, :, t].movedim(1, 0)[:, there]  # (C, found)
            expected = values.mean(1) if there.any() else torch.zeros(3)
            torch.testing.assert_close(tokens[n, t], expected)
