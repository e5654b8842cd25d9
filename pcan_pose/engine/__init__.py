"""Training, testing, checkpoints and processes."""
