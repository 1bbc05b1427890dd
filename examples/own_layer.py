"""
A layer of your own
===================

A layer is a ``torch.nn.Module`` that says what kind of field it takes and what kind it returns. Its parts take care of
the rest. Here a residual block, and a block with a mistake in it that the check finds.
"""

from __future__ import annotations

import torch
from rich import print
from torch import Tensor

import scalegroup as sg
from scalegroup import nn, visual


# %%
# It is written once, for any group and any field.
class Residual(nn.EquivariantModule):
    """``x + conv(silu(x))``."""

    def __init__(self, field: sg.FieldType) -> None:
        super().__init__(in_type=field, out_type=field)
        self.conv = nn.GroupConv(field, field)
        self.act = nn.Pointwise(field, torch.nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.act(x))  # (batch, field.size, *space)


class Careless(Residual):
    """The same with a weight for each scale: what moves to another scale is changed."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x).unflatten(1, (-1, 4))
        return (y * torch.linspace(1, 2, 4).to(y).view(4, 1, 1)).flatten(1, 2)


# %%
# Whoever writes a layer asks whether it commutes with scaling.
torch.manual_seed(0)
group = sg.ScaleTranslationGroup(dim=2, num_scales=4)
field = 4 * group.regular
for block in (Residual, Careless):
    report = sg.check_equivariance(block(field))
    print(f"{block.__name__}: {100 * report.per_scale:.2g} % off")

# %%
# All its tests in three lines: equivariance, dtypes, compile, export, pickle and more. Put them into a file
# ``test_residual.py`` and run pytest; tutorial 7 explains what they do.


class TestResidual(sg.testing.LayerContract):
    def make_layer(self, field: sg.FieldType) -> nn.EquivariantModule:
        return Residual(field)


# %%
# The careless block, seen.
lift = nn.GroupConv(1 * group.scalar, field)
figure = visual.plot_commuting_square(nn.Sequential(lift, Careless(field)))
figure.savefig("own_layer.png", dpi=120)

# %%
# Where next: :doc:`/tutorials/05_own_layer` and :doc:`/tutorials/07_property_tests`.
