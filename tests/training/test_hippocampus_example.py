"""The example runs, leaves its tables, and does not repeat what is done."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

ROOT = Path(__file__).resolve().parents[2]


def run(data_dir: Path, out: Path) -> str:
    words = ["--quick", "--seeds", "0", "--root", str(data_dir / "Task04_Hippocampus")]
    words += ["--runs", str(out / "runs"), "--results", str(out / "results")]
    command = [sys.executable, str(ROOT / "examples" / "hippocampus.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quick(data_dir: Path, tmp_path: Path) -> None:
    assert "plain (MONAI): Posterior" in run(data_dir, tmp_path)
    page = (tmp_path / "results" / "hippocampus.md").read_text()
    assert "| test scale | 0.7 | 0.8 | 0.9 | 1 | 1.2 | 1.5 |" in page
    assert (tmp_path / "results" / "hippocampus.csv").read_text().startswith("model,seed,scale,case,label,dice\n")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("test.csv")}
    assert len(written) == 2
    time.sleep(0.01)
    run(data_dir, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert (tmp_path / "results" / "hippocampus.md").read_text() == page
