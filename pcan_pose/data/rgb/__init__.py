"""Clips as RGB crops: boxes around people, batches of stored pictures, and augmentations on the device."""
