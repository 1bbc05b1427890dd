"""The command line, as a user types it."""

from __future__ import annotations

import csv
import re
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.errors import ScaleGroupError
from scalegroup.training import DataConfig, ModelConfig, Segmentation, TrainerConfig, commands
from scalegroup.training.cli import COMMANDS, main
from scalegroup.training.evaluate import DiceRow
from scalegroup.training.report import dice_rows, markdown_table, read_dice_rows, write_csv

CONFIGS = sorted((Path(__file__).parents[2] / "examples" / "configs").glob("*.yaml"))
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


def test_validate_follows_the_checkpoint(phantoms: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*words(phantoms, tmp_path), "--trainer.max_epochs", "2", "--trainer.validate_every", "1"])
    with (tmp_path / "metrics.csv").open() as file:
        best = max(float(row["val_dice"]) for row in csv.DictReader(file))
    capsys.readouterr()
    main(["validate", "--ckpt", str(tmp_path / "best.ckpt")])
    assert f"mean {best:.3f}" in re.sub(" +", " ", capsys.readouterr().out)


def test_lightnings_options_are_reached(phantoms: Any, tmp_path: Path) -> None:
    options = ["--trainer.precision", "bf16-mixed", "--trainer.gradient_clip_val", "0.5", "--trainer.logger", "true"]
    callback = ["--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks.logging_interval=epoch"]
    main([*words(phantoms, tmp_path / "run"), *options, *callback])
    lightning = Segmentation.load(tmp_path / "run" / "best.ckpt").trainer_config.lightning
    assert lightning == {"precision": "bf16-mixed", "gradient_clip_val": 0.5, "logger": True, "callbacks": "list"}
    # Without tensorboard Lightning logs to CSV files.
    assert list((tmp_path / "run").glob("lightning_logs/version_0/*"))
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["trainer"]["precision"] == "bf16-mixed"
    assert config["trainer"]["callbacks"][0]["class_path"].endswith("LearningRateMonitor")


def test_a_run_is_repeated_by_its_config(phantoms: Any, tmp_path: Path) -> None:
    main([*words(phantoms, tmp_path / "a"), "--trainer.zoom", "[0.9,1.1]", "--resume", "false"])
    main(["fit", "--config", str(tmp_path / "a" / "config.yaml"), "--out", str(tmp_path / "b")])
    weights = [Segmentation.load(tmp_path / name / "last.ckpt").state_dict() for name in "ab"]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[DataConfig, ModelConfig, TrainerConfig]] = []

    @wraps(commands.fit)
    def fit(data: DataConfig, model: ModelConfig, trainer: TrainerConfig, **_: Any) -> None:
        seen.append((data, model, trainer))

    monkeypatch.setitem(COMMANDS, "fit", fit)
    main(["fit", "--config", str(path), "--trainer.max_epochs", "7"])
    ((data, model, trainer),) = seen
    said = yaml.safe_load(path.read_text())
    assert data.name == said["data"]["name"]
    assert model.channels == tuple(said["model"]["channels"])
    assert trainer.max_epochs == 7
    known = {name: value for name, value in said["trainer"].items() if name in ("precision", "gradient_clip_val")}
    assert trainer.lightning == known


def test_there_are_configs_for_all_layouts() -> None:
    assert {path.stem for path in CONFIGS} == {"brats", "hippocampus", "hippocampus-plain", "table"}


def test_the_hippocampus_config_trains(data_dir: Path, tmp_path: Path) -> None:
    small = ["--data.train", "2", "--data.validation", "1", "--model.channels", "[2,4]", "--model.strides", "[2]"]
    root, out = str(data_dir / "Task04_Hippocampus"), str(tmp_path)
    options = ["--model.options", "{num_scales: 2, first: 0, train_scales: 1}", "--trainer.max_epochs", "1"]
    path = next(path for path in CONFIGS if path.stem == "hippocampus")
    main(["fit", "--config", str(path), "--data.root", root, *small, *options, "--out", out])
    assert (tmp_path / "best.ckpt").is_file()


def test_wrong_settings_of_lightning_are_named() -> None:
    with pytest.raises(ScaleGroupError, match=r"arguments of Lightning's Trainer .*received \['max_epochs'\]"):
        TrainerConfig(lightning={"max_epochs": 3})


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
    for option in (
        "model.channels",
        "trainer.zoom",
        "trainer.precision",
        "trainer.strategy",
        "trainer.gradient_clip_val",
    ):
        assert f"--{option}" in shown
    assert "--trainer.fast_dev_run" not in shown  # it would leave no checkpoint


def test_csv_and_markdown(tmp_path: Path) -> None:
    rows = [DiceRow(0.7, "a", "x", 0.25), DiceRow(1.0, "a", "x", 0.5)]
    write_csv(tmp_path / "new" / "rows.csv", dice_rows(rows, model="plain"))
    assert read_dice_rows(tmp_path / "new" / "rows.csv") == rows
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["rows.csv"]
    assert markdown_table({"x": {0.7: 0.25}}).splitlines()[-1] == "| x | 0.250 |"
