"""Every example of the gallery runs from its own first line, prints what it found, and saves a picture of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("monai")
pytest.importorskip("rich")

from matplotlib.image import imread

FOLDER = Path(__file__).resolve().parents[2] / "examples"
# What each prints, with the figures that its text promises: a number in brackets is at most the number behind it.
RESULTS = {
    "anisotropic_voxels": ("With the spacing the answer differs by (.+)%, without it by", 1.0),
    "commuting_square": ("The two ways around the square differ by (.+) %", 0.05),
    "diffusion_gradients": ("(.+)  gradients shuffled", 1e-5),
    "equivariance_of_a_unet": ("and before the projection over its scales (.+) %", 0.1),
    "hermite_basis": ("has (10) functions", 10),
    "own_layer": ("Residual: (.+) % off", 0.05),
    "point_cloud": ("Twice the size is one scale further, to (.+)\\.\n", 1e-12),
    "published_methods": ("scalegroup +steerable +error +(.+) % +time", 0.05),
    "rotate_and_scale": ("turned by 90°: (.+) off", 1e-10),
    "scale_channels_around_monai": ("In ScaleChannels each scale changes by (.+) %,\ntheir mean", 0.01),
    "train_on_one_size": ("plain (.+?) ", 0.6),  # of one size, tested at half of it
    "wide_kernels": ("17 voxels wide: (.+), as a dense kernel", 2.0),
}


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_an_example_prints_its_result_and_saves_its_picture(name: str, tmp_path: Path) -> None:
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"} | threads
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    pattern, largest = RESULTS[name]
    found = re.search(pattern, done.stdout)
    assert found, done.stdout
    assert float(found[1]) <= largest
    picture = np.asarray(imread(tmp_path / f"{name}.png"))
    assert min(picture.shape[:2]) > 200
    assert picture[..., :3].std() > 0.02, "the picture is blank"
