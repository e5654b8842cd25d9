from benchmarks.two_branches import PICTURES, table
from pcan_pose.config import load_config


def test_the_table_has_means_and_deviations() -> None:
    def row(value: float) -> dict[str, float]:
        return {"action_top1": value, "action_f1_macro": value, "body_top1": value, "f1_mean": value}

    one = {"pose": row(0.5), "pose + RGB": row(0.625)}
    other = {"pose": row(0.6), "pose + RGB": row(0.625)}
    lines = table([one, other]).splitlines()
    assert lines[0] == "| row | action top-1 | action macro F1 | body top-1 | F1 mean |"
    assert lines[2] == "| pose | " + " | ".join(["55.0 ± 7.1"] * 4) + " |"
    assert lines[3] == "| pose + RGB | " + " | ".join(["62.5 ± 0.0"] * 4) + " |"
    assert table([one]).splitlines()[2] == "| pose | 50.0 | 50.0 | 50.0 | 50.0 |"


def test_its_settings_are_a_configuration() -> None:
    pictures = PICTURES.format(crops="crops", size=64)
    config = load_config("ma52_rgb", [f"data.rgb={pictures}", "encoder.pretrained=false"])
    assert config.data.rgb is not None and config.data.rgb.size == 64
