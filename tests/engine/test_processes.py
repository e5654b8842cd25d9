"""One process among all: its rows, its share and its device."""

import pytest
import torch

from pcan_pose.engine.distributed import Processes, pick_device, processes
from pcan_pose.engine.train import epoch_seed
from pcan_pose.errors import ConfigError

CPU = torch.device("cpu")


def test_rows_of_a_batch() -> None:
    assert Processes(0, 1, CPU).rows(7) == slice(0, 7)
    assert [Processes(rank, 4, CPU).rows(12) for rank in range(4)] == [slice(3 * i, 3 * i + 3) for i in range(4)]
    with pytest.raises(ConfigError, match=r"train\.batch_size 10 is not a multiple of the 4 processes"):
        Processes(0, 4, CPU).rows(10)
    assert Processes(0, 2, CPU).is_first and not Processes(1, 2, CPU).is_first


def test_shares_of_rows_have_one_length() -> None:
    assert [Processes(rank, 3, CPU).share(7).tolist() for rank in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]
    assert [Processes(rank, 3, CPU).share(2).tolist() for rank in range(3)] == [[0], [1], [1]]
    assert [Processes(rank, 2, CPU).share(0).tolist() for rank in range(2)] == [[], []]
    assert Processes(0, 1, CPU).share(3).tolist() == [0, 1, 2]


def test_a_process_alone_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes("cpu") as mine:
        assert mine == Processes(0, 1, CPU)
        assert not torch.distributed.is_initialized()


def test_each_process_draws_dropout_of_its_own() -> None:
    assert epoch_seed(3, 4) == epoch_seed(3, 4, 0) == 3 * 100_003 + 4
    seeds = [epoch_seed(seed, epoch, rank) for seed in (0, 2**32 - 1) for epoch in (0, 1) for rank in range(16)]
    draws = {torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in seeds}
    assert len(draws) == 64


def test_what_the_first_process_finds_needs_no_group_in_one() -> None:
    assert Processes(0, 1, CPU).ask_first(lambda: 3) == 3


def test_devices() -> None:
    assert pick_device("cpu") == CPU
    with pytest.raises(ConfigError, match=r"train\.device: 'gpu' is not a device; expected auto, cpu, cuda or cuda:N"):
        pick_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a CUDA device")
def test_devices_without_cuda() -> None:
    assert pick_device("auto") == CPU
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ConfigError, match=f"train.device: '{name}' was asked for, but torch finds no CUDA device"):
            pick_device(name)


def test_a_cuda_device_for_each_process_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert pick_device("auto", 1) == pick_device("cuda", 1) == torch.device("cuda", 1)
    assert pick_device("cuda:0", 1) == torch.device("cuda", 0)
    with pytest.raises(ConfigError, match="train.device: 'cuda:2' was asked for, but there are 2 CUDA devices, from 0"):
        pick_device("cuda", 2)
