"""Deep scale-spaces: exact on the lattice behind the lifting."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from scalegroup import methods, nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.worrall2019 import ScaleSpaceLayers
from scalegroup.nn.module import group_of
from scalegroup.symbolic import DilatedBasis, HermiteBasis
from scalegroup.testing import LayerContract, circular

DIMS = (1, 2, 3)
SIZES = {1: 48, 2: 24, 3: 12}


def coarse(x: Tensor, factor: int) -> Tensor:
    return x[(slice(None), slice(None), *[slice(None, None, factor)] * (x.ndim - 2))]


def downsampled(x: Tensor, factor: int, num_scales: int) -> Tensor:
    """`(L_b F)(k, x) = F(k + 1, b x)`."""
    return coarse(x.unflatten(1, (-1, num_scales))[:, :, 1:].flatten(1, 2), factor)


def lattice_error(conv: nn.GroupConv, factor: int, dtype: torch.dtype = torch.float64) -> float:
    """T4: the difference between downsampling before and behind a convolution, for white noise on the torus."""
    group = group_of(conv.in_type)
    conv = circular(conv).to(dtype).requires_grad_(False)
    size = SIZES[group.dim]
    x = torch.randn(1, conv.in_type.size, *[size] * group.dim, dtype=dtype, generator=torch.Generator().manual_seed(0))
    before = nn.with_window(conv, group.num_scales - 1)(downsampled(x, factor, group.num_scales))
    behind = downsampled(conv(x), factor, group.num_scales)
    return float((before - behind).norm() / behind.norm())


def last_conv(module: torch.nn.Module) -> nn.GroupConv:
    return next(part for part in module.modules() if isinstance(part, nn.GroupConv))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(("base", "extent"), [(2, 1), (2, 2), (3, 2)])
def test_downsampling_commutes_with_the_convolution(dim: int, base: int, extent: int) -> None:
    layers = ScaleSpaceLayers(dim, base, scale_extent=extent)
    conv = last_conv(layers.conv(2, 2))
    assert lattice_error(conv, base) < 1e-12
    assert lattice_error(conv, base, torch.float32) < 1e-6
    assert conv.declared_error < 1e-12


def test_the_lattice_test_can_fail() -> None:
    field = 2 * ScaleSpaceLayers(2).group.regular
    sampled = nn.GroupConv(field, field, basis=HermiteBasis(2, 2))
    assert lattice_error(sampled, 2) > 0.1
    halved = last_conv(ScaleSpaceLayers(2).conv(2, 2))
    halved.register_constant("taps_1_1_0", 0.5 * halved.taps_of(1, 0, 0)[0].numpy())  # another power of the scale
    assert lattice_error(halved, 2) > 0.1


@pytest.mark.parametrize("dim", DIMS)
def test_kernels_are_those_of_the_finest_level_with_zeros_in_between(dim: int) -> None:
    conv = last_conv(ScaleSpaceLayers(dim).lift(1, 2))
    for level, (fine, wide) in enumerate(pairwise(conv.kernels(k, 1) for k in range(3))):
        every = (slice(None), slice(None), *[slice(None, None, 2)] * dim)
        assert wide.shape[-1] == 2 ** (level + 2) + 1
        assert torch.equal(wide[every], fine)
        assert wide.count_nonzero() == fine.count_nonzero()


def test_a_convolution_is_torchs_own_with_dilation() -> None:
    layers = ScaleSpaceLayers(2, scale_extent=1)
    conv = last_conv(layers.conv(3, 4))
    x = torch.randn(2, 9, 16, 15)
    y = conv(x).unflatten(1, (4, 3))
    for level, dilation in enumerate((1, 2, 4)):
        kernel = conv.kernels(0)
        own = torch.nn.functional.conv2d(
            x.unflatten(1, (3, 3))[:, :, level], kernel, conv.bias, padding=dilation, dilation=dilation
        )
        torch.testing.assert_close(y[:, :, level], own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("base", [1.5, 2**0.5])
def test_other_than_whole_bases_are_refused(base: float) -> None:
    with pytest.raises(ScaleGroupError, match="a whole number as base of deep scale-spaces"):
        ScaleSpaceLayers(2, base)
    with pytest.raises(ScaleGroupError, match="sosnovik2021"):
        methods.classifier("worrall2019", dim=2, base=base)


class TestContract(LayerContract):
    """The convolution keeps the contract of layers with an error of zero."""

    windows = ((2.0, 3), (3.0, 3))
    rounding = 1e-12

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        basis = DilatedBasis(fill="none", dim=group_of(field).dim)
        return nn.GroupConv(field, field, basis=basis, scale_extent=2)
