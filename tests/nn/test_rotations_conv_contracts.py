"""Convolutions of fields that turn keep the contract of layers, with the symmetries of the square and the cube."""

from __future__ import annotations

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.testing import LayerContract


class Square(LayerContract):
    """Rotations and reflections of the plane."""

    rotations = "d4"
    windows = ((2.0, 3),)


class TestLifting(Square):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        group = group_of(field)
        return nn.GroupConv(field, 1 * group.regular + 1 * group.irrep("E"))


class TestGroupConv(Square):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field)


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


class TestGroupConvStrided(Square):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, stride=2)


class TestGroupConvOverScales(Square):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, scale_extent=2, scale_padding="replicate", admissible=True)


class TestGroupConvTranspose(Square):
    def make_layer(self, field: FieldType) -> nn.GroupConvTranspose:
        return nn.GroupConvTranspose(field, field, stride=2)


class TestProjection(Square):
    inside = True
    tolerance = 3e-4  # as without rotations

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        group = group_of(field)
        return nn.GroupConv(field, 1 * group.scalar + 1 * group.irrep("E", weight=0.0))
