"""Keypoints as tensors: ragged clips on the device, streams, augmentations, and the simulator."""
