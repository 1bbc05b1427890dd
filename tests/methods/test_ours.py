"""The library's own method keeps the tolerances of METHODS.md 13.2, which the published layers miss."""

from __future__ import annotations

from itertools import permutations
from statistics import mean

import pytest
import torch

from scalegroup import nn
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.ours import METHOD, HermiteLayers, classifier, unet
from scalegroup.methods.wimmer2022 import PublishedLayers
from scalegroup.models import Classifier, UNet
from scalegroup.symbolic import FixedHermiteBasis, HermiteBasis
from scalegroup.testing import equivariance_error, kernel_spectrum_error

BASE = 1 / 0.9
DIMS = pytest.mark.parametrize("dim", [1, 2, 3])


def spectrum_error(layers: RegularLayers) -> float:
    """T1: all scales against the finest, on |w| ≤ π/2."""
    torch.manual_seed(0)
    conv = layers.lift(2, 4)
    assert isinstance(conv, nn.GroupConv)
    return float(kernel_spectrum_error(conv)[:, 0].max())


def torus_error(module: torch.nn.Module) -> float:
    """T2 and T3, of the worst scale channel."""
    return equivariance_error(module, protocol="torus").per_scale


def three_layers(layers: RegularLayers, activation: type[torch.nn.Module], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    field = layers.field(4)
    acts = [nn.Pointwise(field, activation()) for _ in range(2)]
    return nn.Sequential(layers.lift(2, 4), acts[0], layers.conv(4, 4), acts[1], layers.conv(4, 4))  # type: ignore[arg-type]


@DIMS
@pytest.mark.parametrize("base", [BASE, 2**0.5])
def test_kernels_of_all_scales_are_one_kernel(dim: int, base: float) -> None:
    """T1 ≤ 1e-4 at a width of 1.5 voxels; measured 5e-6 and 2e-5, and 1e-4 to 2e-4 at the default width of 1."""
    assert spectrum_error(HermiteLayers(dim, base, sigma=1.5)) < 1e-4
    assert spectrum_error(HermiteLayers(dim, base)) < 5e-4  # METHODS.md section 6, point 2
    assert spectrum_error(PublishedLayers(dim)) > 0.05


@DIMS
def test_the_lifting(dim: int) -> None:
    """T2 ≤ 3e-4 at the default width; measured 1e-4, 7e-5, 5e-5."""
    torch.manual_seed(0)
    assert torus_error(HermiteLayers(dim).lift(2, 4)) < 3e-4
    assert torus_error(PublishedLayers(dim).lift(2, 4)) > 0.01


@DIMS
@pytest.mark.parametrize(("activation", "bound"), [(torch.nn.SiLU, 2e-2), (torch.nn.ReLU, 5e-2)])
def test_three_layers(dim: int, activation: type[torch.nn.Module], bound: float) -> None:
    """T3 at a width of 1.5 voxels, the mean over four networks.

    Measured over eight: .001 to .016 with SiLU and .011 to .066 with ReLU, the most in 1-D; the published layers .06 to
    .18 and .06 to .26. At the default width .006 to .030 and .025 to .114.
    """
    ours = [torus_error(three_layers(HermiteLayers(dim, BASE, sigma=1.5), activation, seed)) for seed in range(4)]
    theirs = [torus_error(three_layers(PublishedLayers(dim), activation, seed)) for seed in range(4)]
    assert mean(ours) < bound < mean(theirs)


@DIMS
def test_the_unet(dim: int) -> None:
    """T3 ≤ 3e-2; measured 2e-5, because each scale has a grid of its own."""
    torch.manual_seed(0)
    size = {1: 72, 2: 36, 3: 16}[dim]
    net = UNet(dim, 1, 2, (4, 8), (2,), scale_pool=None)
    result = equivariance_error(net, scale=2.0, protocol="torus", size=size)
    assert result.per_scale < 1e-4
    assert result.trivial > 1
    one_grid = UNet(dim, 1, 2, (4, 8), (2,), scale_pool=None, sampling="uniform")
    assert equivariance_error(one_grid, scale=2.0, protocol="torus", size=size).per_scale > 1e-3
    assert METHOD.unet is unet
    assert repr(unet(dim, 1, 2, (4, 8), (2,))) == repr(UNet(dim, 1, 2, (4, 8), (2,)))


@DIMS
def test_there_and_back(dim: int) -> None:
    """T3 with `ScaleBlurPool` ≤ 3e-2, at a width of 1.5 voxels and with all scales on one grid."""

    def net(layers: RegularLayers, stride: nn.EquivariantModule) -> nn.Sequential:
        parts = [layers.lift(1, 4), layers.act(4), stride, layers.conv(4, 4), layers.act(4), layers.up(4)]
        return nn.Sequential(*parts)  # type: ignore[arg-type]

    torch.manual_seed(0)
    ours, theirs = HermiteLayers(dim, sigma=1.5), PublishedLayers(dim)
    field = theirs.field(4)
    narrow = nn.GroupConv(field, field, basis=theirs.basis(), sigma=0.5, stride=2)
    assert torus_error(net(ours, nn.ScaleBlurPool(ours.field(4)))) < 3e-2 < 0.1 < torus_error(net(theirs, narrow))


@DIMS
def test_the_axes_are_alike(dim: int) -> None:
    """T9: a permutation of the axes permutes the products."""
    basis = HermiteLayers(dim).basis()
    for axes in permutations(range(dim)):
        assert {tuple(p[a] for a in axes) for p in basis.products} == set(basis.products)
    published = set(FixedHermiteBasis().products)
    assert {p[::-1] for p in published} != published


def test_statistics() -> None:
    """T10: one mean and variance for all scales of a field, finite and positive; eval mode uses them."""
    torch.manual_seed(0)
    net = classifier(2, 1, 3, (2, 3))
    for _ in range(3):
        assert bool(torch.isfinite(net(torch.randn(4, 1, 12, 12))).all())
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm)]
    assert [norm.running_var.shape for norm in norms] == [(2,), (3,)]  # type: ignore[union-attr]
    assert all(bool((norm.running_var > 0).all()) for norm in norms)  # type: ignore[operator]
    one, two = torch.randn(2, 1, 1, 12, 12)
    torch.testing.assert_close(net.eval()(torch.cat([one, two]))[:1], net(one))
    assert not torch.allclose(net.train()(torch.cat([one, two]))[:1], net(one))


def test_the_networks_are_the_librarys_own() -> None:
    net = METHOD.classifier(2, 1, 10, (4, 8))  # type: ignore[misc]
    assert repr(net) == repr(Classifier(2, 1, 10, (4, 8), (1, 2), scale_pool="mean"))
    assert HermiteLayers(2).basis() == HermiteBasis(2, 2)
    assert HermiteLayers(2, scale_extent=2).conv(2, 2).scale_extent == 2
    three = METHOD.unet(2, 1, 1, (2, 3), (2,), base=2.0, num_scales=3)  # type: ignore[misc]
    assert repr(three) == repr(UNet(2, 1, 1, (2, 3), (2,), base=2.0, num_scales=3))
