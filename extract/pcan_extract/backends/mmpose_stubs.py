"""Stand-ins for packages that MMPose imports but that pose estimation does not need.

MMPose 1.3.2 imports them at its top: mmcv's compiled operators, a helper of MMDetection, a picture conversion of
torchvision, and COCO's evaluation, whose package does not build. Where they are absent and MMPose is imported, a
stand-in takes their place; it is gone from Python's modules afterwards, so that nobody else takes it for the package.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from pcan_pose.errors import MissingDependencyError

_OPTIONAL = (
    "mmcv._ext",
    "mmdet",
    "mmdet.utils",
    "torchvision",
    "torchvision.transforms",
    "xtcocotools",
    "xtcocotools.coco",
    "xtcocotools.cocoeval",
    "xtcocotools.mask",
)


@contextmanager
def stand_ins() -> Iterator[list[str]]:
    """Return a context in which absent packages can be imported; the list fills with the names of those that were."""
    finder = _Finder()
    # At the end: what is installed is found before.
    sys.meta_path.append(finder)
    try:
        yield finder.made
    finally:
        sys.meta_path.remove(finder)
        for name in finder.made:
            module = sys.modules.pop(name)
            parent, _, child = name.rpartition(".")
            if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
                delattr(sys.modules[parent], child)


def import_mmpose() -> None:
    """Return nothing; import MMPose's models and datasets, which register themselves by name.

    Raises:
        ImportError: If something is absent that has no stand-in.
    """
    with stand_ins(), warnings.catch_warnings():
        # They concern what is absent, and torch functions that MMPose's dependencies should no longer use.
        warnings.simplefilter("ignore")
        import mmpose.apis
        import mmpose.datasets
        import mmpose.models  # noqa: F401


class _Finder(MetaPathFinder, Loader):
    def __init__(self) -> None:
        self.made: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname in _OPTIONAL else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        self.made.append(module.__name__)


class _StandIn(ModuleType):
    """A module that has every name; what the name stands for can be imported and annotated with, not used."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        where = f"{self.__name__}.{name}"

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise MissingDependencyError(
                f"this configuration of MMPose uses {where}, which is not installed; install the package "
                f"{self.__name__.partition('.')[0]!r} as MMPose's own documentation says, or choose another model."
            )

        return type(name, (), {"__new__": refuse})
