"""DISCO: exact under factors of two, accurate in between."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.sosnovik2021 import DiscoLayers, whole_ratio
from scalegroup.nn.module import group_of
from scalegroup.symbolic import DilatedBasis
from scalegroup.testing import circular, kernel_spectrum_error

DIMS = (1, 2, 3)
SIZES = {1: 96, 2: 48, 3: 24}
MNIST: dict[str, Any] = {"kernel_size": 7, "sigma": 1.9, "kind": "B"}


def lift(layers: DiscoLayers, channels: int = 8, seed: int = 0) -> nn.GroupConv:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = layers.lift(1, channels)
    assert isinstance(layer, nn.GroupConv)
    return layer


def lattice_error(conv: nn.GroupConv, factor: int, steps: int, dtype: torch.dtype = torch.float64) -> float:
    """T4 for white noise g on the torus and f[n] = g[a n]: `F_g[s a][a n]` against `F_f[s][n]`."""
    dim = group_of(conv.in_type).dim
    conv = circular(conv).to(dtype).requires_grad_(False)
    g = torch.randn(1, 1, *[SIZES[dim]] * dim, dtype=dtype, generator=torch.Generator().manual_seed(0))
    every = (slice(None), slice(None), *[slice(None, None, factor)] * dim)
    scales = group_of(conv.out_type).num_scales
    small, large = (conv(x).unflatten(1, (-1, scales)) for x in (g[every], g))
    small, large = small[:, :, : scales - steps].flatten(1, 2), large[:, :, steps:].flatten(1, 2)[every]
    return float((large - small).norm() / small.norm())


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(
    ("base", "factor", "steps"), [(2**0.5, 2, 2), (2 ** (1 / 3), 2, 3), (2.0, 2, 1), (3**0.5, 3, 2)]
)
def test_factors_of_a_whole_number_are_exact_for_white_noise(dim: int, base: float, factor: int, steps: int) -> None:
    conv = lift(DiscoLayers(dim, base, num_scales=4 if base != 2 else 3))
    assert lattice_error(conv, factor, steps) < 1e-12
    assert lattice_error(conv, factor, steps, torch.float32) < 1e-6


def test_the_lattice_test_can_fail() -> None:
    layers = DiscoLayers(1)
    free = DilatedBasis(layers.kernel.profile, 3, 0.9, ratio=None, dim=1)  # √8 is fitted by itself, not twice √2
    conv = nn.GroupConv(1 * layers.group.scalar, layers.field(8), basis=free)
    assert lattice_error(conv, 2, 2) > 1e-2
    sampled = nn.GroupConv(1 * layers.group.scalar, layers.field(8))
    assert lattice_error(sampled, 2, 2) > 1e-2


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("base", [2**0.5, 2 ** (1 / 3)])
def test_kernels_in_between_have_the_same_spectrum(dim: int, base: float) -> None:
    options: dict[str, Any] = MNIST if dim < 3 else {"kernel_size": 5, "sigma": 1.9, "kind": "B"}
    errors = kernel_spectrum_error(lift(DiscoLayers(dim, base, **options)))[:, 0]
    assert errors.max() < 2e-3  # METHODS section 10
    assert errors.max() < 2e-4  # measured: 3e-5 to 1e-4
    assert errors[3 if base < 1.3 else 2] < 1e-14  # twice the smallest scale
    assert kernel_spectrum_error(lift(DiscoLayers(dim, base)))[:, 0].max() < 5e-4  # the defaults; measured: 2e-4


def test_the_spectrum_test_can_fail() -> None:
    narrow = kernel_spectrum_error(lift(DiscoLayers(2, extra=0)))[:, 0]
    assert narrow[1] > 2e-3
    conv = lift(DiscoLayers(2))
    conv.register_constant("taps_1_1_0", 2**0.5 * conv.taps_of(1, 0, 0)[0].numpy())  # another power of the scale
    assert kernel_spectrum_error(conv)[1, 0] > 0.1


def test_twice_a_scale_has_no_taps_on_odd_voxels() -> None:
    conv = lift(DiscoLayers(2, **MNIST))
    for k in (0, 1):
        fine, wide = conv.kernels(k), conv.kernels(k + 2)
        assert wide[..., 1::2, :].count_nonzero() == 0
        assert wide[..., :, 1::2].count_nonzero() == 0
        torch.testing.assert_close(wide[..., ::2, ::2], fine, rtol=0, atol=1e-6)


def test_the_default_spans_all_kernels_of_three_voxels() -> None:
    layers = DiscoLayers(3)
    values, _ = layers.basis().taps(1.0, 0.0)
    assert len(layers.basis()) == 27
    assert torch.linalg.matrix_rank(torch.from_numpy(values)) == 3
    assert len(DiscoLayers(2, **MNIST).basis()) == 49


def test_other_bases_and_bad_arguments() -> None:
    assert [whole_ratio(base) for base in (2**0.5, 2 ** (1 / 3), 2.0, 3**0.5, 1.5)] == [2, 2, 2, 3, None]
    assert kernel_spectrum_error(lift(DiscoLayers(2, 1.5)))[:, 0].max() < 5e-4  # nowhere exact, but as accurate
    with pytest.raises(ScaleGroupError, match="kind 'A' or 'B'"):
        DiscoLayers(kind="C")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="kernel_size, an odd integer"):
        DiscoLayers(kernel_size=4)


@pytest.mark.parametrize("dim", DIMS)
def test_both_scales_of_a_mixed_kernel_get_a_gradient(dim: int) -> None:
    mixed = DiscoLayers(dim, scale_extent=2).conv(2, 2)
    assert isinstance(mixed, nn.GroupConv)
    mixed(torch.randn(1, 8, *[12] * dim)).square().sum().backward()
    slope = mixed.weights[0].grad
    assert slope is not None
    assert bool((slope.abs().amax(dim=(0, 1, 3)) > 0).all())
