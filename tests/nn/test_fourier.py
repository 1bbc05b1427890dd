"""Fourier layers: they commute with ideal resampling, for every number of samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import scalegroup as sg
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn.fourier import fourier_resample, samples_of, waves_of, within
from scalegroup.nn.module import group_of
from scalegroup.testing import LayerContract, equivariance_error

DIMS = pytest.mark.parametrize("dim", [1, 2, 3])
LARGE = {1: 32, 2: 32, 3: 16}


def scalars(dim: int, count: int = 2) -> FieldType:
    return count * sg.ScaleTranslationGroup(dim).scalar  # type: ignore[no-any-return]


def white(dim: int, dtype: torch.dtype = torch.float64, count: int = 2) -> Tensor:
    return torch.randn(2, count, *[LARGE[dim]] * dim, dtype=dtype, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def downsampling_error(layer: torch.nn.Module, x: Tensor, size: int) -> float:
    """T5: fewer samples before the layer, or behind it."""
    sizes = [size] * (x.ndim - 2)
    before, behind = layer(fourier_resample(x, sizes)), fourier_resample(layer(x), sizes)
    return float((before - behind).norm() / behind.norm())


class TestFourierConv(LayerContract):
    protocol = "torus"
    size = 12
    tolerance = 0.0

    def make_field(self, group: sg.ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar

    def make_layer(self, field: FieldType) -> sg.nn.FourierConv:
        return sg.nn.FourierConv(field, 3 * group_of(field).scalar, modes=13, kernel_size=3)


class TestFourierDownsample(TestFourierConv):
    size = 16
    windows = ((2.0, 2),)
    translates = False  # the contract knows centred grids of whole spacing; these tile the period

    def make_layer(self, field: FieldType) -> sg.nn.FourierDownsample:
        return sg.nn.FourierDownsample(field)


class TestFourierPointwise(TestFourierConv):
    translates = False  # see below

    def make_layer(self, field: FieldType) -> sg.nn.FourierPointwise:
        return sg.nn.FourierPointwise(field)


@DIMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ideal_downsampling_of_white_noise(dim: int, dtype: torch.dtype) -> None:
    """T5, of all layers in a row, on every number of samples down to that of `base`."""
    torch.manual_seed(0)
    field = scalars(dim)
    net = torch.nn.Sequential(
        sg.nn.FourierConv(field, field, modes=21),
        sg.nn.FourierPointwise(field, torch.nn.ReLU(), oversample=2 if dim == 1 else 1),
        sg.nn.FourierConv(field, field, modes=21),
        sg.nn.FourierPointwise(field),
    ).to(dtype)
    x = white(dim, dtype)
    errors = [downsampling_error(net, x, size) for size in range(8, LARGE[dim], 4 if dim == 3 else 1)]
    assert max(errors) < (1e-5 if dtype == torch.float32 else 1e-13)


@DIMS
def test_other_layers_do_not_commute(dim: int) -> None:
    """The negative twins: the plain activation, fewer samples than `base`, and a kernel that is fixed in voxels."""
    x, field = white(dim), scalars(dim)
    assert downsampling_error(torch.nn.ReLU(), x, 12) > 0.2  # 0.54 in the paper's measure
    assert downsampling_error(sg.nn.FourierPointwise(field, torch.nn.ReLU(), base=11), x, 8) > 0.02
    convolution = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dim - 1]
    torch.manual_seed(0)
    plain = convolution(2, 2, 5, padding=2, padding_mode="circular").double()
    assert downsampling_error(plain, x, 12) > 0.2


def test_steps_are_exact_on_their_numbers_of_samples() -> None:
    layer, x = sg.nn.FourierPointwise(scalars(1), torch.nn.ReLU(), base=7, step=2), white(1)
    assert max(downsampling_error(layer, x, size) for size in (7, 11, 15, 19)) < 1e-13  # waves up to 3, 5, 7, 9
    assert min(downsampling_error(layer, x, size) for size in (9, 13, 17)) > 1e-3


@DIMS
def test_a_convolution_does_not_see_the_number_of_samples(dim: int) -> None:
    """T2 with any factor; waves beyond its modes are lost."""
    torch.manual_seed(0)
    layer = sg.nn.FourierConv(scalars(dim), scalars(dim), modes=35)
    for factor in (4 / 3, 2.0):
        result = equivariance_error(layer, factor, "torus")
        assert result.error < 1e-13
        assert result.trivial > 0.1
    few = sg.nn.FourierConv(scalars(dim), scalars(dim), modes=7, bias=False).double()
    x = white(dim)
    low = fourier_resample(fourier_resample(x, [7] * dim), x.shape[2:])
    assert torch.allclose(few(x), few(low))
    assert float(few(x - low).detach().abs().max()) < 1e-13


@DIMS
def test_objects_that_grow_in_their_image_are_another_matter(dim: int) -> None:
    torch.manual_seed(0)
    layer = sg.nn.FourierConv(scalars(dim), scalars(dim))
    assert equivariance_error(layer, 2.0).error > 0.2


def test_on_its_own_grid_it_is_an_ordinary_convolution() -> None:
    torch.manual_seed(0)
    layer = sg.nn.FourierConv(scalars(2), scalars(2), modes=9, kernel_size=3).double()
    twin = torch.nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular").double()
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64)
    assert torch.allclose(layer(x), twin(x))


@torch.no_grad()
def test_oversampling_helps_translations() -> None:
    x = torch.exp(-((torch.arange(97, dtype=torch.float64) - 48) ** 2) / 12.5).view(1, 1, 97).expand(1, 2, 97)
    errors = []
    for oversample in (1, 2, 4):
        layer = sg.nn.FourierPointwise(scalars(1), oversample=oversample)
        moved, wanted = layer(x.roll(3, 2)), layer(x).roll(3, 2)
        errors.append(float((moved - wanted).norm() / wanted.norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1 > 0.01 > errors[-1]  # measured 0.20, 0.04, 0.001


@pytest.mark.parametrize("sizes", [(9, 9), (8, 8), (5, 8), (12, 7), (1, 1)])
def test_resampling(sizes: tuple[int, int]) -> None:
    x = torch.randn(1, 1, 9, 8, dtype=torch.float64)
    y = fourier_resample(x, sizes)
    assert y.shape[2:] == sizes
    assert torch.allclose(y.mean(), x.mean())
    assert torch.allclose(waves_of(y), within(within(waves_of(x), [(n - 1) // 2 for n in sizes]), _tops(y)))
    assert torch.allclose(samples_of(waves_of(y), sizes), y)


def _tops(x: Tensor) -> list[int]:
    return [(n - 1) // 2 for n in x.shape[2:]]


def test_grids_are_centred() -> None:
    waves = sg.testing.Waves.random(scalars(2, 1), period=9, wmax=2.0)
    ours, theirs = ([sg.testing.centred(n, spacing=9 / n)] * 2 for n in (9, 14))
    assert torch.allclose(fourier_resample(waves.sample(ours), (14, 14)), waves.sample(theirs))


def test_refuses() -> None:
    regular, field = 2 * sg.ScaleTranslationGroup(2).regular, scalars(2)
    with pytest.raises(FieldTypeError, match="no scale axis"):
        sg.nn.FourierConv(regular, field)
    for make, text in (
        (lambda: sg.nn.FourierConv(field, field, modes=3), "modes, an integer >= kernel_size"),
        (lambda: sg.nn.FourierConv(field, field, kernel_size=0), "kernel_size, an odd integer >= 1"),
        (lambda: sg.nn.FourierConv(field, field, kernel_size=4), "kernel_size, an odd integer >= 1"),
        (lambda: sg.nn.FourierPointwise(field, base=0), "base, an integer >= 1"),
        (lambda: sg.nn.FourierPointwise(field, step=0), "step, an integer >= 1"),
        (lambda: sg.nn.FourierPointwise(field, oversample=0), "oversample, an integer >= 1"),
        (lambda: sg.nn.FourierDownsample(field, 0), "factor, an integer >= 1"),
    ):
        with pytest.raises(ScaleGroupError, match=text):
            make()
