"""An image and its dilation by 2 on grids whose points coincide: nothing has to be interpolated to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import Blobs, centred


@dataclass(frozen=True)
class Doubled:
    """`f`, and `g = L_2 f` on twice as many samples."""

    f: Tensor
    g: Tensor

    def inside(self, y_f: Tensor, y_g: Tensor) -> tuple[Tensor, Tensor]:
        """Two results at the same points: `y_f(p)` and `y_g(2 p)` for points p away from the border."""
        for axis in range(2, y_f.ndim):
            n = y_f.shape[axis]
            points = torch.arange(n // 6, n - n // 6)
            y_f, y_g = y_f.index_select(axis, points), y_g.index_select(axis, 2 * points)
        return y_f, y_g


@pytest.fixture
def doubled() -> Callable[..., Doubled]:
    """Makes positive blobs, and the same twice as large: `doubled(dim, size, width=(2, 3), channels=1)`."""

    def make(dim: int, size: int, width: tuple[float, float] = (2.0, 3.0), channels: int = 1) -> Doubled:
        group = ScaleTranslationGroup(dim, base=2.0, num_scales=1)
        blobs = Blobs.random(channels * group.scalar, radius=0.15 * size, width=width, count=4)
        blobs = replace(blobs, amplitudes=abs(blobs.amplitudes))
        return Doubled(blobs.sample([centred(size)] * dim), blobs.act(2.0).sample([centred(2 * size - 1)] * dim))

    return make
