"""Encoders of RGB clips."""
