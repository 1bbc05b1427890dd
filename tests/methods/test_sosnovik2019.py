"""SESN: as accurate as its kernels are wide, and the figures of the published ones."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import torch

from scalegroup import methods, nn
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.sosnovik2019 import SteerableLayers
from scalegroup.testing import circular, equivariance_error, kernel_spectrum_error
from scalegroup.testing.inputs import Waves, centred

DIMS = (1, 2, 3)
STL: dict[str, Any] = {"kernel_size": 7, "sigma": 0.9, "effective_size": 3, "kind": "A", "base": 1.41}


def wide(dim: int, sigma: float, base: float = 3**0.5, **options: Any) -> SteerableLayers:
    """Kernels of 4.5 widths on each side at every scale, which is an argument away from the published ones."""
    size = 2 * int(np.ceil(4.5 * sigma * base**2)) + 9
    return SteerableLayers(dim, base, kernel_size=size, sigma=sigma, effective_size=3, kind="A", **options)


def lift(layers: SteerableLayers, channels: int = 8) -> nn.GroupConv:
    torch.manual_seed(0)
    layer = layers.lift(1, channels)
    assert isinstance(layer, nn.GroupConv)
    return layer


def each_function(layers: SteerableLayers) -> nn.GroupConv:
    """A lifting whose output channels are the functions of the basis."""
    conv = lift(layers, len(layers.basis())).double()
    with torch.no_grad():
        conv.weights[0].copy_(torch.eye(len(layers.basis()))[:, None, None])
    return conv


# Against the published formula


def hermite(degree: int, x: Any) -> Any:
    """The probabilists' polynomial."""
    evaluate: Any = np.polynomial.hermite_e.hermeval
    return evaluate(x, [0] * degree + [1])


