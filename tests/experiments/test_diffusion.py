"""The experiment on diffusion MRI runs, in its quick form."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[2] / "examples" / "experiments"


def test_anisotropy_is_told_by_all_networks(experiment: Callable[..., str], tmp_path: Path, data_dir: Path) -> None:
    for package in ("monai", "nibabel", "dipy", "matplotlib"):
        pytest.importorskip(package)
    folders = ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))
    experiment("diffusion.py", "--quick", "--root", str(data_dir / "dwi"), *folders)
    with (tmp_path / "results" / "diffusion.csv").open() as file:
        rows = {(row["network"], row["condition"]): float(row["mae"]) for row in csv.DictReader(file)}
    assert len(rows) == 5 * 8 - 2  # the plain network on channels takes eight directions
    for name in ("ours", "dipy, tensor fit"):
        assert rows[name, "order shuffled"] == pytest.approx(rows[name, "as trained"], abs=1e-4)
    page = (tmp_path / "results" / "diffusion.md").read_text()
    for line in ("| ours |", "cannot", "There is one head only"):
        assert line in page
    assert (tmp_path / "results" / "diffusion.png").is_file()


def test_memory_is_measured(tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux's account of a process")
    pytest.importorskip("nibabel")
    pytest.importorskip("monai")
    pytest.importorskip("matplotlib")
    # In a process of its own, whose memory is its own.
    command = [sys.executable, str(EXPERIMENTS / "diffusion.py"), "--quick", "--part", "memory", "--results", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "| training step |" in (tmp_path / "diffusion_memory.md").read_text()


def test_pictures_are_drawn(experiment: Callable[..., str], tmp_path: Path) -> None:
    for package in ("nibabel", "dipy", "matplotlib"):
        pytest.importorskip(package)
    experiment("diffusion_pictures.py", "--results", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diffusion_dilations.png", "diffusion_phantom.png"]
