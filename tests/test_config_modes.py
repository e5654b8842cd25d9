"""The head's mode sets the switches that are not given."""

from pathlib import Path

from pcan_pose.config import load_config, parse_config, to_yaml


def test_as_published_sets_every_switch_that_is_not_given() -> None:
    content = {"name": "x", "data": {"path": "k"}}
    head = parse_config({**content, "head": {"mode": "as_published"}}, "here").head
    assert (head.diversity, head.unseen_prototypes) == ("detached", "random")
    calibration = head.calibration
    assert (calibration.weighting, calibration.clips, calibration.detach_probability) == ("logits", "all", False)
    given = {"mode": "as_published", "diversity": "differentiable", "calibration": {"clips": "ambiguous"}}
    head = parse_config({**content, "head": given}, "here").head
    assert (head.diversity, head.calibration.clips, head.calibration.weighting) == (
        "differentiable",
        "ambiguous",
        "logits",
    )


def test_a_mode_given_on_the_command_line_decides_the_switches_of_a_resolved_file(tmp_path: Path) -> None:
    file = tmp_path / "resolved.yaml"
    file.write_text(to_yaml(parse_config({"name": "x", "data": {"path": "d"}}, "here")))
    head = load_config(file, ["head.mode=as_published", "head.calibration.clips=ambiguous"]).head
    assert (head.diversity, head.unseen_prototypes) == ("detached", "random")
    assert head.calibration.weighting == "logits"
    assert not head.calibration.detach_probability
    assert head.calibration.clips == "ambiguous"
    # In whatever order they are given.
    assert load_config(file, ["head.calibration.clips=ambiguous", "head.mode=as_published"]).head == head
