"""Extractions of the short clips in this process, and what must come of them."""

from pathlib import Path

from fake_backends import FakeBackend

from pcan_extract.pipeline import extract

IDS = ["first/0000", "first/0001", "first/0002", "first/0003", "second/0004", "second/0005", "second/0006"]


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def run(videos, out, *, backend=None, **options):
    return extract(
        [videos], out, **{"backend": backend or FakeBackend(), "workers": 1, "clips_per_shard": 3, **options}
    )
