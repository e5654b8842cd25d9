from pathlib import Path

import pytest

from benchmarks import two_branches
from benchmarks.docs_page import RESULTS, section
from benchmarks.two_branches import PICTURES, table
from pcan_pose.config import load_config


def test_the_table_has_means_and_deviations() -> None:
    def row(value: float) -> dict[str, float]:
        return {"action_top1": value, "action_f1_macro": value, "body_top1": value, "f1_mean": value}

    one = {"pose": row(0.5), "pose + RGB": row(0.625)}
    other = {"pose": row(0.6), "pose + RGB": row(0.625)}
    lines = table({"settings": {}, "machines": {"0": "a CPU", "1": "a CPU"}, "0": one, "1": other}).splitlines()
    assert lines[0] == "| row | action top-1 | action macro F1 | body top-1 | F1 mean | n |"
    assert lines[2] == "| pose | " + " | ".join(["55.0 ± 7.1"] * 4) + " | 2 |"
    assert lines[3] == "| pose + RGB | " + " | ".join(["62.5 ± 0.0"] * 4) + " | 2 |"
    assert lines[4:] == ["", "Mean ± standard deviation over n seeds; a CPU."]
    assert table({"machines": {}, "0": one}).splitlines()[2] == "| pose | 50.0 | 50.0 | 50.0 | 50.0 | 1 |"


def test_what_is_recorded_is_printed_and_written_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(two_branches, "one_seed", None)
    recorded = RESULTS.parents[1] / "benchmarks" / "results" / "two_branches.json"
    words = ["--print-only", "--out", str(recorded), "--write-docs"]
    with pytest.raises(SystemExit, match=r"results\.md shows .*; name another page with --docs"):
        two_branches.main(words)
    page = tmp_path / "page.md"
    page.write_text("<!-- two branches -->\n<!-- end of two branches -->")
    two_branches.main([*words, "--docs", str(page)])
    assert section(page, "two branches") == capsys.readouterr().out.strip() == section(RESULTS, "two branches")
    with pytest.raises(SystemExit, match="made with .*; name another --out"):
        two_branches.main([*words, "--clips", "52"])


def test_its_settings_are_a_configuration() -> None:
    pictures = PICTURES.format(crops="crops", size=64)
    config = load_config("ma52_rgb", [f"data.rgb={pictures}", "encoder.pretrained=false"])
    assert config.data.rgb is not None and config.data.rgb.size == 64
