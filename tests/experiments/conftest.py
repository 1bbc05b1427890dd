"""Runs an experiment in this process: a process for each would import torch and MONAI thirty times."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

EXPERIMENTS = Path(__file__).resolve().parents[2] / "examples" / "experiments"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Runs `python examples/experiments/name words`, and returns what it prints."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    threads = torch.get_num_threads()

    def run(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            runpy.run_path(str(EXPERIMENTS / name), run_name="__main__")
        return printed.getvalue()

    yield run
    torch.set_num_threads(threads)
