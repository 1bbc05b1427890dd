"""The experiments on point clouds run, in their quick form."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the extra 'viz'")
pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("escnn", reason="needs the extra 'escnn'")


def test_brain_structures_are_told_apart_and_steps_are_timed(
    experiment: Callable[..., str], tmp_path: Path, data_dir: Path
) -> None:
    words = ("--quick", "--root", str(data_dir / "brainshapes"), "--runs", str(tmp_path / "runs"))
    experiment("points.py", *words, "--results", str(tmp_path))
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["arm"] for row in rows} >= {"ours, mm", "ours, relative", "DGCNN, normalised clouds"}
    assert {row["test"] for row in rows} >= {"0.5", "1", "2", "random", "turned"}
    page = (tmp_path / "points.md").read_text()
    assert "| DGCNN, mm |" in page
    assert "time ~ points^" in page
    assert (tmp_path / "points.png").stat().st_size > 10_000


def test_the_picture_is_drawn(experiment: Callable[..., str], tmp_path: Path, data_dir: Path) -> None:
    experiment("points_pictures.py", "--root", str(data_dir / "brainshapes"), "--results", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"points_clouds.png"}
