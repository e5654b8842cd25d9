"""A whole run on a video model of a local folder: trained, stopped, gone on with, tested without the folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Configure, assert_equal, tiny_set

from pcan_pose.crop_cache import CropRecord, CropSettings, write_crops
from pcan_pose.engine import test as engine_test
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.train import train
from pcan_pose.errors import ConfigError

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'pcan-pose[rgb]'")

FRAMES, SIZE = 4, 32
COMMON = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 16}
KINDS = {
    "videomae": {"image_size": SIZE, "num_frames": FRAMES, "intermediate_size": 16, "decoder_hidden_size": 8}
    | {"decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 1},
    "vjepa2": {"crop_size": SIZE, "frames_per_clip": FRAMES, "mlp_ratio": 2, "pred_hidden_size": 12}
    | {"pred_num_hidden_layers": 1, "pred_num_attention_heads": 1, "pred_num_mask_tokens": 1},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_trained_stopped_resumed_and_tested(configure: Configure, tmp_path: Path, kind: str) -> None:
    crops, model = tmp_path / "crops", tmp_path / kind
    crops.mkdir()
    clips = tiny_set()
    rng = np.random.default_rng(0)
    records = [CropRecord(name, tuple(range(FRAMES)), FRAMES, (0, 0, SIZE), SIZE, SIZE, 1) for name in clips.clip_ids]
    pictures = [rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8) for _ in records]
    write_crops(crops, 0, CropSettings(size=SIZE, frames=FRAMES), records, pictures)
    library = transformers.AutoConfig.for_model(kind, **(COMMON | KINDS[kind]))
    transformers.AutoModel.from_config(library).save_pretrained(model)
    settings = {
        "encoder": {"type": "video-transformer", "model": str(model)},
        "data__rgb": {"crops": str(crops), "frames": FRAMES, "size": SIZE},
        "optim__type": "adamw",
        "optim__lr": 1e-3,
        "optim__layer_decay": 0.8,
        "train__epochs": 2,
    }
    whole = train(configure(name="whole", **settings))
    stopped = configure(name="stopped", **settings)

    def stop(epoch: int, epochs: int, losses: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, progress=stop)
    # The checkpoint has all that the model brings: its folder may lie elsewhere, or nowhere.
    moved = model.rename(tmp_path / "moved")
    settings["encoder"] = settings["encoder"] | {"model": str(tmp_path / "nowhere")}
    resumed = train(configure(name="stopped", **settings), resume=True)
    settings["encoder"] = settings["encoder"] | {"model": str(moved)}
    assert_equal(load_checkpoint(resumed / "last.pt"), load_checkpoint(whole / "last.pt"))
    with pytest.raises(ConfigError, match=f"got clips of {SIZE + 16}x{SIZE + 16}"):
        train(configure(name="size", **settings, data__rgb__size=SIZE + 16))
    shutil.rmtree(moved)
    scores = engine_test.test_run(resumed, "val", device="cpu")
    assert scores.stream == "rgb" and np.isfinite(scores.action_logits).all()
