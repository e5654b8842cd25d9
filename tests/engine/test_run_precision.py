"""The arithmetic of a run: what auto means, what is recorded, and what tests compute in."""

from collections.abc import Callable

import pytest
import torch
from tiny_runs import Configure, trainer

from pcan_pose.engine import test as engine_test
from pcan_pose.engine.run_folder import RunFolder
from pcan_pose.engine.train import train
from pcan_pose.errors import CheckpointError

Processor = Callable[..., None]


@pytest.mark.parametrize(
    ("precision", "fast", "warns"), [("bf16", False, True), ("bf16", True, False), ("auto", False, False)]
)
def test_slow_bfloat16_is_named(
    configure: Configure,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
    precision: str,
    fast: bool,
    warns: bool,
) -> None:
    processor(amx_bf16=fast)
    trainer(configure(train__precision=precision))
    assert ("train.precision=bf16 is slow here, as this processor has no" in caplog.text) == warns


@pytest.mark.parametrize(("fast", "recorded"), [(True, "bf16"), (False, "fp32")])
def test_the_run_folder_says_what_auto_was(
    configure: Configure, processor: Processor, fast: bool, recorded: str
) -> None:
    processor(amx_bf16=fast)
    config = configure(train__epochs=1, train__precision="auto")
    folder = train(config)
    assert RunFolder(folder).config().train.precision == recorded
    train(config, resume=True)
    processor(amx_bf16=not fast)  # another machine
    train(config, resume=True)
    assert RunFolder(folder).config().train.precision == recorded
    other = "fp32" if fast else "bf16"
    with pytest.raises(CheckpointError, match=f"train.precision was '{recorded}', now '{other}'; a resumed run keeps"):
        train(configure(train__epochs=1, train__precision=other), resume=True)


@pytest.mark.parametrize(("fast", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_run_that_says_auto_is_tested_in_what_this_device_is_fast_in(
    configure: Configure, processor: Processor, fast: bool, precision: torch.dtype
) -> None:
    folder = RunFolder(train(configure(train__epochs=1, train__precision="fp32")))
    config = folder.path / "config.yaml"
    config.write_text(config.read_text().replace("precision: fp32", "precision: auto"))
    assert folder.config().train.precision == "auto"
    processor(amx_bf16=fast)
    assert engine_test.load_run(folder.path, "cpu")[1].precision == precision


def test_a_test_computes_in_bfloat16_where_that_is_fast(configure: Configure, processor: Processor) -> None:
    processor(amx_bf16=True)
    run = train(configure(train__epochs=1, train__precision="bf16"))
    assert engine_test.load_run(run, "cpu")[1].precision == torch.bfloat16
    rounded = engine_test.test_run(run, "val", device="cpu").action_logits
    processor()
    assert engine_test.load_run(run, "cpu")[1].precision == torch.float32
    exact = engine_test.test_run(run, "val", device="cpu").action_logits
    assert 0 < abs(rounded - exact).max() < 0.05 * abs(exact).max()
