from pathlib import Path

import pytest

from pcan_pose.config import (
    AugmentConfig,
    CommitteeConfig,
    CTRGCNConfig,
    PoseEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
    TwoBranchConfig,
    describe_keys,
    find_config,
    load_config,
    to_yaml,
)
from pcan_pose.errors import ConfigError

SMALL = "name: small\ndata:\n  path: keypoints\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.faults


def test_a_small_file_gets_every_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SMALL))
    assert (config.name, config.data.path, config.folder) == ("small", Path("keypoints"), Path("runs/small"))
    assert isinstance(config.encoder, PoseEncoderConfig)
    assert config.data.streams == ("joint", "bone", "joint_motion", "bone_motion")


def test_printed_whole_it_reads_back_equal(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SMALL), ["encoder.type=stgcn++", "train.ema=0.998"])
    assert isinstance(config.encoder, STGCNPlusPlusConfig)
    (tmp_path / "whole.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "whole.yaml") == config
    keys = [key for key, *_ in describe_keys() if not key.startswith(("encoder.", "data.rgb."))]
    printed = to_yaml(config)
    assert all(f"{key.rsplit('.', 1)[-1]}:" in printed for key in keys)


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    text = "name: no\ndata: {path: on, train_split: off}\noptim: {weight_decay: 1e-3, lr: 5e-2}\nseed: 010\n"
    config = load_config(write(tmp_path, text), ["train.ema=9e-1", "data.val_split=yes"])
    assert (config.name, str(config.data.path), config.data.train_split) == ("no", "on", "off")
    assert (config.optim.weight_decay, config.optim.lr, config.train.ema) == (1e-3, 5e-2, 0.9)
    assert (config.data.val_split, config.seed) == ("yes", 10)
    assert load_config(write(tmp_path, SMALL), ["name=2026-02-30"]).name == "2026-02-30"  # a word, and no date at all


@pytest.mark.parametrize(
    ("override", "value"),
    [("optim.lr=0.05", 0.05), ("optim.lr= 5e-2", 0.05), (" optim.lr =0.05", 0.05)],
)
def test_overrides(tmp_path: Path, override: str, value: float) -> None:
    assert load_config(write(tmp_path, SMALL), [override]).optim.lr == value


def test_later_overrides_win_and_lists_are_yaml(tmp_path: Path) -> None:
    overrides = ["optim.lr=1", "optim.lr=2", "encoder.widths=[32, 64]", "encoder.depths=[1, 1]", "data.val_split=null"]
    config = load_config(write(tmp_path, SMALL), overrides)
    assert config.optim.lr == 2
    assert isinstance(config.encoder, PoseEncoderConfig)
    assert config.encoder.widths == (32, 64)
    assert config.data.val_split is None


def test_every_fault_is_named(tmp_path: Path) -> None:
    text = "name: x\ndata: {pth: k, frames: 1}\nopitm: {}\noptim: {learning_rate: 1}\n"
    path = write(tmp_path, text)
    faults = faults_of(path)
    assert f"{path}: 'data.path' is missing; it has no default." in faults
    assert f"{path}: unknown key 'data.pth'. Did you mean 'path'?" in faults
    assert f"{path}: unknown key 'opitm'. Did you mean 'optim'?" in faults
    assert any(fault.startswith(f"{path}: unknown key 'optim.learning_rate'. Known: ") for fault in faults)
    assert any(fault.startswith(f"{path}: data.frames: ") and fault.endswith("got 1.") for fault in faults)
    assert len(faults) == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pose", PoseEncoderConfig),
        ("stgcn++", STGCNPlusPlusConfig),
        ("ctr-gcn", CTRGCNConfig),
        ("st-gcn", STGCNConfig),
    ],
)
def test_each_encoder_is_chosen_by_its_type_and_refuses_other_keys(tmp_path: Path, name: str, kind: type) -> None:
    path = write(tmp_path, SMALL + f"encoder: {{type: {name}}}\n")
    assert isinstance(load_config(path).encoder, kind)
    (fault,) = faults_of(path, "encoder.base_channel=32")
    assert fault == f"{path}: unknown key 'encoder.base_channel'. Did you mean 'base_channels'?"


