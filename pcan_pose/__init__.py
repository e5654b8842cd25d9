"""Skeleton-based micro-action recognition with PCAN's prototypical calibration.

Importing the package imports neither torch nor torch-geometric; reach for the modules that you need, for
example ``pcan_pose.keypoints``, ``pcan_pose.models.recognizer`` or ``pcan_pose.metrics``.
"""

__version__ = "0.1.0"
