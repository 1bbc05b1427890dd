"""Convolutions of fields that turn keep the contract of layers, with the symmetries of the square and the cube.

Liftings, strides and adjoints have the same weights on the same engine: what turns in them is in `test_rotations`, the
rest of their contract in `test_contracts`.
"""

from __future__ import annotations

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.testing import LayerContract


class Square(LayerContract):
    """Vectors that rotations and reflections of the plane turn."""

    rotations = "d4"
    windows = ((2.0, 3),)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.irrep("E")


class TestGroupConvOfTheCube(LayerContract):
    rotations = "octahedral"
    windows = ((2.0, 2),)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.irrep("A1") + 1 * group.irrep("T1")

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field)


class TestGroupConvOfQuotients(LayerContract):
    rotations = "c4"
    windows = ((2.0, 3),)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.quotient()

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, order=(2, 2), method="separable")


class TestGroupConvOverScales(Square):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, scale_extent=2, scale_padding="replicate", admissible=True)


class TestProjection(Square):
    """To displacements, which grow with the volume."""

    inside = True
    tolerance = 3e-4  # as without rotations

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        group = group_of(field)
        return nn.GroupConv(field, 1 * group.irrep("E", weight=1.0))