def test_unknown_keys_of_the_encoder(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    assert faults_of(path, "encoder.width=[1]") == (f"{path}: unknown key 'encoder.width'. Did you mean 'widths'?",)


SECOND = "{streams: [bone], encoder: {widths: [8], depths: [1]}}"
MEMBERS = f"encoder={{type: committee, members: [{{streams: [joint]}}, {SECOND}]}}"


def test_members_of_a_committee(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    config = load_config(path, [MEMBERS])
    assert isinstance(config.encoder, CommitteeConfig)
    first, second = config.encoder.members
    assert first.encoder == PoseEncoderConfig()
    assert (second.streams, second.encoder.type, second.encoder.widths) == (("bone",), "pose", (8,))
    (tmp_path / "whole.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "whole.yaml") == config
    assert faults_of(path, MEMBERS.replace("widths", "width")) == (
        f"{path}: unknown key 'encoder.members.1.encoder.width'. Did you mean 'widths'?",
    )
    assert faults_of(path, MEMBERS.replace("{streams: [joint]}", "{stream: [joint]}"))[-1] == (
        f"{path}: unknown key 'encoder.members.0.stream'. Did you mean 'streams'?"
    )
    (fault,) = faults_of(path, MEMBERS.replace(f", {SECOND}", ""))
    assert "a committee has at least two members" in fault
    (fault,) = faults_of(path, MEMBERS, "data.streams=[joint, joint_motion]")
    assert fault.endswith("members of the encoder see bone, which data.streams does not have.")
    changed = load_config(path, [MEMBERS, "encoder.members.1.encoder.widths=[16]", "encoder.members.0.streams.0=bone"])
    assert isinstance(changed.encoder, CommitteeConfig)
    assert [member.encoder.widths for member in changed.encoder.members] == [(64, 128, 256), (16,)]  # type: ignore[union-attr]
    assert changed.encoder.members[0].streams == ("bone",)


def test_members_see_clips_in_their_own_time(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    config = load_config(path)
    assert config.views == config.member_views == (config.data,)
    config = load_config(path, [MEMBERS])
    assert config.views == (config.data,) and config.member_views == (config.data,) * 2
    changes = ("frames=36", "short_clips=pad", "augment.tempo=0.4")
    own = [MEMBERS, "data.augment.flip=0.5", *(f"encoder.members.1.{change}" for change in changes)]
    config = load_config(path, own)
    first, second = config.views
    assert first == config.data and first.augment.flip == 0.5
    assert (second.frames, second.short_clips) == (36, "pad")
    assert second.augment == AugmentConfig(tempo=0.4)  # all of its own
    same = {"frames": first.frames, "short_clips": "stretch", "augment": first.augment}
    assert second.model_copy(update=same) == first
    (fault,) = faults_of(path, own[0], own[-1])
    assert fault.endswith(
        "encoder.members.1: augment.tempo changes nothing where short clips are stretched; set short_clips to pad."
    )


def test_what_every_member_has_of_its_own_the_run_sets_in_vain(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    one = [MEMBERS, "data.frames=10", "encoder.members.0.frames=8"]
    assert load_config(path, one).without_effect == {}
    both = load_config(path, [*one, "encoder.members.1.frames=9"])
    assert both.without_effect == {"each member of the encoder has its own": ["data.frames"]}


def test_what_an_alias_repeats_is_changed_alone(tmp_path: Path) -> None:
    members = "  - {streams: [joint], augment: &same {flip: 0.5}}\n  - {streams: [bone], augment: *same}\n"
    path = write(tmp_path, SMALL + f"encoder:\n  type: committee\n  members:\n{members}")
    first, second = load_config(path, ["encoder.members.1.augment.flip=0.1"]).member_views
    assert (first.augment.flip, second.augment.flip) == (0.5, 0.1)


BRANCHES = "encoder={type: two-branch, pose: {type: pose}, rgb: {type: efficientnet-lite0}}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optim.lr"], "--set optim.lr: expected key=value, e.g. --set optim.lr=0.05."),
        (["=1"], "--set =1: expected key=value, e.g. --set optim.lr=0.05."),
        (["name.x=1"], "--set name.x=1: name is a value, not a section."),
        ([MEMBERS, "encoder.members.2.streams=[bone]"], "encoder.members has items 0 to 1, and no '2'."),
        ([MEMBERS, "encoder.members.last.streams=[bone]"], "encoder.members has items 0 to 1, and no 'last'."),
        (["data.streams=[]", "data.streams.0=bone"], "--set data.streams.0=bone: data.streams is empty."),
        (["data.streams=[joint]", "data.streams.²=bone"], "data.streams has items 0 to 0, and no '²'."),
        (["train.epochs={a: 1}"], "train.epochs: Input should be a valid integer, got {'a': 1}."),
        (["encoder.temporal_kernel=1"], "encoder.temporal_kernel: Input should be greater than or equal to 3, got 1."),
        (["data.streams=[joint, skin]"], "data.streams.1: Input should be 'joint'"),
        (["encoder.depths=[1]"], "widths and depths must have the same length, got 3 and 1"),
        (["encoder.temporal_kernel=4"], "temporal_kernel must be odd, got 4"),
        (["encoder.groups=7"], "are not multiples of groups (7) and reduction (4)"),
        (["encoder.type=ctr-gcn", "encoder.base_channels=6"], "encoder.base_channels: Input should be a multiple of 4"),
        (["encoder={type: refined, widths: [8, 6, 8]}"], "encoder.widths.1: Input should be a multiple of 4, got 6."),
        (["encoder={type: refined, depths: [1]}"], "widths and depths must have the same length, got 3 and 1"),
        (["encoder.type=st-gcn", "encoder.dropout=1"], "encoder.dropout: Input should be less than 1, got 1."),
        (["data.augment.crop=[0.9, 0.5]"], "crop must be two numbers with 0 < shortest <= longest <= 1"),
        (["train.compile=fast"], "train.compile: Input should be True, False or 'reduce-overhead', got 'fast'."),
        (["optim.lr=-1"], "optim.lr: Input should be greater than 0, got -1."),
        (["optim.lr=["], "--set optim.lr=[: not YAML ("),
        (["encoder.widths=[8, 16, 0]"], "encoder.widths.2: Input should be greater than 0, got 0."),
        (["encoder.depths=[1, 1, -1]"], "encoder.depths.2: Input should be greater than 0, got -1."),
        (["data.augment.noise=.inf"], "data.augment.noise: Input should be a finite number, got inf."),
        (["data.augment.rotation=[.nan, 0, 0]"], "data.augment.rotation.0: Input should be a finite number, got nan."),
        ([BRANCHES, "encoder.pose.widthss=[1]"], "unknown key 'encoder.pose.widthss'. Did you mean 'widths'?"),
        (
            [BRANCHES, "encoder.dropout=0.5"],
            "is a key of other encoder types than 'two-branch'; leave it out",
        ),
        (
            [BRANCHES, "encoder.pose.dropout=0.5"],
            "'encoder.pose.dropout' is a key of other encoder types than 'pose'",
        ),
        (["seed=4294967296"], "seed: Input should be less than 4294967296, got 4294967296."),
        ([BRANCHES, "encoder.rgb.folds=1"], "unknown key 'encoder.rgb.folds'. Did you mean 'fold'?"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, overrides: list[str], message: str) -> None:
    (fault,) = faults_of(write(tmp_path, SMALL), *overrides)
    assert message in fault


def test_one_channel_in_one_cannot_move_both_ways(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + "  rgb: {crops: /x}\n")
    (fault,) = faults_of(path, BRANCHES, "encoder.rgb.fold=1")
    assert "encoder.rgb.fold: " in fault and "one channel cannot see both ways; take 0 or at least 2, got 1." in fault
    for fold in (0, 2):
        encoder = load_config(path, [BRANCHES, f"encoder.rgb.fold={fold}"]).encoder
        assert isinstance(encoder, TwoBranchConfig) and encoder.rgb.model_dump()["fold"] == fold


def test_a_section_that_is_off_can_be_filled(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    path.write_text(to_yaml(load_config(write(tmp_path, SMALL))))
    config = load_config(path, ["data.rgb.crops=/x"])
    assert config.data.rgb is not None and config.data.rgb.crops == Path("/x")


@pytest.mark.parametrize(
    ("text", "message"), [("- a", "expected keys such as name, data and train, got list."), ("a: [", "not YAML (")]
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}: {message}")


def test_settings_of_pictures_alone_have_no_effect_on_skeletons(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    pictures = ["data.rgb.crops=c", "optim.layer_decay=0.5"]
    assert load_config(path).without_effect == {}
    reason = "encoder 'pose' sees no pictures"
    assert load_config(path, pictures).without_effect == {reason: ["data.rgb", "optim.layer_decay"]}
    assert load_config(path, [*pictures, "encoder.type=efficientnet-lite0"]).without_effect == {}


def test_a_file_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: B\xe4r\ndata: {path: d}\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="latin.yaml: is no text in UTF-8"):
        load_config(path)


def test_shipped_configurations_are_found_by_name() -> None:
    shipped = find_config("nwucla_small")
    assert shipped.name == "nwucla_small.yaml"
    for file in sorted(shipped.parent.glob("*.yaml")):
        assert load_config(file) == load_config(file.stem)
    with pytest.raises(ConfigError) as caught:
        find_config("nwucla_smal")
    assert str(caught.value) == (
        "nwucla_smal: there is no such file, nor a configuration of that name. Did you mean 'nwucla_small'?"
    )
