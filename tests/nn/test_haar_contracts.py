"""Every layer keeps the contract of layers on fields with a grid for each scale, too."""

from __future__ import annotations

import pytest
import torch

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import Samples, group_of
from scalegroup.testing import LayerContract, equivariance_error


class Haar(LayerContract):
    """All arrays are those of the scale before: layers between fields on grids of their own are exact."""

    sampling = "haar"
    dims = (1, 2)
    rounding = 1e-6


class FromImage(Haar):
    """For layers that read volumes."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar


# Convolutions


class TestLifting(FromImage):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, 2 * group_of(field).regular, divisor=2)


class TestGroupConv(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field)


class TestGroupConvFree(Haar):
    dims = (1, 3)

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, basis="free")


class TestGroupConvFreeStrided(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, basis="free", kernel_size=5, stride=2, padding_mode="replicate")


class TestGroupConvStrided(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, stride=2)


class TestGroupConvValid(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, scale_extent=2, scale_padding="valid")


class TestGroupConvZeros(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, scale_extent=2, scale_padding="zeros", basis="free")


class TestGroupConvReplicate(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, field, scale_extent=2, scale_padding="replicate", admissible=True)


class TestGroupConvTranspose(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConvTranspose:
        return nn.GroupConvTranspose(field, field, stride=2)


class TestGroupConvTransposeOfScales(Haar):
    def make_layer(self, field: FieldType) -> nn.GroupConvTranspose:
        return nn.GroupConvTranspose(field, field, scale_extent=2)


class TestProjection(Haar):
    inside = True
    tolerance = 1e-4  # resampling between grids whose ratio is no whole number

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        return nn.GroupConv(field, 2 * group_of(field).scalar)


# Pointwise layers


class TestLinear(Haar):
    def make_layer(self, field: FieldType) -> nn.Linear:
        return nn.Linear(field, 3 * field)


class TestPointwise(Haar):
    def make_layer(self, field: FieldType) -> nn.Pointwise:
        return nn.Pointwise(field, torch.nn.ReLU())


class TestPointwiseOversampled(Haar):
    def make_layer(self, field: FieldType) -> nn.Pointwise:
        return nn.Pointwise(field, torch.nn.SiLU(), oversample=2)


class TestDropout(Haar):
    def make_layer(self, field: FieldType) -> nn.Dropout:
        return nn.Dropout(field, p=0.3)


# Norms


class TestBatchNorm(Haar):
    def make_layer(self, field: FieldType) -> nn.BatchNorm:
        return nn.BatchNorm(field)


class Statistics(Haar):
    """For layers with statistics over each grid by itself."""

    def test_equivariance(self) -> None:
        """Where the volume grows with its content the arrays move by one scale, and so does what is made of them."""
        for layer, dim in zip(map(self._layer, self.dims), self.dims, strict=True):
            x = self._noise(layer, dim)
            y, moved = layer(x), layer((torch.zeros_like(x[0]), *x[:-1]))
            for k in range(len(x) - 1):
                assert torch.equal(y[k], moved[k + 1])

    def test_the_measurement_can_fail(self) -> None:
        """Else the share of background changes; and statistics of all scales know what enters the window."""
        errors = [equivariance_error(layer, protocol="blobs").error for layer in map(self._layer, self.dims)]
        assert max(errors) > 0.03
        shared = nn.BatchNorm(self.make_field(self._group(2))).double().train()
        x = self._noise(shared, 2)
        y, moved = shared(x), shared((torch.zeros_like(x[0]), *x[:-1]))
        assert not torch.allclose(y[0], moved[1], atol=0.05)


class TestInstanceNorm(Statistics):
    def make_layer(self, field: FieldType) -> nn.InstanceNorm:
        return nn.InstanceNorm(field, affine=True)


class TestGroupNorm(Statistics):
    def make_layer(self, field: FieldType) -> nn.GroupNorm:
        return nn.GroupNorm(field, num_groups=2)


# Grids


class TestHaarLift(FromImage):
    dims = (1, 3)

    def make_layer(self, field: FieldType) -> nn.HaarLift:
        return nn.HaarLift(field, divisor=2)


class TestHaarLiftEven(FromImage):
    def make_layer(self, field: FieldType) -> nn.HaarLift:
        return nn.HaarLift(field, divisor=2, odd=False)


class TestToHaar(LayerContract):
    dims = (1, 2)

    def make_layer(self, field: FieldType) -> nn.ToHaar:
        return nn.ToHaar(field)


class TestToUniform(Haar):
    def make_layer(self, field: FieldType) -> nn.ToUniform:
        return nn.ToUniform(field)


class TestScaleBlurPool(Haar):
    def make_layer(self, field: FieldType) -> nn.ScaleBlurPool:
        return nn.ScaleBlurPool(field)


class TestScaleMaxPool(Haar):
    def make_layer(self, field: FieldType) -> nn.ScaleMaxPool:
        return nn.ScaleMaxPool(field)


class TestUpsample(Haar):
    def make_layer(self, field: FieldType) -> nn.Upsample:
        return nn.Upsample(field)


# Projections


class ScalePoolContract(Haar):
    """Exact for what stays inside the window, where the points of the grids are voxels of one volume and the other."""

    windows = ((2.0, 3),)
    inside = True
    tolerance = 0.0

    def test_content_that_leaves_the_window_is_an_error(self) -> None:
        error = equivariance_error(self._layer(self.dims[0]), protocol="lattice").error
        assert 0.2 < error < 2


class TestScalePoolMax(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "max")


class TestScalePoolMean(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "mean")


class TestScalePoolLogSumExp(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "logsumexp")


class TestScalePoolAttention(ScalePoolContract):
    def make_layer(self, field: FieldType) -> nn.ScalePool:
        return nn.ScalePool(field, "attention")


@pytest.mark.parametrize("dim", [1, 2])
def test_the_taper_fades_scales_by_their_place(dim: int) -> None:
    """Its weights belong to places in the window, not to scales: what stays inside is an error, unlike the mean's."""
    field = 2 * ScaleTranslationGroup(dim, 2.0, 3, sampling="haar").regular
    errors = [
        equivariance_error(nn.ScalePool(field, mode), protocol="lattice", inside=True).error
        for mode in ("mean", "taper")
    ]
    assert errors[0] < 1e-12
    assert errors[1] > 0.2


# Networks


class TestSequential(FromImage):
    def make_layer(self, field: FieldType) -> nn.Sequential:
        hidden = 2 * group_of(field).regular
        return nn.Sequential(nn.GroupConv(field, hidden), nn.BatchNorm(hidden), nn.Linear(hidden, hidden))


class Residual(nn.EquivariantModule):
    """x + conv(silu(x)) for any group and field type."""

    def __init__(self, field: FieldType) -> None:
        super().__init__(in_type=field, out_type=field)
        self.conv, self.act = nn.GroupConv(field, field), nn.Pointwise(field, torch.nn.SiLU())

    def forward(self, x: Samples) -> Samples:
        return nn.each(torch.add, x, self.conv(self.act(x)))


class TestResidual(Haar):
    def make_layer(self, field: FieldType) -> Residual:
        return Residual(field)
