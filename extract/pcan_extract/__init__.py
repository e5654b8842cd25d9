"""Extraction: videos of people in, keypoint sets out.

Imports nothing above `pcan_pose`'s floor 0, so that it runs where neither torch nor torch-geometric is installed.
"""
