"""The example of diffusion MRI runs from its own first line, in its quick form."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "experiments"


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One example in a process of its own."""
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def test_anisotropy_is_told_by_all_networks(tmp_path: Path, data_dir: Path) -> None:
    for package in ("monai", "nibabel", "dipy", "matplotlib"):
        pytest.importorskip(package)
    folders = ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))
    done = run("diffusion.py", "--quick", "--root", str(data_dir / "dwi"), *folders)
    assert done.returncode == 0, done.stderr
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
    done = run("diffusion.py", "--quick", "--part", "memory", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "| training step |" in (tmp_path / "diffusion_memory.md").read_text()


def test_pictures_are_drawn(tmp_path: Path) -> None:
    for package in ("nibabel", "dipy", "matplotlib"):
        pytest.importorskip(package)
    done = run("diffusion_pictures.py", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diffusion_dilations.png", "diffusion_phantom.png"]
