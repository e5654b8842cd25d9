"""Encoders and the hierarchical prototype head."""
