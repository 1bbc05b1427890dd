"""Gaussian derivative networks: derivatives, both discretisations, and the scale that a blob selects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.lindeberg2021 import GaussianJetConv, JetLayers
from scalegroup.symbolic import DiscreteGaussianBasis, HermiteBasis
from scalegroup.testing import LayerContract, equivariance_error, kernel_spectrum_error


class TestLayer(LayerContract):
    dims = (1, 2)

    def make_layer(self, field: FieldType) -> GaussianJetConv:
        return GaussianJetConv(field, field, sigma=3.0, discretisation="bessel", zero_order=False)


def lifting(dim: int, sigma: float = 1.0, base: float = 10 / 9, **options: Any) -> GaussianJetConv:
    torch.manual_seed(0)
    group = sg.ScaleTranslationGroup(dim=dim, base=base, num_scales=4)
    return GaussianJetConv(1 * group.scalar, 32 * group.regular, sigma=sigma, **options)


@pytest.mark.parametrize(
    ("sigma", "bessel", "sampled"),
    [(0.7, 0.081, 9e-5), (1.0, 0.062, 1.3e-4), (1.5, 0.045, 4e-6), (3.0, 0.0185, 5.5e-5)],
)
def test_kernel_spectra(sigma: float, bessel: float, sampled: float) -> None:
    """METHODS.md section 11 has .045/.040/.033/.018 and .019/8e-5/1e-10/2e-9 in 2-D.

    The figures of the discrete Gaussian are those with weights for derivatives of norm 1, which makes more of the
    second order; those of the sampled one are better at .7, where the library fits, and worse from 1.5 on, where it
    cuts at 4.5 widths. All are regression values.
    """
    discrete = kernel_spectrum_error(lifting(2, sigma, discretisation="bessel"))[:, 0].max()
    assert discrete == pytest.approx(bessel, rel=0.2)  # seeds differ by up to 15 %
    assert kernel_spectrum_error(lifting(2, sigma))[:, 0].max() == pytest.approx(sampled, rel=0.3)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sampled_derivatives_in_every_dimension(dim: int) -> None:
    assert kernel_spectrum_error(lifting(dim))[:, 0].max() < 5e-4
    assert kernel_spectrum_error(lifting(dim, 1.5))[:, 0].max() < 2e-5
    assert kernel_spectrum_error(lifting(dim, support=2.0))[:, 0].max() > 5e-3  # the twin: cut too near


class Unnormalised(DiscreteGaussianBasis):  # type: ignore[misc]
    """The negative twin: derivatives without their power of the scale."""

    def taps(self, sigma: float, phase: float) -> tuple[Any, int]:
        values, first = super().taps(sigma, phase)
        return values / sigma ** np.arange(len(values))[:, None], first


def test_derivatives_without_their_power_of_the_scale_are_noticed() -> None:
    group = sg.ScaleTranslationGroup(dim=2, num_scales=4)
    types = 1 * group.scalar, 4 * group.regular
    torch.manual_seed(0)
    wrong = kernel_spectrum_error(nn.GroupConv(*types, basis=Unnormalised(2, 2), sigma=3.0))
    torch.manual_seed(0)
    right = kernel_spectrum_error(GaussianJetConv(*types, sigma=3.0, discretisation="bessel"))
    assert right[:, 0].max() < 0.04 < 0.2 < wrong[:, 0].max()


@pytest.mark.parametrize(("dim", "bessel"), [(1, 0.065), (2, 0.09), (3, 0.09)])
def test_torus(dim: int, bessel: float) -> None:
    """The lifting and a layer behind it, at the tolerance of METHODS.md section 6 for the same kernels (3e-4).

    The discrete Gaussian: means over eight seeds, which have .053 to .080, .080 to .102 and .078 to .098.
    """
    size = {1: 72, 2: 36, 3: 18}[dim]
    for discretisation in ("sampled", "bessel"):
        torch.manual_seed(0)
        layers = JetLayers(dim, discretisation=discretisation)  # type: ignore[arg-type]
        for layer in (layers.lift(1, 16), layers.conv(2, 8)):
            result = equivariance_error(layer, protocol="torus", size=size)
            assert result.trivial > 0.9
            if discretisation == "sampled":
                assert result.per_scale < 3e-4
            else:
                assert result.per_scale == pytest.approx(bessel, rel=0.25)


@pytest.mark.parametrize(("discretisation", "error"), [("sampled", 1e-4), ("bessel", 0.08)])
def test_strided_layers(discretisation: Any, error: float) -> None:
    """The coarse grid of an even size lies between the voxels, where the discrete Gaussian is that of a finer grid."""
    group = sg.ScaleTranslationGroup(dim=2, num_scales=4)
    torch.manual_seed(0)
    layer = GaussianJetConv(1 * group.scalar, 16 * group.regular, stride=2, discretisation=discretisation)
    result = equivariance_error(layer, protocol="torus", size=36)
    assert result.per_scale < error < 0.9 < result.trivial


@pytest.mark.parametrize("discretisation", ["sampled", "bessel"])
def test_the_coefficients_are_those_of_derivatives(discretisation: Any) -> None:
    """On a parabola a kernel is the Taylor expansion that it stands for, at every scale."""
    group = sg.ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
    conv = GaussianJetConv(1 * group.scalar, 1 * group.regular, sigma=2.0, discretisation=discretisation).double()
    means = HermiteBasis(2, 1).transfer(np.array(1e-4))  # ∝ (iw)^n: the constant of each derivative
    constants = [abs(means[n]) / 1e-4**n for n in range(3)]
    x = torch.arange(-60.0, 61.0, dtype=torch.float64)
    y = 3 + 0.5 * x + 0.25 * x**2
    for n in range(3):
        with torch.no_grad():
            conv.weight.zero_()
            conv.weight[0, 0, 0, n] = 1 / constants[n]
        for k, sigma in enumerate((2.0, 4.0)):
            expected = [3 + 0.25 * sigma**2, 0.5 * sigma, 0.5 * sigma**2][n]
            value = float(conv(y[None, None]).detach()[0, k, 60])
            assert value == pytest.approx(expected, rel=5e-3)  # the kernel ends at 4.5 widths


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_the_zero_order_constants_vanish(dim: int) -> None:
    constant = torch.ones(1, 1, *(41,) * dim)
    for discretisation in ("sampled", "bessel"):
        for zero_order, small in ((False, True), (True, False)):
            conv = lifting(dim, base=1.2, zero_order=zero_order, discretisation=discretisation, bias=False)
            assert conv.weight.shape[-1] == {1: 3, 2: 6, 3: 10}[dim] - small
            response = conv(constant)[(..., *(20,) * dim)]
            size = float(response.detach().abs().max())
            assert size < 3e-3 if small else size > 0.5  # the kernel ends at 4.5 widths


@pytest.mark.parametrize("discretisation", ["sampled", "bessel"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_blob_selects_its_scale(dim: int, discretisation: Any) -> None:
    """|σ²∇²L| at the centre of a Gaussian of variance t is largest in the channel of σ² = 2 t / dim."""
    group = sg.ScaleTranslationGroup(dim=dim, base=2**0.5, num_scales=5)
    conv = GaussianJetConv(1 * group.scalar, 1 * group.regular, discretisation=discretisation, bias=False)
    with torch.no_grad():
        conv.weight.zero_()
        for product, f in zip(conv.basis.products, range(len(conv.basis)), strict=True):
            if max(product) == 2:
                conv.weight[..., f] = 1.0
    half = 28 if dim < 3 else 20
    line = torch.arange(-half, half + 1.0)
    square = sum(axis**2 for axis in torch.meshgrid(*[line] * dim, indexing="ij"))
    found = []
    for k in (1, 2, 3):
        variance = dim / 2 * group.scales[k] ** 2
        response = conv(torch.exp(-square / (2 * variance))[None, None])[(0, slice(None), *(half,) * dim)]
        found.append(int(response.detach().abs().argmax()))
    assert found == [1, 2, 3]
    with torch.no_grad():  # the twin: the smoothed blob itself selects nothing but the smallest scale
        conv.weight.zero_()
        conv.weight[..., 0] = 1.0
    assert int(conv(torch.exp(-square / (2 * variance))[None, None])[(0, slice(None), *(half,) * dim)].argmax()) == 0


def test_errors_and_repr() -> None:
    group = sg.ScaleTranslationGroup(dim=2)
    types = 1 * group.scalar, 2 * group.regular
    with pytest.raises(ScaleGroupError, match="discretisation 'sampled' or 'bessel', received 'fitted'"):
        GaussianJetConv(*types, discretisation="fitted")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="order 0, 1 or 2, received 3"):
        GaussianJetConv(*types, order=3, discretisation="bessel")
    assert JetLayers(2, discretisation="bessel").basis() == DiscreteGaussianBasis(2, 2)
    assert JetLayers(2).basis() == GaussianJetConv(*types).basis == HermiteBasis(2, 2)
    assert repr(GaussianJetConv(*types)) == "GaussianJetConv(1*scalar -> 2*regular, order=2, sigma=1)"
