"""A clip with its keypoints, and what all clips of a set share.

Shapes: M persons, T frames, V joints, C coordinates (2 in pixels or 3 in metres).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError
from pcan_pose.skeleton import Skeleton, skeleton
from pcan_pose.taxonomy import Taxonomy

SCHEMA_VERSION = "1"
_PREFIX = "pcan_pose."


@dataclass(frozen=True)
class Header:
    """What all clips of a set share.

    Args:
        layout: Name of the skeleton layout.
        dims: Coordinates of a keypoint: 2 (pixels) or 3 (metres).
        estimator: What made the keypoints, with its version.
        taxonomy: The labels' action tree; None for a set without labels.
        extra: Further facts that travel with the set, such as its licence.
    """

    layout: str
    dims: int
    estimator: str
    taxonomy: Taxonomy | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def skeleton(self) -> Skeleton:
        """The layout's skeleton."""
        return skeleton(self.layout)

    def to_metadata(self) -> dict[str, str]:
        """Return the header as Parquet metadata."""
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "layout": self.layout,
            "dims": str(self.dims),
            "estimator": self.estimator,
            **{f"extra.{key}": value for key, value in sorted(self.extra.items())},
        }
        if self.taxonomy is not None:
            metadata["taxonomy"] = self.taxonomy.to_json()
        return {_PREFIX + key: value for key, value in metadata.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, where: object) -> "Header":
        """Return the header of Parquet metadata.

        Raises:
            DataError: If the metadata is not a keypoint set's, or of another schema version.
        """
        prefix = _PREFIX.encode()
        raw = {key.removeprefix(prefix): value for key, value in (metadata or {}).items() if key.startswith(prefix)}
        own = {key.decode(): value.decode() for key, value in raw.items()}
        if not {"schema_version", "layout", "dims", "estimator"} <= own.keys():
            raise DataError(
                f"{where}: not a keypoint shard; make keypoint sets with 'pcan-pose data import' or 'extract'."
            )
        version = own["schema_version"]
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{where}: schema version {version}, this release reads {SCHEMA_VERSION}; upgrade pcan-pose."
            )
        if own["dims"] not in ("2", "3"):
            raise DataError(f"{where}: keypoints in {own['dims']} dimensions, expected 2 or 3; make the set again.")
        return cls(
            layout=own["layout"],
            dims=int(own["dims"]),
            estimator=own["estimator"],
            taxonomy=Taxonomy.from_json(own["taxonomy"]) if "taxonomy" in own else None,
            extra={key.removeprefix("extra."): value for key, value in own.items() if key.startswith("extra.")},
        )


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip.

    Args:
        clip_id: Unique name.
        keypoints: float32 (M, T, V, C), pixels (C = 2) or metres (C = 3).
        scores: float32 (M, T, V) in [0, 1]; 0 says that the joint was not found.
        splits: Names of the splits that the clip is in.
        label: Action, or None if unknown.
        subject: Who is seen, or None.
        fps: Frames a second, or None.
        width: Width of the picture in pixels, or None.
        height: Height of the picture in pixels, or None.
        source: Where it came from, or None.
    """

    clip_id: str
    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    splits: tuple[str, ...] = ()
    label: int | None = None
    subject: str | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    source: str | None = None
