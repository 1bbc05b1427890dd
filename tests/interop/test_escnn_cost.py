"""The example that compares our convolution with escnn's runs in its quick form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("escnn")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "experiments" / "escnn_cost.py"


def test_costs_are_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "--quick", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "escnn_cost.md").read_text()
    for fields in ("SO(3), irreps 0, 1, 2", "octahedral, regular"):
        for layer in ("R3Conv", "GroupConv, one scale, order 2"):
            assert f"| {fields} | {layer}" in page
