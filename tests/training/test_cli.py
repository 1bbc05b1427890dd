"""The command line, as a user types it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.training.cli import main
from scalegroup.training.evaluate import DiceRow
from scalegroup.training.report import dice_rows, markdown_table, read_dice_rows, write_csv

TINY = ["--model.channels", "[2,4]", "--model.strides", "[2]", "--model.num_res_units", "0"]


def words(data: Any, out: Path, model: str = "plain") -> list[str]:
    counts = ["--data.train", "2", "--data.validation", "1", "--data.test", "1"]
    run = ["--trainer.max_epochs", "1", "--out", str(out)]
    return ["fit", "--data", data.name, "--data.root", str(data.root), *counts, "--model", model, *TINY, *run]


def test_fit_then_test(phantoms: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(words(phantoms, tmp_path / "run"))
    best = tmp_path / "run" / "best.ckpt"
    assert best.is_file()
    main(["test", "--ckpt", str(best), "--scales", "[0.8,1.0]"])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("core", "oedema", "enhancing", "mean", "0.8"))
    with (tmp_path / "run" / "test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3
    assert list(rows[0]) == ["scale", "case", "label", "dice"]


def test_any_network_on_the_grids_of_all_scales(
    phantoms: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model.options", "{num_scales: 2, first: 0, train_scales: 1}"]
    main([*words(phantoms, tmp_path, "channels"), *options, "--trainer.zoom", "[0.8,1.2]"])
    main(["test", "--ckpt", str(tmp_path / "best.ckpt"), "--scales", "[1.0]", "--num_scales", "3", "--first", "-1"])
    assert "enhancing" in capsys.readouterr().out


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--data", "hippocampus", "--data.root", str(tmp_path)])
    shown = capsys.readouterr().err
    assert shown.startswith("scalegroup: expected a Decathlon task, received no file")
    assert shown.count("\n") == 1


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--data", "elephants", "--data.root", "."])
    assert "hippocampus" in capsys.readouterr().err


def test_help_explains_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    shown = capsys.readouterr().out
    assert "--data.root" in shown
    assert "number of training cases" in shown


def test_csv_and_markdown(tmp_path: Path) -> None:
    rows = [DiceRow(0.7, "a", "x", 0.25), DiceRow(1.0, "a", "x", 0.5)]
    write_csv(tmp_path / "new" / "rows.csv", dice_rows(rows, model="plain"))
    assert read_dice_rows(tmp_path / "new" / "rows.csv") == rows
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["rows.csv"]
    assert markdown_table({"x": {0.7: 0.25}}).splitlines()[-1] == "| x | 0.250 |"
