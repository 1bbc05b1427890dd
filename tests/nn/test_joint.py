"""Convolutions by kernels that are no products: what every layer keeps, and a sum over all samples as the oracle."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import group_of
from scalegroup.symbolic import FourierBesselBasis, JointBasis, LogRadialBasis
from scalegroup.testing import LayerContract


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bases(dim: int) -> list[tuple[JointBasis, float]]:
    """Bases, and a sigma for each of them."""
    return [(FourierBesselBasis(dim, max_frequency=5.0), 2.5), (LogRadialBasis(dim, orders=(1,), support=2.5), 1.0)]


# The contract of layers


class JointContract(LayerContract):
    """Convolutions as wide as they must be for the law to show."""

    dims = (1, 2)
    tolerance = 0.02  # of the samples; .002 to .015 over seeds of the weights
    sigma = 8.0


class TestLifting(JointContract):
    dims = (2,)

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 1 * group.scalar

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        group = group_of(field)
        basis = FourierBesselBasis(group.dim, max_frequency=5.0)
        return nn.GroupConv(field, 2 * group.regular, basis=basis, sigma=self.sigma)


class TestGroupConv(JointContract):
    def make_layer(self, field: FieldType) -> nn.GroupConv:
        basis = FourierBesselBasis(group_of(field).dim, max_frequency=5.0)
        return nn.GroupConv(
            field, field, basis=basis, sigma=self.sigma, scale_extent=2, scale_padding="valid", scale_basis=[[0.5, 0.5]]
        )


class TestStrided(JointContract):
    dims = (2,)

    def make_layer(self, field: FieldType) -> nn.GroupConv:
        basis = FourierBesselBasis(group_of(field).dim, max_frequency=5.0)
        return nn.GroupConv(field, field, basis=basis, sigma=self.sigma / 2, stride=2, admissible=True)


class TestTransposed(JointContract):
    dims = (1,)

    def make_layer(self, field: FieldType) -> nn.GroupConvTranspose:
        basis = FourierBesselBasis(group_of(field).dim, max_frequency=5.0)
        return nn.GroupConvTranspose(field, field, basis=basis, sigma=self.sigma / 2, stride=2)


# The oracle


def oracle(conv: nn.GroupConv, x: Tensor) -> Tensor:
    """`y[o, s, n] = Σ_c Σ_t Σ_m W_f ψ_f((m - p_n) / σ) / σ^d x[c, s + t, m]`, over all voxels m of a volume in zeros.

    `p_n` is the position of the output point n, on a grid that is centred on the volume.
    """
    basis, dim = conv.basis, group_of(conv.in_type).dim
    assert isinstance(basis, JointBasis)
    scales = group_of(conv.out_type).scales
    out = [-(-n // q) for n, q in zip(x.shape[2:], conv.stride, strict=True)]
    places = [
        q * (np.arange(m) - (m - 1) / 2) + (n - 1) / 2 for m, n, q in zip(out, x.shape[2:], conv.stride, strict=True)
    ]
    fields = x.unflatten(1, (conv.in_type.num_fields, -1))
    coefficients = conv.coefficients().detach()
    y = torch.zeros(len(x), conv.out_type.num_fields, len(scales), *out, dtype=torch.float64)
    for s, point in product(range(len(scales)), product(*map(range, out))):
        widths = np.array([conv.sigma * q * scales[s] for q in conv.stride]).reshape(-1, *[1] * dim)
        voxels = np.stack(np.meshgrid(*map(np.arange, x.shape[2:]), indexing="ij"))
        where = np.array([axis[i] for axis, i in zip(places, point, strict=True)]).reshape(-1, *[1] * dim)
        values = torch.from_numpy(basis.functions((voxels - where) / widths) / widths.prod())
        for t in range(coefficients.shape[2]):
            source = s + t if fields.shape[2] > 1 else 0
            if source < fields.shape[2]:
                seen = fields[:, :, source].flatten(2) @ values.flatten(1).T  # (batch, in, F)
                y[:, :, s, *point] += torch.einsum("ocf,bcf->bo", coefficients[:, :, t], seen)
    return y.flatten(1, 2)


@given(st.integers(1, 2), st.booleans(), st.booleans(), st.integers(1, 2), st.integers(1, 2), st.data())
def test_it_is_the_sum_over_all_samples(
    dim: int, lifts: bool, admissible: bool, extent: int, stride: int, data: st.DataObject
) -> None:
    group = ScaleTranslationGroup(dim, base=1.5, num_scales=2)
    basis = FourierBesselBasis(dim, max_frequency=5.5, radius=1.3)
    in_type = 2 * (group.scalar if lifts else group.regular)
    conv = nn.GroupConv(
        in_type,
        2 * group.regular,
        basis=basis,
        sigma=1.7 / stride,
        stride=stride,
        bias=False,
        admissible=admissible,
        scale_extent=1 if lifts else extent,
    ).double()
    x = noise(2, in_type.size, *(data.draw(st.integers(3, 8)) for _ in range(dim)))
    torch.testing.assert_close(conv(x), oracle(conv, x))


def test_it_is_the_sum_over_all_samples_in_3d() -> None:
    group = ScaleTranslationGroup(3, base=1.5, num_scales=2)
    conv = nn.GroupConv(
        1 * group.regular, 1 * group.regular, basis=FourierBesselBasis(3), sigma=2.0, bias=False
    ).double()
    x = noise(1, 2, 4, 5, 3)
    wanted = oracle(conv, x)
    torch.testing.assert_close(conv(x), wanted)
    assert float((conv(x.flip(2)) - wanted).detach().abs().max()) > 0.01


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_kernels_are_what_is_applied(dim: int) -> None:
    group = ScaleTranslationGroup(dim, base=2.0, num_scales=2)
    for basis, sigma in bases(dim):
        conv = nn.GroupConv(1 * group.scalar, 2 * group.regular, basis=basis, sigma=sigma, bias=False).double()
        reach = conv.kernels(1).shape[2] // 2
        impulse = torch.zeros(1, 1, *[2 * reach + 1] * dim, dtype=torch.float64)
        impulse[0, 0, *[reach] * dim] = 1
        seen = conv(impulse)[0, 1::2].flip(*range(1, dim + 1))  # the larger scale; a correlation mirrors it
        torch.testing.assert_close(seen, conv.kernels(1)[:, 0])


# The adjoint


@given(st.integers(1, 2), st.integers(1, 3), st.sampled_from(nn.grid.PADDING_MODES), st.booleans(), st.data())
def test_the_transposed_convolution_is_the_adjoint(
    dim: int, stride: int, padding_mode: str, admissible: bool, data: st.DataObject
) -> None:
    group = ScaleTranslationGroup(dim, base=2.0, num_scales=2)
    basis, sigma = data.draw(st.sampled_from(bases(dim)))
    options: dict[str, Any] = {
        "basis": basis,
        "sigma": sigma,
        "stride": stride,
        "padding_mode": padding_mode,
        "admissible": admissible,
        "scale_extent": 2,
        "scale_basis": [[0.5, 0.5]],
        "bias": False,
    }
    conv = nn.GroupConv(2 * group.regular, 3 * group.regular, **options).double()
    transpose = nn.GroupConvTranspose(3 * group.regular, 2 * group.regular, **options).double()
    with torch.no_grad():
        transpose.weight.copy_(conv.weight.transpose(0, 1))
    size = [data.draw(st.integers(3, 9)) for _ in range(dim)]
    fine = noise(2, 4, *size)
    there = conv(fine)
    coarse = noise(*there.shape, seed=1)
    back = transpose(coarse, output_size=size)
    torch.testing.assert_close((there * coarse).sum(), (fine * back).sum())
    if size[0] > 4:
        other = noise(*fine.shape, seed=2)
        assert float(((there * coarse).sum() - (other * back).sum()).detach().abs()) > 1e-6


# The weights


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_only_admissible_kernels_annihilate_constants(dim: int) -> None:
    group = ScaleTranslationGroup(dim, base=2**0.5, num_scales=2)
    largest = {}
    for admissible in (True, False):
        torch.manual_seed(0)
        conv = nn.GroupConv(
            1 * group.scalar, 8 * group.regular, basis=FourierBesselBasis(dim), sigma=5.0, admissible=admissible
        )
        means = conv.coefficients().detach() @ torch.from_numpy(conv.basis.means).float()
        assert bool((means.abs() < 1e-6).all()) == admissible
        largest[admissible] = max(float(conv.kernels(s).flatten(2).sum(dim=2).detach().abs().max()) for s in (0, 1))
    assert largest[True] < 0.15 * largest[False]  # of samples the mean is that of the functions to some per cent


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_activations_keep_their_size(dim: int) -> None:
    group = ScaleTranslationGroup(dim, base=2**0.5, num_scales=1)
    torch.manual_seed(0)
    for basis, sigma in bases(dim):
        lift = nn.GroupConv(8 * group.scalar, 64 * group.regular, basis=basis, sigma=sigma, padding_mode="circular")
        y = lift(torch.randn(1, 8, *[{1: 900, 2: 36, 3: 16}[dim]] * dim))
        assert 0.5 < float(y.detach().std()) < 2


def test_a_function_without_samples_gets_no_weight() -> None:
    group = ScaleTranslationGroup(2, num_scales=1)
    conv = nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=FourierBesselBasis(2), sigma=1.0)
    assert torch.isfinite(conv.weight).all()
    assert torch.isfinite(conv(torch.randn(1, 1, 5, 5))).all()


# Life of a module


@pytest.mark.parametrize("dim", [1, 2])
def test_weights_serve_every_window(dim: int) -> None:
    group = ScaleTranslationGroup(dim, base=2**0.5, num_scales=2)
    for basis, sigma in bases(dim):
        conv = nn.GroupConv(1 * group.regular, 2 * group.regular, basis=basis, sigma=sigma).double()
        wide = nn.with_window(conv, num_scales=4, first=-1)
        x = noise(1, 4, *[9] * dim)
        y = wide(x).unflatten(1, (2, 4))[:, :, 1:3]
        torch.testing.assert_close(y.flatten(1, 2), conv(x[:, 1:3]))
        with nn.run_of_scales(wide, 1, 2):
            torch.testing.assert_close(wide(x[:, 1:3]), conv(x[:, 1:3]))
        assert wide.state_dict().keys() == conv.state_dict().keys() == {"weight", "bias"}
        assert not torch.allclose(wide(x).unflatten(1, (2, 4))[:, :, 0], conv(x[:, 1:3]).unflatten(1, (2, 2))[:, :, 0])


@pytest.mark.parametrize("size", [9, 10])
def test_a_frozen_strided_layer_knows_both_phases(size: int) -> None:
    group = ScaleTranslationGroup(2, base=2.0, num_scales=2)
    basis = FourierBesselBasis(2)
    conv = nn.GroupConv(1 * group.regular, 2 * group.regular, basis=basis, sigma=1.5, stride=(2, 3)).double()
    x = noise(1, 2, size, size + 1)
    torch.testing.assert_close(nn.freeze(conv)(x), conv(x))


def test_loading_weights_renews_the_frozen_kernels() -> None:
    group = ScaleTranslationGroup(1, base=2.0, num_scales=2)
    one, other = (
        nn.GroupConv(1 * group.scalar, 2 * group.regular, basis=FourierBesselBasis(1), sigma=3.0).double()
        for _ in range(2)
    )
    frozen, x = nn.freeze(one), noise(1, 1, 9)
    assert not torch.allclose(frozen(x), other(x))
    frozen.load_state_dict(other.state_dict())
    torch.testing.assert_close(frozen(x), other(x))


def test_anisotropic_strides() -> None:
    """A stride along one axis only: the kernel is wider there, and so in voxels of the output it is round."""
    group = ScaleTranslationGroup(2, base=2.0, num_scales=1)
    basis = FourierBesselBasis(2)
    conv = nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=basis, sigma=4.0, stride=(1, 2)).double()
    values = conv.kernels()[0, 0]
    assert values.shape == (9, 17)
    round_one = nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=basis, sigma=4.0).double()
    round_one.load_state_dict(conv.state_dict())
    torch.testing.assert_close(2 * values[:, ::2], round_one.kernels()[0, 0])


# What is refused


@pytest.mark.parametrize("method", ["separable", "spectral"])
def test_only_dense_kernels(method: str) -> None:
    group = ScaleTranslationGroup(2, num_scales=2)
    with pytest.raises(ScaleGroupError, match="'auto' or 'dense' for kernels that are no products"):
        nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=FourierBesselBasis(2), method=method)


def test_a_basis_of_another_dimension_is_refused() -> None:
    group = ScaleTranslationGroup(2, num_scales=2)
    with pytest.raises(ScaleGroupError, match="a basis of dim 2, received one of dim 3"):
        nn.GroupConv(1 * group.scalar, 1 * group.regular, basis=FourierBesselBasis(3))


def test_the_plan_names_the_method() -> None:
    group = ScaleTranslationGroup(2, num_scales=2)
    methods = {}
    for sigma in (1.5, 12.0):
        for method in ("auto", "dense"):
            basis = FourierBesselBasis(2)
            conv = nn.GroupConv(4 * group.scalar, 4 * group.regular, basis=basis, sigma=sigma, method=method)
            plan = conv.plan((1, 4, 48, 48), measure=True)
            methods[sigma, method] = plan.method
            assert [candidate.method for candidate in plan.candidates] == ["dense"]
            assert plan.candidates[0].measured is not None
            assert math.isinf(conv.declared_error)
    assert methods == {
        (1.5, "auto"): "dense",
        (1.5, "dense"): "dense",
        (12.0, "auto"): "wide",
        (12.0, "dense"): "dense",
    }


@pytest.mark.parametrize("dim", [1, 2])
def test_wide_kernels_are_applied_by_their_spectra(dim: int) -> None:
    group = ScaleTranslationGroup(dim, base=2.0, num_scales=2)
    options: dict[str, Any] = {"basis": FourierBesselBasis(dim), "sigma": {1: 60.0, 2: 12.0}[dim], "scale_extent": 2}
    field, size = 4 * group.regular, {1: 700, 2: 40}[dim]
    for padding_mode in ("zeros", "circular"):
        auto = nn.GroupConv(field, field, padding_mode=padding_mode, **options).double()
        assert auto.plan((1, 8, *[size] * dim)).method == "wide"
        dense = nn.GroupConv(field, field, padding_mode=padding_mode, method="dense", **options).double()
        dense.load_state_dict(auto.state_dict())
        x = noise(1, 8, *[size] * dim)
        torch.testing.assert_close(auto(x), dense(x))
        gradients = []
        for conv in (auto, dense):
            conv(x).square().sum().backward()
            gradients.append(conv.weight.grad)
        torch.testing.assert_close(*gradients)
