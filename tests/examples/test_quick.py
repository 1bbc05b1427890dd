"""The examples run from their own first line, in their quick form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One example in a process of its own."""
    command = [sys.executable, str(ROOT / "examples" / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def test_accuracy_prints_and_writes_its_tables(tmp_path: Path) -> None:
    done = run("accuracy.py", "--quick", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "accuracy.md").read_text()
    for line in ("lifting, order 2, sigma 1.0", "ours, defaults", "forward + backward"):
        assert line in done.stdout
        assert line in page


def test_recipes_are_compared(tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("monai")
    root = data_dir / "Task04_Hippocampus"
    folders = ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))
    done = run("recipes.py", "--quick", "--root", str(root), *folders)
    assert done.returncode == 0, done.stderr
    assert "one scale" in (tmp_path / "results" / "recipes.md").read_text()


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    done = run("recipes.py", "--quick", "--root", str(tmp_path / "nothing"))
    assert done.returncode != 0
    assert "nothing" in done.stderr
