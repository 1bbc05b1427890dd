"""Wimmer et al. as published: the same numbers, and its defects as METHODS.md 13.6 counts them, each measured."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.wimmer2022 import METHOD, PublishedLayers, unet
from scalegroup.methods.wimmer2022_unet import PublishedUNet
from scalegroup.models import UNet
from scalegroup.symbolic import FixedHermiteBasis
from scalegroup.testing import equivariance_error

PUBLISHED_SCALES = tuple(0.9**i for i in range(4))  # descending, ours ascend
SMALL: dict[str, Any] = {"dim": 2, "in_channels": 2, "channels": (2, 3), "strides": (2,)}


def published_basis(dim: int, power: int | None = None) -> NDArray[np.float64]:
    """`(functions, scales, 5, …)`: Hermite-Gaussians up to a total order of 4, the first 3^dim, L2 norm 1 at σ = 1."""
    x = np.linspace(-2, 2, 5)
    hermite: Any = np.polynomial.hermite_e.hermeval
    degrees = [p[::-1] for p in product(range(5), repeat=dim) if sum(p) <= 4][: 3**dim]  # the last axis slowest
    letters = "xyz"[:dim]
    kernels = []
    for sigma in PUBLISHED_SCALES:
        axis = [hermite(x / sigma, [0] * n + [1]) * np.exp(-(x**2) / (2 * sigma**2)) for n in range(5)]
        factor = sigma ** -(dim if power is None else power)
        kernels.append([factor * np.einsum(",".join(letters), *(axis[n] for n in p)) for p in degrees])
    basis = np.stack([np.stack(one) for one in kernels], axis=1)
    norms = np.sqrt((basis**2).sum(axis=tuple(range(2, 2 + dim)), keepdims=True))
    return np.asarray(basis / norms[:, :1])


# The kernels and the layers


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_kernels_are_the_published_ones(dim: int) -> None:
    conv = PublishedLayers(dim).lift(2, 3)
    assert isinstance(conv, nn.GroupConv)
    weight = conv.coefficients()[:, :, 0].detach().numpy()
    ours = np.stack([conv.kernels(3 - k).detach().numpy() for k in range(4)])  # (scales, out, in, *K)
    expected = np.einsum("ocf,fs...->soc...", weight, published_basis(dim))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)
    assert np.abs(ours[::-1] - expected).max() > 0.01  # other scales
    wrong = np.einsum("ocf,fs...->soc...", weight, published_basis(dim, power=dim - 1))
    assert np.abs(ours - wrong).max() > 0.01  # another power of the scale


def as_groups(x: Tensor) -> Tensor:
    """Channels with the scale fastest, to those with the scale slowest."""
    return x.unflatten(1, (-1, 4)).transpose(1, 2).flatten(1, 2)


@pytest.mark.parametrize("dim", [2, 3])
def test_strided_convolutions_and_their_adjoints_are_torchs(dim: int) -> None:
    layers = PublishedLayers(dim)
    field, wide = layers.field(2), layers.field(3)
    down = layers.between(field, wide, stride=2)
    up = layers.between(wide, field, stride=2, transposed=True)
    x = torch.randn(2, 8, *[9] * dim)
    convolution, adjoint = (F.conv2d, F.conv3d)[dim - 2], (F.conv_transpose2d, F.conv_transpose3d)[dim - 2]
    kernels = torch.cat([down.kernels(s) for s in range(4)])
    y = down(x)
    assert y.shape == (2, 12, *[3] * dim)
    torch.testing.assert_close(as_groups(y), convolution(as_groups(x), kernels, stride=2, groups=4))
    kernels = torch.cat([up.kernels(s).transpose(0, 1) for s in range(4)])
    torch.testing.assert_close(as_groups(up(y)), adjoint(as_groups(y), kernels, stride=2, groups=4))
    wider = nn.GroupConv(field, wide, basis=layers.basis(), stride=2, padding="valid")  # σ in units of the coarse grid
    wider.load_state_dict(down.state_dict())
    assert bool((wider(x) - y).norm() > 0.3 * y.norm())


def test_weights_are_drawn_as_published() -> None:
    """Uniform within ±1/√(inputs · functions)."""
    weight = PublishedLayers().conv(8, 16).weight
    bound = 1 / math.sqrt(8 * 27)
    assert 0.99 * bound < float(weight.detach().abs().max()) <= bound
    assert float(weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_arguments_of_the_layers() -> None:
    layers = PublishedLayers(2, num_scales=3, scale_extent=2, reduction="max", kernel_padding=True)
    assert layers.group.scales == pytest.approx((0.81, 0.9, 1.0))
    assert isinstance(layers.project(2), nn.ScalePool)
    assert layers.project(2).mode == "max"
    assert PublishedLayers(2).project(2).mode == "mean"
    conv = layers.conv(2, 3)
    assert (conv.scale_extent, conv.scale_padding) == (2, "replicate")
    assert [conv.kernels(s).shape[-1] for s in range(3)] == [5, 5, 5]
    narrow = PublishedLayers(2, kernel_padding=True).lift(1, 1)
    assert [narrow.kernels(s).shape[-1] for s in range(4)] == [3, 5, 5, 5]
    assert METHOD.layers is PublishedLayers
    with pytest.raises(ScaleGroupError, match="kernel_size, an odd integer >= 3, received 4"):  # defect 3
        PublishedLayers(kernel_size=4)
    with pytest.raises(ScaleGroupError, match=r"num_scales, an integer >= 1, .*received 'four'"):
        PublishedLayers(num_scales="four")  # type: ignore[arg-type]


# Defect 1: kernels that end too early


def squared_spectrum_errors(basis: FixedHermiteBasis, wmax: float = math.pi / 2) -> dict[tuple[float, float], float]:
    """T1, squared: of white weights (each function alone, summed) on a ball of frequencies."""
    w = np.linspace(-wmax, wmax, 17)
    inside = sum(np.meshgrid(w**2, w**2, w**2)) <= wmax**2 + 1e-9

    def spectra(sigma: float, frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
        values, first = basis.taps(sigma, 0.0)
        waves = values @ np.exp(-1j * np.outer(np.arange(values.shape[1]) + first, frequencies))
        return np.stack([np.einsum("x,y,z", *(waves[n] for n in p))[inside] for p in basis.products])

    errors = {}
    for k, j in product(PUBLISHED_SCALES, repeat=2):
        if k < j:
            own, other = spectra(k, w), spectra(j, w * k / j)
            errors[round(k, 3), round(j, 3)] = float((np.abs(own - other) ** 2).sum() / (np.abs(own) ** 2).sum())
    return errors


def test_kernels_of_two_scales_are_not_one_kernel() -> None:
    """T1² of METHODS.md 13.5; there for some random weights, here their mean, which is 10 to 15 % smaller."""
    table = {(0.9, 1): 0.0057, (0.81, 1): 0.0163, (0.729, 1): 0.0281}
    table |= {(0.81, 0.9): 0.0027, (0.729, 0.9): 0.0088, (0.729, 0.81): 0.0021}
    measured = {(0.9, 1): 0.00510, (0.81, 1): 0.01467, (0.729, 1): 0.02546}
    measured |= {(0.81, 0.9): 0.00243, (0.729, 0.9): 0.00789, (0.729, 0.81): 0.00178}
    errors = squared_spectrum_errors(PublishedLayers().basis())
    assert errors.keys() == table.keys()
    for pair, error in errors.items():
        assert error == pytest.approx(measured[pair], rel=0.02)
        assert 0.8 < error / table[pair] < 1
    longer = squared_spectrum_errors(FixedHermiteBasis(11))
    assert max(longer.values()) < 2e-3  # limited by the narrowest width, which aliases
    padded = squared_spectrum_errors(PublishedLayers(kernel_padding=True).basis())
    assert padded[0.729, 0.81] > 0.07  # .0908 there


@pytest.mark.parametrize(("dim", "least", "most"), [(1, 0.025, 0.037), (2, 0.042, 0.070), (3, 0.063, 0.082)])
def test_the_lifting_is_off_by_percents(dim: int, least: float, most: float) -> None:
    """T2 of the worst scale channel over eight seeds; METHODS.md 0.4 has .040, .041, .042 over all channels."""
    torch.manual_seed(0)
    error = equivariance_error(PublishedLayers(dim).lift(2, 4), protocol="torus").per_scale
    assert 0.9 * least < error < 1.1 * most
    layers = PublishedLayers(dim)
    accurate = nn.GroupConv(2 * layers.group.scalar, layers.field(4), order=4, sigma=1.5)
    assert equivariance_error(accurate, protocol="torus").per_scale < 3e-3


# Defect 2: 27 of 35 functions


def lost(basis: FixedHermiteBasis, a: int, b: int) -> float:
    """T9: share of the energy of the functions that leaves their span when two axes are swapped."""
    values, _ = basis.taps(1.0, 0.0)
    kernels = np.stack([np.einsum("x,y,z", *(values[n] for n in p)) for p in basis.products])
    swapped = np.swapaxes(kernels, 1 + a, 1 + b).reshape(len(kernels), -1)
    span = np.linalg.qr(kernels.reshape(len(kernels), -1).T)[0]
    return float(((swapped - swapped @ span @ span.T) ** 2).sum() / (swapped**2).sum())


def test_the_axes_are_not_alike() -> None:
    basis = PublishedLayers().basis()
    assert [max(p[axis] for p in basis.products) for axis in range(3)] == [4, 4, 2]
    assert lost(basis, 0, 2) == pytest.approx(0.112, abs=5e-4)
    assert lost(basis, 0, 1) == pytest.approx(0.025, abs=5e-4)
    assert lost(FixedHermiteBasis(5, 3, "single"), 0, 2) < 1e-12


# Defect 7: statistics of the batch at test time


@pytest.mark.parametrize("tracked", [False, True])
def test_the_result_depends_on_what_else_is_in_the_batch(tracked: bool) -> None:
    torch.manual_seed(0)
    field = PublishedLayers(2).field(2)
    norm = nn.BatchNorm(field) if tracked else PublishedLayers(2).norm(2)
    x = torch.randn(1, 8, 9, 9)
    apart, together = norm.eval()(x), norm(torch.cat([x, 3 * x]))[:1]
    error = ((apart - together).norm() / apart.norm()).item()
    assert error == pytest.approx(0.0 if tracked else 1 - 1 / math.sqrt(5), abs=0.01)


# Defect 10: strides without a blur


def strided(dim: int, **options: Any) -> nn.Sequential:
    """Lifting, stride of 2, convolution; a blur before the stride unless there is a basis."""
    group = PublishedLayers(dim).group
    image, field = 2 * group.scalar, 4 * group.regular
    narrow = options | ({"sigma": 0.5} if "basis" in options else {})
    stride = nn.GroupConv(field, field, stride=2, **narrow) if "basis" in options else nn.ScaleBlurPool(field)
    lift, conv = nn.GroupConv(image, field, **options), nn.GroupConv(field, field, **options)
    return nn.Sequential(lift, nn.Pointwise(field), stride, nn.Pointwise(field), conv)


@pytest.mark.parametrize(("dim", "least", "most"), [(1, 0.10, 0.44), (2, 0.20, 0.47), (3, 0.20, 0.41)])
def test_strided_convolutions_are_not_equivariant(dim: int, least: float, most: float) -> None:
    """T3 over ten seeds; METHODS.md 0.4 has .32 in 2-D, and .0026 where blur and kernels are as wide as needed."""
    torch.manual_seed(0)
    published = strided(dim, basis=PublishedLayers(dim).basis())
    assert 0.9 * least < equivariance_error(published, protocol="torus").per_scale < 1.1 * most
    assert equivariance_error(strided(dim, sigma=1.5), protocol="torus").per_scale < 0.03


# The U-Net


def test_parameters() -> None:
    """75,555 there, and 149,238 with two neighbouring scales: the bias of the 1×1 shortcut is never used (defect 4)."""
    net = unet()
    shortcut = net.downs[3].shortcut
    assert isinstance(shortcut, nn.Linear)
    assert shortcut.bias is None
    never_used = shortcut.out_type.num_fields
    assert sum(p.numel() for p in net.parameters()) == 75_555 - never_used == 75_523
    assert sum(p.numel() for p in unet(scale_extent=2).parameters()) == 149_238 - never_used


def test_every_parameter_gets_a_gradient() -> None:
    """T8."""
    torch.manual_seed(0)
    net = unet(2, channels=(2, 3, 4), strides=(2, 2), scale_extent=2)
    net(torch.randn(2, 4, 21, 21)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in net.parameters())
    twin = nn.Linear(net.out_type, net.out_type)
    assert twin.bias is not None
    assert twin.bias.grad is None


def test_sizes() -> None:
    """Published: crops from 240 and 155 to 237 and 149 voxels."""
    net = unet(1)
    sizes = [net.fitting_size(n) for n in (1, 29, 30, 149, 150, 155, 237, 240)]
    assert sizes == [29, 29, 37, 149, 157, 157, 237, 245]
    assert net.fitting_size(sizes[-1]) == sizes[-1]
    for size in (1, 12, 29, 30, 37):
        assert net(torch.randn(1, 4, size)).shape == (1, 1, size)
    assert unet(1, channels=(2, 3, 3), strides=(1, 3)).fitting_size(12) == 14
    assert unet(1, channels=(2, 3, 3), strides=(1, 3))(torch.randn(1, 4, 12)).shape == (1, 1, 12)


def test_volumes_of_other_sizes_are_surrounded_by_zeros() -> None:
    torch.manual_seed(0)
    net = unet(**SMALL).eval()
    x = torch.randn(1, 2, 12, 13)
    whole = net(F.pad(x, [0, 0, 0, 1]))
    torch.testing.assert_close(net(x), whole[:, :, :12])
    assert bool((net(x) - net(F.pad(x, [0, 0, 1, 0]))[:, :, 1:]).norm() > 1e-3)


def test_train_and_eval_agree_but_for_dropout() -> None:
    """T10: there are no running statistics."""
    torch.manual_seed(0)
    net, x = unet(**SMALL, dropout=0.0), torch.randn(2, 2, 13, 13)
    trained = net(x)
    assert bool(trained.isfinite().all())
    assert bool(torch.equal(net.eval()(x), trained))
    assert not any("running" in name for name in net.state_dict())
    dropping = unet(**SMALL, dropout=0.5)
    dropping.load_state_dict(net.state_dict())
    assert not torch.allclose(dropping(x), trained)


class BeforeProjection(nn.EquivariantModule):
    """The U-Net's features on all scales."""

    def __init__(self, net: PublishedUNet) -> None:
        field: FieldType = net.project.in_type
        super().__init__(net.in_type, field)
        self.net, net.project = net, torch.nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def test_the_unet_is_not_equivariant() -> None:
    """Scaling smooth blobs by 0.9 changes the scale channels by as much as they are: more than doing nothing would.

    Measured with seeds 0 to 3: .96, .80, .99, 1.05 (METHODS.md 13.5: above 1.3, by another protocol).
    """
    torch.manual_seed(0)
    result = equivariance_error(BeforeProjection(unet()), size=53)
    assert 0.7 < result.per_scale < 1.2
    assert result.per_scale > 1.5 * result.trivial
    ours = UNet(3, 4, 1, (2, 4), (2,), base=1 / 0.9, num_scales=3, first=0, scale_pool=None, norm="batch")
    assert equivariance_error(ours, size=53).per_scale < 0.01


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"channels": (2,), "strides": ()}, r"two or more channels and a stride for all but .* received channels=\(2,"),
        ({"channels": (2, 3), "strides": (2, 2)}, r"a stride for all but the last .* strides=\(2, 2\)"),
        ({"strides": (2, 2, 0)}, "strides, integers >= 1, received 0"),
        ({"strides": ((2, 1), 2, 2)}, "strides, integers >= 1, received"),
        ({"dropout": 1.0}, "p, a probability in"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        unet(2, **arguments)
