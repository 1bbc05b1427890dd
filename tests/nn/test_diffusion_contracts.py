"""The contract of all layers, for those on positions and q-space, with samples that stay where they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalegroup.fields import FieldType
from scalegroup.groups import DiffusionGroup, ScaleTranslationGroup
from scalegroup.nn import DiffusionGroupConv, DiffusionPool, EquivariantModule
from scalegroup.testing import LayerContract, gradients

Q = gradients(2, 3)
FEW = ((2.0, 2),)  # scales: the compiler takes the more seconds the more there are


class OnSamples(EquivariantModule):
    """A layer on positions and q-space as one on positions: its input has a channel for each sample of a fixed set."""

    def __init__(self, field: FieldType, pool: bool = False, **options: Any) -> None:
        group: Any = field.group
        six = DiffusionGroup("p", group.dim, group.base, group.num_scales, first=group.first)
        inner = (field.num_fields // len(Q)) * field.blocks[0][1].with_group(six)
        super().__init__(field, field)
        self.layer = DiffusionPool(inner, **options) if pool else DiffusionGroupConv(inner, 2 * six.regular, **options)
        own = self.layer.out_type.with_group(group)
        self.out_type = own if pool else len(Q) * own

    def forward(self, x: Tensor) -> Tensor:
        x = self.check(x)
        space, fields = x.shape[2:], self.in_type.num_fields // len(Q)
        parts = x.reshape(x.shape[0], fields, len(Q), -1, *space).transpose(2, 3)
        y: Tensor = self.layer(parts.flatten(1, 2), Q[:, : len(space)])
        if isinstance(self.layer, DiffusionPool):
            return y
        numbers = self.layer.out_type.num_fields
        return y.reshape(len(y), numbers, -1, *y.shape[2:]).transpose(2, 3).flatten(1, 3)


class TestLift(LayerContract):
    dims = (1, 2)
    windows = FEW

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = len(Q) * group.scalar
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return OnSamples(field)


class TestGroup(LayerContract):
    dims = (1,)
    windows = FEW

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = (2 * len(Q)) * group.regular
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return OnSamples(field, stride=2, admissible=True)


class TestPool(LayerContract):
    dims = (1, 2)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        field: FieldType = (2 * len(Q)) * group.regular
        return field

    def make_layer(self, field: FieldType) -> torch.nn.Module:
        return OnSamples(field, pool=True, mode="attention")
