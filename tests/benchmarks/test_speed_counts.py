"""Turns, operations, bytes and memory are counted right, on work whose numbers are known."""

import torch
from torch import Tensor, nn

from benchmarks.speed_counts import gflops, peak_bytes, top_operations, traffic
from benchmarks.speed_parts import looped_tree_loss
from benchmarks.speed_timing import Task, take_turns
from pcan_pose.losses import tree_loss
from pcan_pose.taxonomy import MA52

CPU = torch.device("cpu")


def test_tasks_take_turns() -> None:
    turns: list[str] = []
    tasks = [Task((name,), lambda name=name: turns.append(name)) for name in "ab"]  # type: ignore[misc]
    timings = take_turns(tasks, rounds=3, min_seconds=1e-6)
    assert [name for i, name in enumerate(turns) if not i or turns[i - 1] != name] == list("ababab")
    assert len(timings.rounds(("a",))) == 3 and timings.seconds(("a",)) > 0
    pairs = zip(timings.rounds(("a",)), timings.rounds(("b",)), strict=True)
    assert timings.ratio(("a",), ("b",)) == sorted(a / b for a, b in pairs)[1]


def test_operations_bytes_and_memory_of_a_product() -> None:
    a, b = torch.ones(30, 50), torch.ones(50, 40)
    kept: list[Tensor] = []

    def work() -> None:
        product = a @ b
        kept.append(product.sum().expand(3, 10).relu())

    assert gflops(work) == 2 * 30 * 50 * 40 / 1e9
    # A product, a sum, and an activation that reads one number and writes thirty.
    assert traffic(work) == 4 * ((30 * 50 + 50 * 40 + 30 * 40) + (30 * 40 + 1) + (1 + 30))
    kept.clear()
    assert peak_bytes(work, CPU) == 4 * (30 * 40 + 1 + 30)


def test_bytes_of_composite_operations_are_those_of_their_parts() -> None:
    layer, x = nn.Linear(8, 4), torch.ones(2, 3, 8)
    with torch.no_grad():
        outside = traffic(lambda: layer(x))
    with torch.inference_mode():
        assert traffic(lambda: layer(x)) == outside > 0


def test_the_operation_that_takes_most_comes_first() -> None:
    x = torch.ones(400, 400)
    operations = top_operations(lambda: (x @ x @ x).relu(), CPU, count=2)
    assert operations[0][0] == "aten::mm" and 0.5 < operations[0][1] <= 1


def test_the_looped_tree_loss_is_the_tree_loss() -> None:
    body = torch.randn(5, MA52.num_body_parts, dtype=torch.float64)
    action = torch.randn(5, MA52.num_actions, dtype=torch.float64)
    labels, parents = torch.randint(MA52.num_actions, (5,)), torch.from_numpy(MA52.parent_array)
    expected = tree_loss(body, action, labels, parents)
    torch.testing.assert_close(looped_tree_loss(body, action, labels, parents), expected, rtol=1e-12, atol=0)
