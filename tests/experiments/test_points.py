"""The experiments on point clouds run, in their quick form."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the extra 'viz'")
pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("escnn", reason="needs the extra 'escnn'")

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One example in a process of its own, in which warnings are errors as everywhere here."""
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "experiments" / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_brain_structures_are_told_apart_and_steps_are_timed(tmp_path: Path, data_dir: Path) -> None:
    words = ("--quick", "--root", str(data_dir / "brainshapes"), "--runs", str(tmp_path / "runs"))
    done = run("points.py", *words, "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["arm"] for row in rows} >= {"ours, mm", "ours, relative", "DGCNN, normalised clouds"}
    assert {row["test"] for row in rows} >= {"0.5", "1", "2", "random", "turned"}
    page = (tmp_path / "points.md").read_text()
    assert "| DGCNN, mm |" in page
    assert "time ~ points^" in page
    assert (tmp_path / "points.png").stat().st_size > 10_000


def test_pictures_are_drawn(tmp_path: Path, data_dir: Path) -> None:
    done = run("points_pictures.py", "--root", str(data_dir / "brainshapes"), "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"points_clouds.png", "points_fields.png"}
