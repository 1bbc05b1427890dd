"""Scans on disk for the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SHAPE = (9, 10, 11)
AFFINE = np.diag([1.0, 2, 3, 1])

WriteScan = Callable[..., tuple[Path, Path]]


@pytest.fixture
def write_scan() -> WriteScan:
    """Writes an image of some channels and a label of some values, and returns their paths."""

    def write(folder: Path, name: str, channels: int = 1, values: tuple[int, ...] = (0, 1, 2)) -> tuple[Path, Path]:
        from scalegroup.data import write_nifti

        rng = np.random.default_rng(len(name))
        shape = SHAPE if channels == 1 else (*SHAPE, channels)
        image, label = folder / f"imagesTr/{name}.nii.gz", folder / f"labelsTr/{name}.nii.gz"
        write_nifti(image, rng.normal(size=shape).astype(np.float32), AFFINE)
        marked = rng.choice(np.array(values, np.uint8), SHAPE)
        marked.flat[: len(values)] = values
        write_nifti(label, marked, AFFINE)
        return image, label

    return write
