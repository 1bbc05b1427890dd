"""The experiments on rotations run, in their quick form."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def test_networks_are_trained_tested_and_kept(experiment: Callable[..., str], tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("monai")
    folders = ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))
    words = ("--quick", "--root", str(data_dir / "medmnist"), "--networks", "plain, augmented", "Sim(3)", *folders)
    experiment("similarity.py", *words)
    page = (tmp_path / "results" / "similarity.md").read_text()
    for line in (
        "| | as it is | turned by 90° |",
        "Sim(3) minus each other network",
        "minutes of one core per training",
    ):
        assert line in page
    with (tmp_path / "results" / "similarity.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 6
    areas = {row["move"]: row["auc"] for row in rows if row["network"] == "Sim(3)"}
    assert areas["as it is"] == areas["turned by 90°"]  # the order of the glands stays, to the last digit
    assert all((tmp_path / "results" / f"similarity{name}.png").is_file() for name in ("", "_moves"))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("predictions.csv")}
    assert len(kept) == 2
    experiment("similarity.py", *words)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.fixture
def similarity(experiment: Callable[..., str]) -> Any:
    """The experiment as a module; the other fixture has put it on the path."""
    pytest.importorskip("monai")
    return import_module("similarity")


def test_a_quarter_turn_moves_voxels_only(similarity: Any) -> None:
    volume = np.random.default_rng(0).random((28, 28, 28)).astype(np.float32)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = similarity.moved(volume, quarter, 1.0)[6:34, 6:34, 6:34]
    assert np.array_equal(turned, np.rot90(volume, 1, (0, 1)))  # e_0 goes to e_1
    assert not np.array_equal(turned, volume)


def test_factors_and_rotations_are_those_that_are_named(similarity: Any) -> None:
    rng = np.random.default_rng(0)
    for name in similarity.MOVES:
        rotation, factor = similarity.draw_move(name, rng)
        assert np.allclose(rotation @ rotation.T, np.eye(3))
        assert np.linalg.det(rotation) > 0
        assert np.allclose(rotation, np.eye(3)) == ("turned" not in name)
        assert np.allclose(rotation, rotation.round(), atol=1e-9) == (
            name != "turned" and name != "turned and rescaled"
        )
        assert factor == {"0.7 times as large": 0.7, "1.4 times as large": 1.4}.get(name, factor)
        assert (factor == 1) == (name in ("as it is", "turned by 90°", "turned"))


def test_figures_on_rotations(experiment: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("escnn")
    experiment("rotations.py", "--quick", "--results", str(tmp_path))
    row = next(line for line in (tmp_path / "rotations.md").read_text().splitlines() if line.startswith("| so3 | 1.4"))
    quarter, mirrored, turned, scaled = (float(cell) for cell in row.split("|")[3:7])
    assert quarter < 1e-10
    assert mirrored > 1e-2
    assert max(turned, scaled) < 5e-3
    assert all((tmp_path / f"rotations_{name}.png").is_file() for name in ("kernels", "field"))
