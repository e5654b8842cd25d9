from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_runs import Configure, assert_equal

from pcan_pose import keypoints
from pcan_pose.config import RunConfig
from pcan_pose.data import memory, memory_dataset, set_reader
from pcan_pose.data.mapped_dataset import MappedDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.embeddings import embed_run
from pcan_pose.engine.run_folder import read_metrics
from pcan_pose.engine.sources import load_data
from pcan_pose.engine.test import test_run as score_run
from pcan_pose.engine.train import train
from pcan_pose.errors import DataError

CPU = torch.device("cpu")
MEASURED = {"data__val_split": "val", "train__val_every": 1}


def without_seconds(config: RunConfig) -> list[dict[str, object]]:
    rows = read_metrics(config.folder / "metrics.jsonl")
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_run_on_mapped_files_equals_one_in_memory(configure: Configure, tmp_path: Path) -> None:
    one = configure(name="one", **MEASURED)
    other = configure(name="other", data__memory="map", data__map_folder=str(tmp_path / "maps"), **MEASURED)
    for config in (one, other):
        train(config)
    first, second = (load_checkpoint(config.folder / "last.pt") for config in (one, other))
    assert_equal(first, second)
    assert without_seconds(one) == without_seconds(other)
    scores, again = (score_run(config.folder, "val", copies=1) for config in (one, other))
    np.testing.assert_array_equal(scores.action_logits, again.action_logits)
    assert scores.clip_ids == again.clip_ids
    np.testing.assert_array_equal(*(embed_run(config.folder).embeddings for config in (one, other)))
    assert len(list((tmp_path / "maps").iterdir())) == 1


def test_a_run_may_go_on_with_mapped_files(configure: Configure, tmp_path: Path) -> None:
    whole = configure(name="whole")
    train(whole)
    config = configure(name="stopped")

    def stop(epoch: int, epochs: int, losses: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, progress=stop)
    mapped = configure(name="stopped", data__memory="map", data__map_folder=str(tmp_path / "maps"))
    train(mapped, resume=True)
    assert len(list((tmp_path / "maps").iterdir())) == 1
    assert_equal(*(load_checkpoint(run.folder / "last.pt") for run in (whole, config)))


def test_the_setting_decides_where_the_clips_lie(configure: Configure, tmp_path: Path) -> None:
    config = configure(data__memory="map", data__map_folder=str(tmp_path / "maps"))
    source = load_data(config, CPU).train
    assert isinstance(source, PoseSource) and isinstance(source.dataset, MappedDataset)
    source = load_data(configure(), CPU).train
    assert isinstance(source, PoseSource) and not isinstance(source.dataset, MappedDataset)


def test_a_set_that_cannot_fit_is_refused_before_it_is_read(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure()
    whole = keypoints.read_set(config.data.path)
    kept = whole.select(whole.in_split("train"))
    size = kept.scores.nbytes + kept.keypoints.nbytes
    # A tenth stays free for the run.
    monkeypatch.setattr(memory, "available_bytes", lambda: size / 0.9 + 1)
    load_data(config, CPU)
    monkeypatch.setattr(memory, "available_bytes", lambda: size / 0.9 - 1)
    monkeypatch.setattr(memory_dataset, "clip_parts", lambda *_: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"tiny: the clips take 0\.0 GB, 0\.0 GB are free; set data\.memory=map, which"):
        load_data(config, CPU)


def test_an_allocation_that_fails_says_what_helps(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.empty

    def refuse(*size: int, **options: Any) -> torch.Tensor:
        return whole(2**48) if len(size) == 3 else whole(*size, **options)

    config = configure()
    monkeypatch.setattr(memory_dataset.torch, "empty", refuse)
    with pytest.raises(
        DataError, match=r"the set does not fit into memory \(.*DefaultCPUAllocator.*\); set data\.memory"
    ):
        load_data(config, CPU)
    monkeypatch.setattr(memory_dataset.torch, "empty", lambda *_, **__: whole(2).view(3))
    with pytest.raises(RuntimeError, match="shape '\\[3\\]' is invalid"):
        load_data(config, CPU)


@pytest.mark.parametrize("error", [MemoryError, pa.ArrowMemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("place", ["reading", "keeping"])
def test_a_set_that_does_not_fit_says_what_helps(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, error: type[Exception], place: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("no room\nat all")

    config = configure()
    if place == "reading":
        monkeypatch.setattr(set_reader.pq, "ParquetFile", fail)
    else:
        monkeypatch.setattr(PoseSource, "from_set", fail)
    message = rf"{config.data.path}: the set does not fit into memory \(no room\); set data\.memory=map"
    with pytest.raises(DataError, match=message):
        load_data(config, CPU)
