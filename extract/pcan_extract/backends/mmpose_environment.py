"""Whether MMPose can run here, and the command that mends it."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

VERSION = "1.3.2"
"""The release of MMPose that this backend is tested with; the last one there is."""

INSTALL_EXTRA = "pip install 'pcan-pose[mmpose]'"
INSTALL_MMPOSE = f"pip install --no-deps mmpose=={VERSION}"

# What MMPose imports beside pcan-pose's own dependencies, and the distribution that brings it.
_MODULES = {
    "mmengine": "onedl-mmengine",
    "mmcv": "onedl-mmcv",
    "json_tricks": "json-tricks",
    "munkres": "munkres",
    "scipy": "scipy",
    "six": "six",
    "cv2": "opencv-python",
}


def missing_packages() -> list[str]:
    """Return what is not installed, one line a command that installs it; empty if MMPose can be imported."""
    faults = []
    absent = [name for module, name in _MODULES.items() if importlib.util.find_spec(module) is None]
    if importlib.util.find_spec("torch") is None:
        faults.append("torch is not installed; run pip install torch.")
    if absent:
        faults.append(f"{', '.join(absent)}: not installed; run {INSTALL_EXTRA}.")
    if importlib.util.find_spec("mmpose") is None:
        faults.append(
            f"mmpose is not installed; run {INSTALL_MMPOSE} (with --no-deps, because two of its requirements, chumpy "
            "and xtcocotools, do not build and are not needed)."
        )
    return faults


def mmpose_version() -> str:
    """Return the installed release of MMPose."""
    try:
        return version("mmpose")
    except PackageNotFoundError:  # A source tree on the path has no metadata.
        import mmpose.version

        return str(mmpose.version.__version__)


def check_environment() -> list[str]:
    """Return what keeps MMPose from running, each with the command that mends it; empty if nothing does.

    Beside what is absent it finds packages that are there and fail to import. MMPose is imported, which takes seconds.
    """
    faults = missing_packages()
    if faults:
        return faults
    from pcan_extract.backends.mmpose_stubs import import_mmpose

    found = mmpose_version()
    if not found.startswith("1."):
        return [f"mmpose {found} is installed, whose interface is another one; run {INSTALL_MMPOSE}."]
    try:
        import_mmpose()
    except Exception as error:  # Whatever a broken installation raises is the finding.
        told = " ".join(str(error).split())
        return [
            f"mmpose {found} does not import ({type(error).__name__}: {told}); the versions that work together come "
            f"with {INSTALL_EXTRA} && {INSTALL_MMPOSE}."
        ]
    return []
