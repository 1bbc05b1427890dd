"""The experiments run, in their quick form."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from scalegroup.errors import ScaleGroupError


def folders(tmp_path: Path) -> tuple[str, ...]:
    """Where an example keeps its runs and its results."""
    return ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))


def times(tmp_path: Path, name: str) -> dict[Path, int]:
    """When each file of this name was last written, of those that the runs keep."""
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob(name)}


def test_accuracy_prints_and_writes_its_tables(experiment: Callable[..., str], tmp_path: Path) -> None:
    printed = experiment("accuracy.py", "--quick", "--results", str(tmp_path))
    page = (tmp_path / "accuracy.md").read_text()
    for line in ("lifting, order 2, sigma 1.0", "lifting, order 2, sigma 1.0, spectral", "ours, defaults"):
        assert line in printed
        assert line in page


@pytest.mark.parametrize(
    ("part", "line"), [("equivariance", "ScaleChannels(monai UNet), ReLU | torus"), ("cost", "MONAI's U-Net |")]
)
def test_haar_grids_are_measured(experiment: Callable[..., str], part: str, line: str, tmp_path: Path) -> None:
    pytest.importorskip("monai")
    experiment("haar.py", "--quick", "--part", part, "--results", str(tmp_path))
    assert line in (tmp_path / f"haar_{part}.md").read_text()


def test_recipes_are_compared(experiment: Callable[..., str], tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("monai")
    root = data_dir / "Task04_Hippocampus"
    experiment("recipes.py", "--quick", "--seeds", "0", "--root", str(root), *folders(tmp_path))
    assert "one scale" in (tmp_path / "results" / "recipes.md").read_text()


@pytest.mark.usefixtures("experiment")  # puts the experiments on the path
def test_recipes_of_other_numbers_of_scans_are_left_out() -> None:
    pytest.importorskip("monai")
    recipes, pages = import_module("recipes"), import_module("poster_page")
    measured = [
        pages.Measured("default", count, 0, "proportional", factor, "mean", 7, 1.0, (dice,), ("a",))
        for count, dice in ((2, 0.1), (10, 0.8))
        for factor in recipes.FACTORS
    ]
    assert "the default, mean | 7 | 1 | .800 |" in recipes.page(measured, 10)


def test_the_posters_experiments_go_on_where_they_were(
    experiment: Callable[..., str], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("monai")
    words = ("--quick", "--data.root", str(data_dir / "Task04_Hippocampus"), *folders(tmp_path))
    experiment("poster.py", *words, "--networks", "plain, zoom")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.csv")}
    assert len(kept) == 1
    experiment("poster.py", *words, "--networks", "plain", "plain, zoom", "ours")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    with pytest.raises(ScaleGroupError, match="the settings of the runs in"):
        experiment("poster.py", *words, "--patch", "8", "8", "8")
    page = (tmp_path / "results" / "poster_hippocampus.md").read_text()
    for line in ("ours, mean |", "ours, confidence − MONAI's U-Net, zoom |", "N = 2, fixed canvas", "(**missed**)"):
        assert line in page
    with (tmp_path / "results" / "poster_hippocampus.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Two networks by one projection, one by two; six factors on two canvases, which are the same at factor 1.
    assert len(rows) == 4 * 11
    assert {len(row["dice"].split()) for row in rows} == {2}
    assert all((tmp_path / "results" / f"poster_hippocampus_{name}.png").is_file() for name in ("counts", "factors"))


def test_the_poster_takes_brats_in_patches(experiment: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("monai")
    from scalegroup.data import write_phantoms

    root = write_phantoms(tmp_path / "brats", range(1, 6), size=16)
    words = ("--quick", "--data", "brats", "--data.root", str(root), "--patch", "8", "8", "8", "--networks", "ours")
    experiment("poster.py", *words, *folders(tmp_path))
    assert "ours, confidence |" in (tmp_path / "results" / "poster_brats.md").read_text()


def test_spacing_prints_its_table(experiment: Callable[..., str]) -> None:
    printed = experiment("spacing.py")
    lines = [line for line in printed.splitlines()[2:] if "max" not in line]
    assert len(lines) == 5
    for line in lines:
        told, told_too, untold = (float(value) for value in line.split("|")[2:5])
        assert max(told, told_too) < 0.01 * untold, line


def test_scale_channels_are_trained_tested_and_kept(
    experiment: Callable[..., str], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("monai")
    few = ("--quick", "--counts", "2", "--seeds", "0", "--epochs", "1", "--networks", "plain", "ours")
    words = (*few, "--root", str(data_dir / "Task04_Hippocampus"), *folders(tmp_path))
    experiment("scale_channels.py", *words)
    page = (tmp_path / "results" / "scale_channels.md").read_text()
    for line in ("MONAI's U-Net |", "moved by confidence", "object replaced", "over plain", "Fixed canvas"):
        assert line in page
    with (tmp_path / "results" / "scale_channels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["choice"] for row in rows} == {"none", "weighted", "confidence", "head", "known", "spacing", "ideal"}
    # With the spacing known, the grids of the rescaled scan are those of the scan itself.
    half = [row for row in rows if row["choice"] == "spacing" and row["factor"] == "0.5"]
    assert [row["voxels"] for row in half] == ["1.0000"]
    trained = times(tmp_path, "test.csv")
    assert len(trained) == 2
    experiment("scale_channels.py", *words)
    assert times(tmp_path, "test.csv") == trained


def test_choices_are_compared(experiment: Callable[..., str], tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("monai")
    experiment(
        "scale_channels_choices.py", "--quick", "--root", str(data_dir / "Task04_Hippocampus"), *folders(tmp_path)
    )
    page = (tmp_path / "results" / "scale_channels_choices.md").read_text()
    for line in ("admissible", "agreement of the window's scales", "-4 … 5, volume_confidence", "phases at random"):
        assert line in page


def test_resolution_transfer_is_measured_and_kept(
    experiment: Callable[..., str], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("monai")
    words = ("--quick", "--seeds", "0", "--root", str(data_dir / "medmnist"), *folders(tmp_path))
    experiment("resolution_transfer.py", *words)
    page = (tmp_path / "results" / "resolution_transfer.md").read_text()
    for line in ("ours, with the true spacing |", "volume resampled to 28³ |", "| | 20³ | 28³ | 40³ |"):
        assert line in page
    with (tmp_path / "results" / "resolution_transfer.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    # At 28³ all ways of testing a network are one.
    measured = {(row["method"], row["size"]): row["auc"] for row in rows}
    assert measured["ours, with the true spacing", "28"] == measured["ours, without spacing", "28"]
    trained = times(tmp_path, "predictions.csv")
    assert len(trained) == 3
    experiment("resolution_transfer.py", *words)
    assert times(tmp_path, "predictions.csv") == trained


def test_mnist_scale_is_trained_and_says_that_it_is_short(
    experiment: Callable[..., str], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("monai")
    experiment("mnist_scale.py", "--quick", "--root", str(data_dir / "mnist"), *folders(tmp_path))
    page = (tmp_path / "results" / "mnist_scale.md").read_text()
    for line in ("plain CNN of the same layers |", "**shortened**: 1 epochs, 1 realisation", "This is a shortened run"):
        assert line in page


def test_a_missing_data_set_is_named(experiment: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("monai")
    with pytest.raises(ScaleGroupError, match="nothing"):
        experiment("recipes.py", "--quick", "--root", str(tmp_path / "nothing"))
