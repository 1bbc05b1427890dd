"""Tiny phantoms and a tiny network that trains in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The configuration of four tiny BraTS patients: two to learn from, one to select, one to test."""
    pytest.importorskip("nibabel", reason="needs the extra 'train'")
    pytest.importorskip("monai", reason="needs the extra 'train'")
    pytest.importorskip("lightning", reason="needs the extra 'train'")
    from scalegroup.data import write_phantoms
    from scalegroup.training import DataConfig

    root: Path = write_phantoms(tmp_path_factory.mktemp("phantoms"), range(1, 5), size=18)
    return DataConfig("brats", root, train=2, validation=1, test=1)


@pytest.fixture(scope="session")
def trained(phantoms: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best checkpoint of a tiny plain network, trained for one epoch; do not write beside it."""
    from scalegroup.training import ModelConfig, TrainerConfig, fit

    model = ModelConfig("plain", channels=(2, 4), strides=(2,), num_res_units=0)
    return fit(phantoms, model, TrainerConfig(max_epochs=1), tmp_path_factory.mktemp("trained"))
