import json
import sys
from pathlib import Path

import pytest
import torch

from pcan_pose.errors import ConfigError, MissingDependencyError
from pcan_pose.models.rgb.pretrained_video import Scaling
from pcan_pose.models.rgb.video_transformer import VideoTransformer

SMALL = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "patch_size": 8}
CLIPS = {"image_size": 16, "num_frames": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    library = pytest.importorskip("transformers", reason="needs transformers: pip install 'pcan-pose[rgb]'")
    config = library.TimesformerConfig(**SMALL, **CLIPS)
    library.TimesformerModel(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ({"image_mean": [0.45] * 3, "image_std": [0.225] * 3}, (0.45,) * 3, (0.225,) * 3),
        ({"do_normalize": False}, (0,) * 3, (1,) * 3),
        # ViViT: bytes / 127.5 - 1, and no more.
        ({"rescale_factor": 1 / 127.5, "offset": True, "do_normalize": False}, (0.5,) * 3, (0.5,) * 3),
        ({"do_rescale": False, "image_mean": [127] * 3, "image_std": [128] * 3}, (127 / 255,) * 3, (128 / 255,) * 3),
    ],
)
def test_scaling_of_a_processor(settings: dict[str, object], mean: tuple[float], std: tuple[float]) -> None:
    scaling = Scaling.of_processor(settings)
    assert scaling.mean == pytest.approx(mean)
    assert scaling.std == pytest.approx(std)


def test_scaling_beside_the_model_wins_over_the_usual_one(folder: Path) -> None:
    assert VideoTransformer.load(str(folder)).mean.flatten().tolist() == pytest.approx([0.45] * 3)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.2, 0.3]}))
    assert VideoTransformer.load(str(folder)).mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_half_precision_weights_are_trained_in_float32(folder: Path) -> None:
    import transformers

    transformers.AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert {parameter.dtype for parameter in VideoTransformer.load(str(folder)).parameters()} == {torch.float32}


def test_weights_in_a_pickle_are_refused(folder: Path) -> None:
    weights = VideoTransformer.load(str(folder)).network.state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no video model could be loaded.*model\.safetensors"):
        VideoTransformer.load(str(folder))


def test_code_beside_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    change(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ConfigError, match="no video model could be loaded"):
        VideoTransformer.load(str(folder))
    assert not (tmp_path / "ran").exists()


def test_missing_weights_are_named(folder: Path) -> None:
    change(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ConfigError, match=r"weights are missing, the first encoder\.layer\.2\..* with 3 layers"):
        VideoTransformer.load(str(folder))


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change(folder / "config.json", intermediate_size=16)
    with pytest.raises(ConfigError, match="no video model could be loaded"):
        VideoTransformer.load(str(folder))


def test_weights_of_a_head_are_left_out_and_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    import transformers

    config = transformers.TimesformerConfig(**SMALL, **CLIPS)
    transformers.TimesformerForVideoClassification(config).save_pretrained(folder)
    with caplog.at_level("INFO", logger="pcan_pose"):
        VideoTransformer.load(str(folder))
    assert "2 weights of a head or decoder are left out, the first classifier.bias" in caplog.text


def test_another_model_than_a_video_model_is_refused(folder: Path) -> None:
    import transformers

    transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=16)).save_pretrained(folder)
    with pytest.raises(ConfigError, match="vit is no video model over square pictures"):
        VideoTransformer.load(str(folder))


def test_missing_folder_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs transformers: pip install 'pcan-pose[rgb]'")
    with pytest.raises(ConfigError, match=r"nowhere: no video model could be loaded"):
        VideoTransformer.load(str(tmp_path / "nowhere"))


def test_names_the_extra_when_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pcan-pose\[rgb\]'"):
        VideoTransformer.load("anything")
