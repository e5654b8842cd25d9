from pathlib import Path

import pytest

from benchmarks.peer import main


def test_a_folder_that_is_no_clone_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no clone of https://github.com/kennymckormick/pyskl"):
        main(["--pyskl", str(tmp_path), "--out", str(tmp_path / "peer.json")])
    assert not list(tmp_path.iterdir())
