"""Encoders side by side: what is measured, and that a step does what it is named after."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks import speed_encoders, speed_networks
from benchmarks.speed_machine import Options, limits
from benchmarks.speed_networks import Batch, folded, forward, left_out, network, precisions

CPU = torch.device("cpu")
QUICK = Options(CPU, threads=1, rounds=1, batches=(2,), frames=(8,), quick=True)


def test_encoders_are_compared_with_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    # The others are slow.
    monkeypatch.setattr(speed_encoders, "ENCODERS", ("pose", "stgcn++"))
    monkeypatch.setattr(speed_networks, "PRECISIONS", ("bf16",))
    monkeypatch.setattr(speed_encoders, "folding", lambda: lambda encoder: encoder)
    figures, skipped = speed_encoders.encoders(QUICK)
    assert skipped == []
    by_name = {figure.name: figure for figure in figures}
    quantities = ("forward", "training", "memory")
    plain = {f"{row}, {quantity}, bf16, N 2, T 8" for row in ("pose", "stgcn++") for quantity in quantities}
    assert set(by_name) == plain | {"pose, folded, forward, bf16, N 2, T 8"}
    assert by_name["stgcn++, forward, bf16, N 2, T 8"].ratio == 1
    memory = by_name["pose, memory, bf16, N 2, T 8"]
    # A quarter of the baseline's, and more is better in every ratio.
    assert memory.ratio is not None and 2 < memory.ratio < 10
    training = by_name["pose, training, bf16, N 2, T 8"]
    assert training.gemm_share is not None and training.copy_share is not None
    assert training.value == pytest.approx(2 / training.details["rounds"][0])
    assert training.gemm_share == pytest.approx(training.details["gflops_per_second"] / limits(QUICK, 1).gemm["bf16"])


def test_bf16_is_left_out_where_it_is_emulated(processor: Callable[..., None]) -> None:
    long = replace(QUICK, quick=False)
    processor(amx_bf16=True)
    assert precisions(long) == ("fp32", "bf16") and left_out(long) == []
    processor()
    assert precisions(long) == ("fp32",) and left_out(long)[0].startswith("bf16: ")
    assert precisions(QUICK) == ("fp32", "bf16") and left_out(QUICK) == []


def test_a_training_step_trains_and_leaves_no_gradients() -> None:
    recognizer = network("pose", "fp32", CPU)
    before = [weight.clone() for weight in recognizer.encoder.parameters()]
    speed_networks.training(recognizer, Batch.random(2, 8, CPU))()
    after = list(recognizer.encoder.parameters())
    assert all(weight.grad is None for weight in after)
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_forward_pass_is_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = network("pose", "bf16", CPU)
    features = forward(recognizer, Batch.random(2, 8, CPU))()
    assert isinstance(features, Tensor) and features.is_inference() and features.shape == (2, 256)
    assert not recognizer.training


def test_what_folds_is_looked_for_and_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_networks.importlib.util, "find_spec", lambda name: None)
    assert speed_networks.folding() is None


@pytest.mark.parametrize("name", ["pose", "refined"])
def test_a_folded_network_computes_the_same(name: str) -> None:
    fold = speed_networks.folding()
    if fold is None:
        pytest.skip(speed_networks.NO_FOLDING)
    recognizer, batch = network(name, "fp32", CPU), Batch.random(2, 8, CPU)
    expected = forward(recognizer, batch)()
    recognizer.train()
    torch.testing.assert_close(forward(folded(recognizer, fold), batch)(), expected, rtol=1e-4, atol=1e-5)
    assert recognizer.training
