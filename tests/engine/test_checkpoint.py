import pickle
from pathlib import Path

import pytest
import torch

from pcan_pose.engine.checkpoint import load_checkpoint, save_checkpoint
from pcan_pose.errors import CheckpointError

CONTENT = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "taxonomy": "{}", "epoch": 3, "extra": [1, None, 0.5]}


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(file, CONTENT)
    content = load_checkpoint(file)
    assert torch.equal(content.pop("model")["weight"], CONTENT["model"]["weight"])
    assert content == {key: value for key, value in CONTENT.items() if key != "model"}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_failed_save_leaves_the_old_checkpoint_and_no_rest(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(file, CONTENT)
    before = file.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(file, CONTENT | {"bad": lambda: None})
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: there is no checkpoint; has the run been trained\?"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_checkpoint_with_code_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    file, touched = tmp_path / "last.pt", tmp_path / "touched"
    torch.save(CONTENT | {"code": Malicious(touched)}, file)
    with pytest.raises(CheckpointError, match=r"last\.pt: refused, it holds more than tensors and plain containers"):
        load_checkpoint(file)
    assert not touched.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(file, CONTENT)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"last\.pt: .*damaged"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"\x80\x02",
        b"\x80\x02}.",
        b"PK\x03\x04rest",
        b"\x00" * 100,
        b"\x80\x04K\x01.",
        pickle.dumps([1]),
        b"(",
        b"garbage\n." * 9,
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "last.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt: "):
        load_checkpoint(file)


@pytest.mark.parametrize("content", [[1, 2], {"model": {}, "epoch": 1}, {"state_dict": {}}])
def test_another_programs_checkpoint_is_named(tmp_path: Path, content: object) -> None:
    file = tmp_path / "last.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match="not a checkpoint of pcan-pose"):
        load_checkpoint(file)
