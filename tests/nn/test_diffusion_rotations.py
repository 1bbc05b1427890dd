"""Layers on positions and q-space under all rotations: exact up to their kernels where nothing is interpolated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("escnn", reason="the representations of SO(3) come from escnn")

from scalegroup.groups import DiffusionElement, DiffusionGroup
from scalegroup.interop.escnn import compact_group
from scalegroup.nn import DiffusionGroupConv
from scalegroup.testing import Tissue, gradients

Q = gradients(5)


def centre(y: Tensor) -> Tensor:
    """The middle voxel, which a rotation leaves where it is: `(fields, samples)`."""
    for _ in range(3):
        y = y.select(-1, y.shape[-1] // 2)
    return y[0]


@pytest.fixture(scope="module")
def group() -> DiffusionGroup:
    return DiffusionGroup("joint", num_scales=2, rotations=compact_group("so3", 3))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_rotation_of_both_spaces(group: DiffusionGroup, seed: int) -> None:
    torch.manual_seed(seed)
    field = 2 * group.regular + 1 * group.irrep(1) + 1 * group.irrep(2)
    lift = DiffusionGroupConv(1 * group.scalar, field, sigma=1.4, order=3).double()
    conv = DiffusionGroupConv(field, field, sigma=1.4).double()
    g = group.element(k=group.rotations.sample(np.random.default_rng(seed)))
    tissue, moved = Tissue.random(spread=1.0), torch.as_tensor(g.act_q(Q))

    def both(g: DiffusionElement, q: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            y = lift(tissue.act(g).sample(15, torch.as_tensor(g.act_q(Q))), q)
            return centre(y), centre(conv(y, q))

    rho = torch.tensor(field.representation(g))
    for before, after, forgotten in zip(both(group.element(), Q), both(g, moved), both(g, Q), strict=True):
        turned = rho @ before
        assert (after - turned).norm() < 1e-4 * turned.norm()
        assert (after - before).norm() > 0.1 * turned.norm()
        assert (forgotten - turned).norm() > 0.02 * turned.norm()
