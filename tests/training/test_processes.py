"""Two processes learn what one process learns from batches twice as large."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import SequentialSampler

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.training import Segmentation
from scalegroup.training.cli import main
from scalegroup.training.datamodule import _Share
from scalegroup.training.loss import DiceCE


def words(phantoms: Any, out: Path, **given: str) -> list[str]:
    counts = {"data.train": "2", "data.validation": "1", "data.test": "1"}
    # Instance norm: the statistics of a batch norm would be those of each process. No biases: before a norm their
    # gradient is zero but for rounding, of which Adam makes steps of full size.
    options = "{num_scales: 3, order: 1, first: 0, train_scales: 2, bias: false}"
    model = {"model": "scale", "model.channels": "[2,4]", "model.strides": "[2]", "model.norm": "instance"}
    training = {"trainer.max_epochs": "2", "trainer.validate_every": "1", "trainer.accelerator": "cpu"}
    named = {"data": phantoms.name, "data.root": str(phantoms.root), **counts, **model, "model.options": options}
    named |= {**training, "out": str(out), **{f"trainer.{name}": value for name, value in given.items()}}
    return ["fit", *(word for name, value in named.items() for word in (f"--{name}", value))]


def test_two_processes_learn_what_one_does(phantoms: Any, tmp_path: Path) -> None:
    main(words(phantoms, tmp_path / "one", batch_size="2"))
    two = words(phantoms, tmp_path / "two", batch_size="1", devices="2", strategy="ddp")
    done = subprocess.run(
        [sys.executable, "-m", "scalegroup", *two], capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best checkpoint") == 1
    tables = []
    for name in ("one", "two"):
        with (tmp_path / name / "metrics.csv").open() as file:
            tables.append([[float(cell) for cell in row.values()] for row in csv.DictReader(file)])
    torch.testing.assert_close(torch.tensor(tables[1]), torch.tensor(tables[0]), rtol=0, atol=2e-5)
    weights = [Segmentation.load(tmp_path / name / "last.ckpt").state_dict() for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-5, atol=1e-6)
    assert tables[0][0][1] != tables[0][1][1], "nothing was learned"


def test_the_loss_of_a_batch_is_not_the_mean_of_its_parts() -> None:
    # Else the sums over all processes would be for nothing.
    logits, label = torch.randn(2, 3, 6, 6, 6), torch.zeros(2, 1, 6, 6, 6)
    label[0, 0, :3], label[1, 0, :1] = 1, 2
    loss = DiceCE()
    parts = [float(loss(logits[i : i + 1], label[i : i + 1])) for i in range(2)]
    assert abs(float(loss(logits, label)) - sum(parts) / 2) > 1e-2


@pytest.mark.parametrize(("cases", "processes", "batch"), [(8, 2, 2), (9, 3, 1), (5, 2, 1)])
def test_shares_make_the_batches_of_one_process(cases: int, processes: int, batch: int) -> None:
    order = SequentialSampler(range(cases))
    shares = [list(_Share(order, rank, processes)) for rank in range(processes)]
    assert {len(share) for share in shares} == {len(_Share(order, 0, processes))}
    assert set().union(*shares) == set(range(cases))
    whole = list(range(cases)) + list(range(-cases % processes))
    for step in range(len(shares[0]) // batch):
        together = sorted(case for share in shares for case in share[step * batch : (step + 1) * batch])
        assert together == sorted(whole[step * batch * processes : (step + 1) * batch * processes])
    assert list(_Share(order, 0, 1)) == list(order)
