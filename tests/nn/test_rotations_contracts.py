"""Layers for fields that turn keep the contract of layers, with the symmetries of the square and the cube.

Layers that act on each channel alike (blurs, resampling, means and maxima, dropout) treat components as they treat
fields: that these turn is in `test_rotations_layers`, the rest of their contract in `test_contracts`.
"""

from __future__ import annotations

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import LayerContract


class Square(LayerContract):
    """For layers that take vectors."""

    rotations = "d4"
    windows = ((2.0, 3),)


class OfQuotients(LayerContract):
    """For layers that take fields whose components are permuted."""

    rotations = "d4"
    windows = ((2.0, 3),)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.regular + 1 * group.quotient("c4") + 1 * group.quotient()


class TestLinear(Square):
    def make_layer(self, field: FieldType) -> nn.Linear:
        return nn.Linear(field, field)


class TestNormActivation(LayerContract):
    rotations = "octahedral"
    windows = ((2.0, 2),)

    def make_layer(self, field: FieldType) -> nn.NormActivation:
        return nn.NormActivation(field)


class TestGate(Square):
    def make_layer(self, field: FieldType) -> nn.Gate:
        return nn.Gate(field)


class TestBatchNorm(Square):
    def make_layer(self, field: FieldType) -> nn.BatchNorm:
        return nn.BatchNorm(field)


class TestBatchNormOfQuotients(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.BatchNorm:
        return nn.BatchNorm(field)


class OnTorus(Square):
    """For layers with statistics over the volume of each sample and scale: exact on the torus."""

    protocol = "torus"
    size = 12
    tolerance = 0.0


class TestInstanceNorm(OnTorus):
    def make_layer(self, field: FieldType) -> nn.InstanceNorm:
        return nn.InstanceNorm(field, affine=True)


class TestGroupNorm(OnTorus):
    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 4 * group.irrep("E")

    def make_layer(self, field: FieldType) -> nn.GroupNorm:
        return nn.GroupNorm(field, num_groups=2)


class TestBatchNormWithoutRunningStatistics(OnTorus):
    inside = True

    def make_layer(self, field: FieldType) -> nn.BatchNorm:
        return nn.BatchNorm(field, track_running_stats=False)


class TestPointwise(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.Pointwise:
        return nn.Pointwise(field)


class TestRotationPool(Square):
    def make_layer(self, field: FieldType) -> nn.RotationPool:
        return nn.RotationPool(field)


class TestRotationPoolMax(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.RotationPool:
        return nn.RotationPool(field, "max")


class ScalePoolContract(Square):
    inside = True
    tolerance = 0.0


class TestScalePoolMax(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "max")


class TestScalePoolAttention(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "attention")
