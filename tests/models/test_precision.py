from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pcan_pose.models.precision import prefers_bfloat16
from pcan_pose.models.recognizer import Recognizer

Processor = Callable[..., None]


@pytest.mark.parametrize("unit", ["amx_bf16", "bf16"])
def test_a_processor_that_is_fast_in_bfloat16(processor: Processor, unit: str) -> None:
    processor(**{unit: True})
    assert prefers_bfloat16("cpu")


@pytest.mark.parametrize("units", [{}, {"amx_bf16": False, "avx512_bf16": True}])
def test_a_processor_without(processor: Processor, units: dict[str, bool]) -> None:
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
