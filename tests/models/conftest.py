"""Imports torch-geometric once, before warnings are errors: its import calls functions that torch deprecates."""

import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import torch_geometric.nn
    import torch_geometric.transforms  # noqa: F401


@pytest.fixture(autouse=True)
def _one_thread_one_seed(_few_threads: None) -> None:
    """Keep torch to one thread: layers this small only wait for a second one."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
