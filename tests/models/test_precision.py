from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pcan_pose.models.precision import prefers_bfloat16
from pcan_pose.models.recognizer import Recognizer

Processor = Callable[..., None]


XEON = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"


@pytest.mark.parametrize(
    "units", [{"amx_bf16": True}, {"bf16": True}, {"avx512_bf16": True, "cpu_name": "AMD EPYC 9654 96-Core Processor"}]
)
def test_a_processor_that_is_fast_in_bfloat16(processor: Processor, units: dict[str, bool | str]) -> None:
    processor(**units)
    assert prefers_bfloat16("cpu")


@pytest.mark.parametrize(
    "units",
    [
        {},
        {"amx_bf16": False, "avx512_bf16": True},
        {"avx512_bf16": True, "cpu_name": XEON},
        {"avx512_bf16": False, "cpu_name": "AMD EPYC 7543 32-Core Processor"},
    ],
)
def test_a_processor_without(processor: Processor, units: dict[str, bool | str]) -> None:
    processor(**units)
    assert not prefers_bfloat16("cpu")


def test_a_torch_that_does_not_know_the_processor(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not prefers_bfloat16("cpu")


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_that_emulates_does_not_count(
    processor: Processor, monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    def is_supported(including_emulation: bool = True) -> bool:
        return including_emulation or supported

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert prefers_bfloat16("cuda") == supported


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_network_computes_in_the_precision_it_is_given(precision: torch.dtype) -> None:
    seen = []

    class Encoder(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            seen.append(y.dtype)
            return y

    recognizer = Recognizer(Encoder(2, 3), nn.Identity(), precision)  # type: ignore[arg-type]
    assert recognizer.encode(torch.zeros(1, 2)).dtype == torch.float32
    assert seen == [precision]
