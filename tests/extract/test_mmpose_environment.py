import importlib.util
import sys

import pytest

from pcan_extract.backends import BackendOptions, create_backend
from pcan_extract.backends.mmpose import check
from pcan_extract.backends.mmpose_stubs import stand_ins
from pcan_pose.errors import MissingDependencyError

EXTRA = "pip install 'pcan-pose[mmpose]'"


@pytest.fixture
def absent(monkeypatch):
    """Return a function that makes packages absent, and all others present."""

    def make(*names):
        found = importlib.util.find_spec("os")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else found)

    return make


def test_all_that_is_missing_is_named_with_its_command(absent):
    absent("mmpose", "mmcv", "munkres", "torch")
    torch, extra, mmpose = check()
    assert torch == "torch is not installed; run pip install torch."
    assert extra == f"onedl-mmcv, munkres: not installed; run {EXTRA}."
    assert mmpose.startswith("mmpose is not installed; run pip install --no-deps mmpose==1.3.2 (with --no-deps, ")


def test_backend_of_an_absent_package_is_refused(absent):
    absent("mmpose")
    with pytest.raises(MissingDependencyError, match="backend 'mmpose': mmpose is not installed; run pip install --no"):
        create_backend("mmpose", BackendOptions(model="human"))


def test_package_that_does_not_import_is_a_finding(absent, monkeypatch):
    absent()
    monkeypatch.setattr("pcan_extract.backends.mmpose_environment.mmpose_version", lambda: "1.3.2")
    monkeypatch.setitem(sys.modules, "mmpose.apis", None)
    (finding,) = check()
    assert finding.startswith("mmpose 1.3.2 does not import (ModuleNotFoundError: import of mmpose.apis halted")
    assert finding.endswith(f"come with {EXTRA} && pip install --no-deps mmpose==1.3.2.")


def test_release_of_another_interface_is_a_finding(absent, monkeypatch):
    absent()
    monkeypatch.setattr("pcan_extract.backends.mmpose_environment.mmpose_version", lambda: "0.29.0")
    assert check() == [
        "mmpose 0.29.0 is installed, whose interface is another one; run pip install --no-deps mmpose==1.3.2."
    ]


def test_stand_ins_are_there_during_the_import_only():
    before = importlib.util.find_spec("xtcocotools")
    with stand_ins() as made:
        import xtcocotools.mask
        from xtcocotools.coco import COCO

        assert "xtcocotools.mask" in sys.modules
        assert not hasattr(xtcocotools.mask, "__file__")
    assert made == ["xtcocotools", "xtcocotools.mask", "xtcocotools.coco"]
    assert not [name for name in sys.modules if name.startswith("xtcocotools")]
    assert importlib.util.find_spec("xtcocotools") is before is None
    with pytest.raises(MissingDependencyError, match=r"uses xtcocotools\.coco\.COCO, which is not installed"):
        COCO("annotations.json")


def test_what_is_installed_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "xtcocotools").mkdir()
    (tmp_path / "xtcocotools/__init__.py").write_text("")
    (tmp_path / "xtcocotools/coco.py").write_text("COCO = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with stand_ins() as made:
        from xtcocotools.coco import COCO
    assert COCO == 3 and made == []
    for name in ("xtcocotools", "xtcocotools.coco"):
        monkeypatch.delitem(sys.modules, name)
