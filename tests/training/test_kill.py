"""A run that is killed in the middle of an epoch ends, when it is started again, with the weights it would have had."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.training import Segmentation
from scalegroup.training.cli import main
from scalegroup.training.files import WholeCheckpoints, replacing

OPTIONS = {
    "data.train": "2",
    "data.validation": "1",
    "data.test": "1",
    "model.channels": "[2,4]",
    "model.strides": "[2]",
    "model.options": "{num_scales: 3, order: 1, first: 0, train_scales: 1, dropout: 0.2}",
    "trainer.max_epochs": "4",
    "trainer.validate_every": "1",
    "trainer.batch_size": "1",
    "trainer.patch": "[8,8,8]",
    "trainer.mirror": "[0,1]",
    "trainer.zoom": "[0.8,1.25]",
}


def words(phantoms: Any, out: Path) -> list[str]:
    given = {"data": phantoms.name, "data.root": str(phantoms.root), "model": "scale", **OPTIONS, "out": str(out)}
    return ["fit", *(word for name, value in given.items() for word in (f"--{name}", value))]


def epochs(out: Path) -> list[str]:
    with (out / "metrics.csv").open() as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def test_a_killed_run_is_the_run_it_would_have_been(phantoms: Any, tmp_path: Path) -> None:
    main(words(phantoms, tmp_path / "whole"))
    out, sign = tmp_path / "killed", tmp_path / "sign"
    pause = ["--trainer.callbacks+=pausing.Pause", "--trainer.callbacks.epoch=2", f"--trainer.callbacks.sign={sign}"]
    command = [sys.executable, "-m", "scalegroup", *words(phantoms, out), *pause]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 1200
        while not sign.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        errors = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, errors
    assert epochs(out) == ["0", "1"], "the kill was not in the third epoch"
    main(words(phantoms, out))
    assert epochs(out) == ["0", "1", "2", "3"]
    for name in ("last.ckpt", "best.ckpt"):
        weights = [Segmentation.load(folder / name).state_dict() for folder in (tmp_path / "whole", out)]
        assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
    assert (out / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["best.ckpt", "config.yaml", "last.ckpt", "metrics.csv"]


def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)
    child = os.fork()
    if child == 0:
        save = torch.save

        def half(content: Any, where: Path) -> None:
            save(content, where)
            os.truncate(where, where.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

        torch.save = half
        try:
            WholeCheckpoints().save_checkpoint({"epoch": 2}, path)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert WholeCheckpoints().load_checkpoint(path) == {"epoch": 1}
    WholeCheckpoints().save_checkpoint({"epoch": 3}, path)
    assert WholeCheckpoints().load_checkpoint(path) == {"epoch": 3}
    assert [found.name for found in tmp_path.iterdir()] == ["last.ckpt"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "a.txt") as part:
        _write_half(part)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def _write_half(part: Path) -> None:
    part.write_text("ha")
    raise OSError("the disk is full")
