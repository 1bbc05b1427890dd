"""B-spline networks: the tolerances of their layers, the integral over the scales, localised and atrous kernels."""

from __future__ import annotations

from itertools import permutations
from statistics import mean
from typing import Any

import pytest
import torch

import scalegroup as sg
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.bekkers2019 import SplineLayers
from scalegroup.symbolic import SplineBasis, scale_splines
from scalegroup.testing import equivariance_error, kernel_spectrum_error


def lifting(dim: int, sigma: float = 1.0, base: float = 10 / 9, **options: Any) -> sg.nn.GroupConv:
    torch.manual_seed(0)
    group = sg.ScaleTranslationGroup(dim=dim, base=base, num_scales=4)
    basis = SplineBasis(dim=dim, **options)
    return sg.nn.GroupConv(1 * group.scalar, 4 * group.regular, basis=basis, sigma=sigma, support=basis.support)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_kernel_spectra(dim: int) -> None:
    """METHODS.md section 8: .03 for degree 2, .006 for degree 3, 1e-3 for degree 3 and 3 voxels for each knot."""
    size = 5 if dim < 3 else 3
    cases = ((2, 1.0, 0.03), (3, 1.0, 0.006), (3, 2.0, 1e-3))
    for degree, knot, tolerance in cases:
        conv = lifting(dim, sigma=1.5, degree=degree, size=size, knot=knot)
        assert kernel_spectrum_error(conv)[:, 0].max() < tolerance
        torch.manual_seed(0)
        narrow = sg.nn.GroupConv(conv.in_type, conv.out_type, basis=conv.basis, sigma=1.5, support=knot)
        assert kernel_spectrum_error(narrow)[:, 0].max() > tolerance  # cut too near


@pytest.mark.parametrize("base", [2**0.5, 10 / 9])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_layers_of_the_networks(dim: int, base: float) -> None:
    """Knots 2 voxels apart: measured over four seeds, up to 1.05e-3. With 3 voxels it is below 1e-3, see above."""
    torch.manual_seed(0)
    layers = SplineLayers(dim, base, num_scales=4 if base < 1.2 else 3)
    assert kernel_spectrum_error(layers.lift(1, 3))[:, 0].max() < 1.5e-3
    conv = layers.conv(2, 3)
    assert conv.weight.shape == (3, 2, 2, 3**dim)
    assert all(kernel_spectrum_error(conv, tap=tap)[:, 0].max() < 1.5e-3 for tap in range(3))
    atrous = SplineLayers(dim, base, num_scales=2, spread=4.0).lift(1, 3)
    assert kernel_spectrum_error(atrous)[:, 0].max() < 2e-3


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_torus(dim: int) -> None:
    """Measured over eight seeds: 3e-4 to 6e-4, 5e-4 to 1.0e-3 and 8e-4 to 1.1e-3 in 1, 2 and 3-D."""
    torch.manual_seed(0)
    layers = SplineLayers(dim, 10 / 9, num_scales=5)
    size = {1: 72, 2: 36, 3: 18}[dim]
    for layer in (layers.lift(1, 2), layers.conv(2, 2)):
        result = equivariance_error(layer, protocol="torus", size=size)
        assert result.per_scale < 1.5e-3 < 0.3 < result.trivial


def test_a_layer_with_the_scales_in_the_wrong_order_is_noticed() -> None:
    torch.manual_seed(0)
    layer = SplineLayers(1, 10 / 9, num_scales=5).conv(2, 2)

    class Turned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.in_type, self.out_type = layer, layer.in_type, layer.out_type

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.unflatten(1, (2, 5)).flip(2).flatten(1, 2))

    assert equivariance_error(Turned(), protocol="torus", size=72).error > 0.05


def test_the_kernel_is_the_product_of_splines_in_space_and_scale() -> None:
    layers = SplineLayers(2, scale_extent=4, scale_size=3)
    conv = layers.conv(1, 1)
    over = torch.from_numpy(scale_splines(4, layers.base, 3, degree=3)).float()
    expected = torch.einsum("mf,mt->tf", conv.weight[0, 0], over)
    torch.testing.assert_close(conv.coefficients()[0, 0], expected)
    free = SplineLayers(2, scale_extent=1).conv(1, 1)
    assert free.scale_basis is None
    assert free.weight.shape == (1, 1, 1, 9)


def change(coarse: torch.nn.Sequential, fine: torch.nn.Sequential, x: torch.Tensor) -> float:
    """By how much a lifting and a layer on every second scale differ from the same on all of them."""
    few, many = (net(x).unflatten(1, (2, -1)) for net in (coarse, fine))
    return max(float((few[:, :, k] - many[:, :, 2 * k]).norm() / few[:, :, k].norm()) for k in range(3))


@torch.no_grad()
def test_haar_measure() -> None:
    """Twice as many scales over the same range change the output of a smooth kernel by less than 5 %, in the mean.

    Measured over 24 seeds: .019 to .082, .034 in the mean.
    """
    coarse, fine = SplineLayers(1, 2**0.5, 5, scale_extent=3), SplineLayers(1, 2**0.25, 9, scale_extent=5)
    bare = SplineLayers(1, 2**0.25, 9, scale_extent=5)  # the negative twin: without the measure
    bare.scale_options = {"scale_basis": scale_splines(5, 2**0.5, 2, 3).tolist()}
    right, wrong = [], []
    for seed in range(8):
        torch.manual_seed(seed)
        nets = [torch.nn.Sequential(layers.lift(1, 2), layers.conv(2, 2)).double() for layers in (coarse, fine, bare)]
        for net in nets[1:]:
            net.load_state_dict(nets[0].state_dict())
        x = torch.randn(1, 1, 200, dtype=torch.float64)
        right.append(change(nets[0], nets[1], x))
        wrong.append(change(nets[0], nets[2], x))
    assert mean(right) < 0.05
    assert min(wrong) > 0.5


def test_scale_one_is_a_plain_spline_convolution() -> None:
    conv = SplineLayers(2, num_scales=1, degree=3, knot=3.0).lift(1, 1)
    basis = SplineBasis(3, 3, 3.0, 2)
    reach = conv.kernels().shape[-1] // 2
    line = basis.functions(torch.arange(-reach, reach + 1).numpy())
    expected = torch.einsum("fg,fy,gx->yx", conv.weight[0, 0, 0].reshape(3, 3), *[torch.from_numpy(line).float()] * 2)
    torch.testing.assert_close(conv.kernels()[0, 0], expected)


@pytest.mark.parametrize("dim", [2, 3])
def test_axes_are_alike(dim: int) -> None:
    products = set(SplineLayers(dim).basis().products)
    for order in permutations(range(dim)):
        assert {tuple(p[axis] for axis in order) for p in products} == products
    assert {tuple(2 - f for f in p) for p in products} == products  # mirrored


def test_a_base_below_one_is_its_inverse() -> None:
    assert SplineLayers(1, 0.5).conv(1, 1).scale_basis == SplineLayers(1, 2.0).conv(1, 1).scale_basis
    assert SplineLayers(1, 0.5).conv(1, 1).scale_basis != SplineLayers(1, 1.5).conv(1, 1).scale_basis


def test_errors() -> None:
    with pytest.raises(ScaleGroupError, match="degree to be an integer ≥ 1"):
        SplineLayers(degree=0)
    with pytest.raises(ScaleGroupError, match="size to be an integer ≥ 2, received 1; one scale has no neighbours"):
        SplineLayers(scale_size=1)
