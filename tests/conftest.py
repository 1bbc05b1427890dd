"""What all tests share: one thread per worker, one seed, one Hypothesis profile, the folder with real data."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: two workers share two cores

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Deterministic: a failure seen once is seen by everybody. No deadline: CI machines are shared.
settings.register_profile(
    "scalegroup",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("scalegroup")


def pytest_runtest_setup() -> None:
    """The same random numbers for a test whatever ran before it: a failure comes back when it is run alone."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real data; the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SCALEGROUP_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SCALEGROUP_DATA to the folder that holds it")
    return folder
