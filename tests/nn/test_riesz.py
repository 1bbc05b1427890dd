"""Riesz transforms: their algebra, exact equivariance without a scale axis, and what lies outside the volume."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn import riesz
from scalegroup.nn.module import group_of
from scalegroup.testing import LayerContract, equivariance_error

SIZES = {1: (36, 27), 2: (20, 15), 3: (12, 9)}  # of f and of its band-limited copy


def group(dim: int) -> sg.ScaleTranslationGroup:
    return sg.ScaleTranslationGroup(dim)


def layer(dim: int, order: int = 2, fields: int = 1, **options: object) -> sg.nn.RieszConv:
    torch.manual_seed(0)
    field = fields * group(dim).scalar
    return sg.nn.RieszConv(field, field, order=order, **options).double()  # type: ignore[arg-type]


def only(conv: sg.nn.RieszConv, *alphas: tuple[int, ...]) -> sg.nn.RieszConv:
    """The sum of these products of Riesz transforms."""
    with torch.no_grad():
        conv.weight.zero_()
        for alpha in alphas:
            conv.weight[:, :, conv.indices.index(alpha)] = 1
    return conv


def cropped(x: Tensor, size: int) -> Tensor:
    """A band-limited field on a periodic grid of another size: its waves are the same."""
    for axis in range(2, x.ndim):
        spectrum, n = torch.fft.rfft(x, dim=axis), x.shape[axis]
        x = torch.fft.irfft(spectrum.narrow(axis, 0, min(n, size) // 2 + 1), n=size, dim=axis) * (size / n)
    return x


@torch.no_grad()
def resampling_error(conv: sg.nn.RieszConv, x: Tensor, size: int) -> float:
    wanted = conv(cropped(x, size))
    return float((cropped(conv(x), size) - wanted).norm() / wanted.norm())


def band_limited(dim: int, channels: int = 1) -> Tensor:
    torch.manual_seed(1)
    large, small = SIZES[dim]  # the small size is odd, so that it holds no Nyquist frequency
    return cropped(cropped(torch.randn(2, channels, *[large] * dim, dtype=torch.float64), small), large)


class TestRieszConv(LayerContract):
    protocol = "torus"
    size = 12

    def make_field(self, group: sg.ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar

    def make_layer(self, field: FieldType) -> sg.nn.RieszConv:
        return sg.nn.RieszConv(field, 3 * group_of(field).scalar, padding_mode="circular")


class TestRieszConvReplicated(TestRieszConv):
    """What lies outside the volume is no part of the law on the torus."""

    tolerance = 0.0

    def make_layer(self, field: FieldType) -> sg.nn.RieszConv:
        return sg.nn.RieszConv(field, 3 * group_of(field).scalar)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_squares_sum_to_minus_the_identity(dim: int) -> None:
    squares = [tuple(2 * int(i == axis) for i in range(dim)) for axis in range(dim)]
    conv = only(layer(dim, padding_mode="circular"), *squares)
    x = torch.randn(2, 1, *[10, 9, 8][:dim], dtype=torch.float64)  # with Nyquist frequencies
    mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
    assert (conv(x) + (x - mean)).abs().max() < 1e-14
    assert (conv(x) + x).abs().max() > 1e-2  # the mean is lost


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_commutes_with_resampling(dim: int) -> None:
    x, conv = band_limited(dim, 2), layer(dim, fields=2, padding_mode="circular")
    small = SIZES[dim][1]
    error = resampling_error(conv, x, small)
    assert error < 1e-14


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_another_power_of_the_frequency_does_not_commute(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    true = riesz.riesz_multipliers

    def derivative(*arguments: object) -> list[Tensor]:  # -i w_j in place of -i w_j/|w|
        norm = sum(
            (torch.fft.fftfreq(n, dtype=torch.float64).view([-1 if i == a else 1 for i in range(dim)]) ** 2)
            for a, n in enumerate(arguments[1])  # type: ignore[arg-type]
        ).sqrt()[..., : arguments[1][-1] // 2 + 1]  # type: ignore[index, union-attr]
        return [m * norm for m in true(*arguments)]  # type: ignore[arg-type]

    monkeypatch.setattr(riesz, "riesz_multipliers", derivative)
    x, conv = band_limited(dim), layer(dim, padding_mode="circular")
    small = SIZES[dim][1]
    error = resampling_error(conv, x, small)
    assert error == pytest.approx(1 / 4, rel=1e-9)  # 1 - 3/4, the factor of a first derivative


def test_in_one_dimension_it_is_the_hilbert_transform() -> None:
    t = torch.arange(16, dtype=torch.float64) * (2 * torch.pi * 3 / 16)
    y = only(layer(1, order=1, padding_mode="circular"), (1,))(t.cos().view(1, 1, -1))
    assert torch.allclose(y[0, 0], t.sin())


def test_axes_are_alike() -> None:
    """T9: permuted axes permute the transforms, and a flipped axis changes the sign of those that are odd along it."""
    indices, space = riesz.riesz_indices(3, 3), [6, 7, 8]
    conv = layer(3, order=3, padding_mode="circular")
    x = torch.randn(1, 1, *space, dtype=torch.float64)
    with torch.no_grad():
        for alpha in indices:
            y = only(conv, alpha)(x)
            permuted = only(conv, (alpha[2], alpha[0], alpha[1]))(x.permute(0, 1, 4, 2, 3))
            assert torch.allclose(permuted, y.permute(0, 1, 4, 2, 3))
            flipped = only(conv, alpha)(x.flip(2)).flip(2)
            assert torch.allclose(flipped, (-1) ** alpha[0] * y)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_each_order_keeps_the_energy(dim: int, order: int) -> None:
    indices = riesz.riesz_indices(order, dim)
    space = [9, 7, 5][:dim]
    multipliers = riesz.riesz_multipliers(indices, space, torch.zeros(1, dtype=torch.float64))
    energy = sum(m.abs() ** 2 for m, alpha in zip(multipliers, indices, strict=True) if sum(alpha) == order)
    energy.view(-1)[0] = 1  # type: ignore[union-attr]  # the mean
    assert (energy - 1).abs().max() < 1e-14  # type: ignore[union-attr]


def test_new_weights_keep_the_variance() -> None:
    torch.manual_seed(0)
    field = 64 * group(2).scalar
    y = sg.nn.RieszConv(field, field)(torch.randn(1, 64, 33, 33)).detach()
    assert float(y.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "zeros", "circular"])
@pytest.mark.parametrize("space", [(8, 9), (1, 5), (2, 3)])
def test_shapes_stay(mode: str, space: tuple[int, int]) -> None:
    assert layer(2, padding_mode=mode)(torch.randn(1, 1, *space, dtype=torch.float64)).shape == (1, 1, *space)


def test_a_mirror_image_has_no_seam() -> None:
    """The transform of a mirror image is that of an even periodic signal, computed by hand on the whole period."""
    x = torch.randn(1, 1, 7, dtype=torch.float64)
    whole = torch.cat([x, x.flip(2)[..., 1:-1]], dim=2)
    wanted = layer(1, padding_mode="circular")(whole)[..., :7]
    assert torch.allclose(layer(1, padding_mode="reflect")(x), wanted)
    assert not torch.allclose(layer(1, padding_mode="circular")(x), wanted)


def test_content_inside_the_volume() -> None:
    """Blobs on one grid, as scans come: the periodic continuation is what is left of the error, less in more axes."""
    results = [equivariance_error(layer(dim), scale=1.5) for dim in (1, 2, 3)]
    assert [r.error for r in results] == pytest.approx([4.7e-2, 5.7e-3, 9.5e-4], rel=0.1)  # regression values
    assert min(r.trivial for r in results) > 0.6
    for mode in ("reflect", "circular"):  # copies of the content next to it
        assert equivariance_error(layer(2, padding_mode=mode), scale=1.5).error > 0.02


def test_refuses() -> None:
    octahedral = sg.ScaleTranslationGroup(3, rotations="octahedral")
    with pytest.raises(FieldTypeError, match="no scale axis"):
        sg.nn.RieszConv(2 * group(2).regular, 2 * group(2).scalar)
    with pytest.raises(FieldTypeError, match="without rotations"):
        sg.nn.RieszConv(2 * octahedral.scalar, 2 * octahedral.scalar)
    with pytest.raises(ScaleGroupError, match="order, an integer >= 0"):
        layer(2, order=-1)
    with pytest.raises(ScaleGroupError, match="padding_mode out of"):
        layer(2, padding_mode="mirror")
