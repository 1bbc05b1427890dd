"""The equivariance error that is logged while a network learns."""

from __future__ import annotations

import csv
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup import check_equivariance
from scalegroup.errors import ScaleGroupError
from scalegroup.training import ModelConfig, Segmentation, TrainerConfig, build_model, fit
from scalegroup.training.cli import main
from scalegroup.training.equivariance import EquivarianceError

OURS = ModelConfig("scale", (2, 4), (2,), options={"num_scales": 2, "order": 1, "first": 0})
PLAIN = ModelConfig("plain", (2, 4), (2,))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_value_is_that_of_the_check() -> None:
    network = build_model(OURS, 1, 2)
    found = EquivarianceError(size=20, seed=3).measure(network, 1)
    report = check_equivariance(network, size=20, seed=3, dtype=torch.float32)
    assert found == {"equivariance_error": report.per_scale, "equivariance_error_projected": report.projected}
    assert EquivarianceError(size=20, seed=4).measure(network, 1) != found


def test_plain_networks_have_only_the_projected_error() -> None:
    found = EquivarianceError(size=20).measure(build_model(PLAIN, 2, 3), 2)
    assert list(found) == ["equivariance_error_projected"]
    assert found["equivariance_error_projected"] > 0.3


def test_a_broken_network_is_noticed() -> None:
    # Instance norm would see the share of background.
    network = build_model(replace(OURS, norm="batch"), 1, 2)
    sound = EquivarianceError().measure(network, 1)["equivariance_error"]
    network.lift.register_forward_hook(lambda _, inputs, grids: tuple(grid * 3**n for n, grid in enumerate(grids)))
    assert sound < 0.01
    assert EquivarianceError().measure(network, 1)["equivariance_error"] > 0.2


def test_nothing_is_touched() -> None:
    network = build_model(OURS, 1, 2).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is looked at
    EquivarianceError(size=16).measure(network, 1)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002
    assert network.training


def test_a_run_logs_it_and_ends_with_the_same_weights(phantoms: Any, tmp_path: Path) -> None:
    config = TrainerConfig(max_epochs=3, validate_every=1, batch_size=1, patch=(8, 8, 8))
    fit(phantoms, OURS, config, tmp_path / "without")
    fit(phantoms, OURS, config, tmp_path / "with", callbacks=[EquivarianceError(every=2, size=16)])
    weights = [Segmentation.load(tmp_path / name / "last.ckpt").state_dict() for name in ("with", "without")]
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
    names = ("equivariance_error", "equivariance_error_projected")
    assert [[bool(row[name]) for name in names] for row in rows(tmp_path / "with")] == [
        [False] * 2,
        [True] * 2,
        [True] * 2,
    ]
    # The last row is the error of the last weights.
    module = Segmentation.load(tmp_path / "with" / "last.ckpt")
    found = EquivarianceError(size=16).measure(module.network, 4)
    last = rows(tmp_path / "with")[-1]
    assert all(math.isclose(float(last[name]), found[name], rel_tol=1e-3, abs_tol=1e-5) for name in names)


def test_from_the_command_line(phantoms: Any, tmp_path: Path) -> None:
    counts = ["--data.train", "2", "--data.validation", "1", "--data.test", "1"]
    model = ["--model", "plain", "--model.channels", "[2,4]", "--model.strides", "[2]"]
    callback = ["--trainer.callbacks+=EquivarianceError", "--trainer.callbacks.size=16"]
    words = ["fit", "--data", "brats", "--data.root", str(phantoms.root), *counts, *model, "--out", str(tmp_path)]
    main([*words, "--trainer.max_epochs", "1", *callback])
    assert float(rows(tmp_path)[0]["equivariance_error_projected"]) > 0


def test_every_is_a_number_of_epochs() -> None:
    with pytest.raises(ScaleGroupError, match="every, an integer >= 1, received 0"):
        EquivarianceError(every=0)