def published(dim: int, sigmas: list[float], size: int, e: int, kind: str, mult: float) -> list[Any]:
    """The basis of the published code at every scale, `(F, *K)`: the formulas of METHODS.md section 6."""
    top = e - 1 if kind == "A" else 4
    degrees = [n[::-1] for n in product(range(top + 1), repeat=dim) if kind == "A" or sum(n) <= 4]
    count = 1 if kind == "A" else -(-(e**dim) // len(degrees))
    scales = []
    for sigma in sigmas:
        own = int(size * sigma / max(sigmas) + 1e-9) // 2 * 2 + 1
        x = np.linspace(-(own // 2), own // 2, own)
        functions = []
        for width in [sigma / mult**j for j in range(count)]:
            for n in degrees:
                kernel = np.ones(())
                for degree in n:
                    factor = hermite(degree, x / width) * np.exp(-(x**2) / (2 * width**2)) / width
                    kernel = np.multiply.outer(kernel, factor)
                functions.append(kernel)
        scales.append(np.array(functions[: e**dim]))
    norms = np.sqrt((scales[0] ** 2).sum(axis=tuple(range(1, dim + 1)), keepdims=True))
    return [functions / norms for functions in scales]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("kind", ["A", "B"])
def test_kernels_are_those_of_the_published_code(dim: int, kind: Any) -> None:
    e = 7 if dim < 3 else 4
    conv = each_function(SteerableLayers(dim, effective_size=e, kind=kind))
    for k, wanted in enumerate(published(dim, [1.5, 1.5 * 3**0.5, 4.5], 13, e, kind, 1.5)):
        kernels = conv.kernels(k)[:, 0].detach().numpy()
        assert kernels.shape == wanted.shape
        assert np.abs(kernels - wanted).max() < 1e-6
    other = published(dim, [1.5, 1.5 * 3**0.5, 4.5], 13, e, kind, 1.4 if kind == "B" else 1.5)
    assert kind == "A" or np.abs(conv.kernels(0)[:, 0].detach().numpy() - other[0]).max() > 1e-2


def test_sizes_grow_with_the_scale() -> None:
    for options, sizes in (({}, [5, 7, 13]), (STL, [3, 5, 7]), ({"num_scales": 4}, [5, 7, 13, 23])):
        conv = lift(SteerableLayers(2, **options))
        assert [conv.kernels(k).shape[-1] for k in range(len(sizes))] == sizes


# T1, T2, T3


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(("sigma", "tolerance"), [(1.0, 5e-4), (1.5, 2e-5)])
def test_wide_kernels_have_one_spectrum(dim: int, sigma: float, tolerance: float) -> None:
    assert kernel_spectrum_error(lift(wide(dim, sigma)))[:, 0].max() < tolerance
    assert kernel_spectrum_error(lift(SteerableLayers(dim, sigma=sigma)))[:, 0].max() > 50 * tolerance


def test_the_spectra_of_published_kernels() -> None:
    """Measured: squared, each scale against the next, over all functions. METHODS.md has .080 and .004 for MNIST."""
    squared = kernel_spectrum_error(each_function(SteerableLayers(2))) ** 2
    assert np.diag(squared, 1) == pytest.approx([0.080, 0.004], rel=0.06)
    # for STL-10 METHODS.md has .024 and 2e-4, without saying of which functions on which frequencies
    assert np.diag(kernel_spectrum_error(each_function(SteerableLayers(2, **STL))) ** 2, 1) == pytest.approx(
        [0.0355, 0.0004], rel=0.1
    )


@pytest.mark.parametrize("dim", DIMS)
def test_wide_kernels_are_equivariant_on_the_torus(dim: int) -> None:
    size = {1: 72, 2: 72, 3: 36}[dim]
    layers = wide(dim, 1.0, base=10 / 9)
    conv = lift(layers)
    assert equivariance_error(conv, protocol="torus", size=size).error < 3e-4
    published = lift(SteerableLayers(dim, base=10 / 9))
    assert equivariance_error(published, protocol="torus", size=size).error > 1e-2


def three_layers(layers: SteerableLayers) -> nn.Sequential:
    """Convolutions with activations between them; what they activate has a standard deviation of 1 on the torus."""
    torch.manual_seed(0)
    x = Waves.random(1 * layers.group.scalar, period=72).sample([centred(72)] * layers.dim)
    parts: list[Any] = [layers.lift(1, 4), layers.act(4), layers.conv(4, 4), layers.act(4), layers.conv(4, 4)]
    with torch.no_grad():
        for part in parts:
            part.double()
            x = circular(part)(x)
            if isinstance(part, nn.GroupConv):
                part.weights[0].div_(x.std())
                x = x / x.std()
    return nn.Sequential(*parts)


@pytest.mark.parametrize("dim", [1, 2])
def test_three_layers_with_activations(dim: int) -> None:
    """METHODS.md has 2e-2; over eight seeds .008 to .030, .019 in the mean, and published kernels .11 to .32."""
    wide_error = equivariance_error(three_layers(wide(dim, 1.0, base=10 / 9)), protocol="torus", size=72).error
    assert wide_error < 4e-2
    published_layers = SteerableLayers(dim, base=10 / 9)
    assert equivariance_error(three_layers(published_layers), protocol="torus", size=72).error > 8e-2


# T8, T9, T10


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("scalar", [False, True])
def test_every_parameter_gets_a_gradient(dim: int, scalar: bool) -> None:
    layers = SteerableLayers(dim, scalar=scalar, scale_extent=1 if scalar else 2)
    net = torch.nn.Sequential(
        layers.lift(1, 2), layers.norm(2), layers.act(2), layers.conv(2, 3), layers.act(3), layers.project(3)
    )
    y = net(torch.randn(2, 1, *[14] * dim))
    assert y.shape == (2, 3, *[14] * dim)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def asymmetry(layers: SteerableLayers) -> float:
    """T9: the largest share of the basis that leaves its span when axes are exchanged or flipped."""
    functions = each_function(layers).kernels(2)[:, 0].detach()
    span = torch.linalg.svd(functions.flatten(1), full_matrices=False)
    kept = span.Vh[span.S / span.S[0] > 1e-9]
    shares = []
    for order in permutations(range(1, functions.ndim)):
        for axes in ([], [1]):
            moved = functions.permute(0, *order).flip(axes).flatten(1)
            shares.append(float(((moved - moved @ kept.T @ kept) ** 2).sum() / (moved**2).sum()))
    return max(shares)


@pytest.mark.parametrize(("dim", "share"), [(1, 0.0), (2, 0.0028), (3, 0.038)])
def test_axes_are_alike_in_basis_a_only(dim: int, share: float) -> None:
    """Measured of B: it ends after 49 functions of 60 in 2-D, after 27 of 35 in 3-D. One axis is always alike."""
    assert asymmetry(SteerableLayers(dim, kind="A")) < 1e-12
    assert asymmetry(SteerableLayers(dim, kind="B")) == pytest.approx(share, rel=0.05, abs=1e-12)


@pytest.mark.parametrize("dim", DIMS)
def test_statistics_are_those_of_all_scales(dim: int) -> None:
    layers = SteerableLayers(dim)
    norm = layers.norm(2)
    assert isinstance(norm, nn.BatchNorm)
    sizes = torch.tensor([1.0, 5.0, 9.0]).repeat(2).view(6, *[1] * dim)
    x = sizes * torch.randn(3, 6, *[{1: 400, 2: 20, 3: 8}[dim]] * dim)
    y = norm(x).detach().unflatten(1, (2, 3))
    ratios = y.std(dim=(0, 1, *range(3, dim + 3)))
    assert float(ratios[2] / ratios[0]) == pytest.approx(9, rel=0.2)  # one number for all scales, as they are compared
    variance = norm.state_dict()["running_var"]
    assert variance.shape == (2,)
    assert bool((variance > 0).all())
    assert bool(torch.isfinite(norm.eval()(x)).all())


def test_bad_arguments() -> None:
    with pytest.raises(ScaleGroupError, match="kind 'A' or 'B'"):
        SteerableLayers(kind="C")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match="kernel_size, an odd integer"):
        SteerableLayers(kernel_size=12)
    with pytest.raises(ScaleGroupError, match="a width of at least"):
        lift(SteerableLayers(2, num_scales=5, kernel_size=13))
    net = methods.unet("sosnovik2019", dim=2, channels=(2, 3))
    assert net(torch.randn(1, 1, 15, 16)).shape == (1, 1, 15, 16)
