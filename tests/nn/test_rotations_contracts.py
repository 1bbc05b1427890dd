"""Layers for fields that turn keep the contract of layers, with the symmetries of the square and the cube."""

from __future__ import annotations

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import LayerContract


class Cube(LayerContract):
    """For layers that take vectors."""

    rotations = "octahedral"
    windows = ((2.0, 3),)


class Square(LayerContract):
    """The same with reflections, in the plane."""

    rotations = "d4"
    windows = ((2.0, 3),)


class OfQuotients(LayerContract):
    """For layers that take fields whose components are permuted."""

    rotations = "d4"
    windows = ((2.0, 3),)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.regular + 1 * group.quotient("c4") + 1 * group.quotient()


class TestLinear(Cube):
    def make_layer(self, field: FieldType) -> nn.Linear:
        return nn.Linear(field, field)


class TestNormActivation(Cube):
    def make_layer(self, field: FieldType) -> nn.NormActivation:
        return nn.NormActivation(field)


class TestGate(Cube):
    def make_layer(self, field: FieldType) -> nn.Gate:
        return nn.Gate(field)


class TestBatchNorm(Cube):
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


class TestPointwiseOversampled(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.Pointwise:
        return nn.Pointwise(field, oversample=2)


class TestDropout(Square):
    def make_layer(self, field: FieldType) -> nn.Dropout:
        return nn.Dropout(field, p=0.3)


class TestRotationPool(Cube):
    def make_layer(self, field: FieldType) -> nn.RotationPool:
        return nn.RotationPool(field)


class TestRotationPoolMax(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.RotationPool:
        return nn.RotationPool(field, "max")


class TestRotationPoolMean(OfQuotients):
    def make_layer(self, field: FieldType) -> nn.RotationPool:
        return nn.RotationPool(field, "mean")


class TestScaleBlurPool(Square):
    def make_layer(self, field: FieldType) -> nn.ScaleBlurPool:
        return nn.ScaleBlurPool(field)


class TestScaleMaxPool(OfQuotients):
    tolerance = 0.03  # as without rotations: maxima between whole cubes are interpolated

    def make_layer(self, field: FieldType) -> nn.ScaleMaxPool:
        return nn.ScaleMaxPool(field)


class TestUpsample(Square):
    def make_layer(self, field: FieldType) -> nn.Upsample:
        return nn.Upsample(field)


class ScalePoolContract(Square):
    inside = True
    tolerance = 0.0


class TestScalePoolMax(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "max")


class TestScalePoolMean(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "mean")


class TestScalePoolAttention(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "attention")


class TestScalePoolLogSumExp(OfQuotients):
    inside = True
    tolerance = 0.0

    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "logsumexp")
