"""The scale space of an image: a lifting that is equivariant under downsampling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.symbolic import discrete_gaussian
from scalegroup.testing import LayerContract


def lift(dim: int, zero_scale: float = 1.0, num_scales: int = 3, channels: int = 1) -> nn.ScaleSpaceLift:
    group = ScaleTranslationGroup(dim, base=2.0, num_scales=num_scales)
    return nn.ScaleSpaceLift(channels * group.scalar, zero_scale, "circular")


def coarse(x: Tensor) -> Tensor:
    """Every second sample."""
    return x[(slice(None), slice(None), *[slice(None, None, 2)] * (x.ndim - 2))]


def scene(dim: int, size: int, sigma: float) -> Tensor:
    """White noise seen with a blur of so many voxels, for all sigmas the same noise."""
    x = torch.randn(64, 1, *[size] * dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    taps = torch.from_numpy(discrete_gaussian(sigma**2, 24))
    kernel = torch.fft.rfft(torch.nn.functional.pad(taps, (0, size - 49)).roll(-24)).real
    for axis in range(2, dim + 2):
        full = torch.fft.fft(x, dim=axis) * torch.cat([kernel, kernel[1:-1].flip(0)]).view(-1, *[1] * (dim + 1 - axis))
        x = torch.fft.ifft(full, dim=axis).real
    return x


def downsampling_error(dim: int, zero_scale: float) -> float:
    """Level 1 of a scene half as large, of which each voxel sees as much, against level 2 of the scene."""
    size = (256, 64)[dim - 1]
    layer = lift(dim, zero_scale)
    large, small = layer(scene(dim, size, zero_scale)), layer(coarse(scene(dim, size, 2 * zero_scale)))
    return float((coarse(large)[:, 2] - small[:, 1]).norm() / coarse(large)[:, 2].norm())


@pytest.mark.parametrize(("zero_scale", "error"), [(0.5, 0.19), (1.0, 0.018), (1.5, 0.007)])
def test_downsampling_is_a_step_of_one_level(zero_scale: float, error: float) -> None:
    assert downsampling_error(1, zero_scale) == pytest.approx(error, rel=0.15)  # METHODS section 4
    assert downsampling_error(2, zero_scale) < 2 * error


def test_an_image_that_was_not_blurred_is_far_from_that() -> None:
    layer = lift(1)
    x = scene(1, 256, 0.0)
    large, small = coarse(layer(x)), layer(coarse(x))
    assert (large[:, 2] - small[:, 1]).norm() > 0.5 * large[:, 2].norm()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_levels_are_blurs_of_the_image(dim: int) -> None:
    x = torch.randn(2, 2, *[24] * dim, dtype=torch.float64)
    y = lift(dim, 0.5, channels=2)(x).unflatten(1, (2, 3))
    assert torch.equal(y[:, :, 0], x)
    torch.testing.assert_close(y.flatten(3).mean(3), x.flatten(2).mean(2)[..., None].expand(2, 2, 3))
    impulse = torch.zeros(1, 1, *[25] * dim, dtype=torch.float64)
    impulse[(0, 0, *[12] * dim)] = 1
    response = lift(dim, 1.0)(impulse)[0, :, ...].movedim(1, -1)
    places = torch.arange(25.0, dtype=torch.float64) - 12
    for level, variance in enumerate((0.0, 3.0, 15.0)):  # σ0² (4^k - 1)
        profile = response[level].reshape(-1, 25).sum(0)
        assert float(profile @ places**2) == pytest.approx(variance, rel=0.02, abs=1e-12)


def test_scales_below_one_voxel_are_counted_from_the_finest() -> None:
    group = ScaleTranslationGroup(1, base=2**0.5, num_scales=3, first=-1)
    x = torch.randn(1, 1, 32)
    shifted = ScaleTranslationGroup(1, base=2**0.5, num_scales=3)
    assert torch.allclose(nn.ScaleSpaceLift(1 * group.scalar)(x), nn.ScaleSpaceLift(1 * shifted.scalar)(x))


def test_other_windows_and_runs_keep_the_levels() -> None:
    layer, x = lift(1), torch.randn(1, 1, 32)
    y = layer(x)
    torch.testing.assert_close(nn.with_window(layer, 4)(x)[:, :3], y)
    torch.testing.assert_close(nn.with_window(layer, 2, first=1)(x), y[:, 1:])
    with nn.run_of_scales(layer, start=1, num_scales=2):
        torch.testing.assert_close(layer(x), y[:, 1:])
    assert layer.state_dict() == {}
    with pytest.raises(ScaleGroupError, match="scales from 1 on"):
        nn.with_window(layer, 4, first=-1)


def test_a_spacing_is_read_as_by_other_layers() -> None:
    layer = lift(1)
    assert layer(torch.randn(1, 1, 16), spacing=2.0).shape == (1, 3, 32)


def test_what_cannot_be_lifted_is_refused() -> None:
    group = ScaleTranslationGroup(2)
    with pytest.raises(FieldTypeError, match="scalar fields with sampling='uniform'"):
        nn.ScaleSpaceLift(1 * group.regular)
    with pytest.raises(FieldTypeError, match="scalar fields with sampling='uniform'"):
        nn.ScaleSpaceLift(1 * group.window(sampling="haar").scalar)
    with pytest.raises(ScaleGroupError, match="zero_scale: a positive number"):
        nn.ScaleSpaceLift(1 * group.scalar, 0.0)
    with pytest.raises(ScaleGroupError, match="padding_mode out of"):
        nn.ScaleSpaceLift(1 * group.scalar, padding_mode="wrap")


class TestContract(LayerContract):
    """Under dilations, which leave no blur behind, the error grows with the square of the blur over the content's."""

    tolerance = 0.02

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        return 2 * group.scalar  # type: ignore[no-any-return]

    def make_layer(self, field: FieldType) -> nn.ScaleSpaceLift:
        return nn.ScaleSpaceLift(field, zero_scale=0.25, padding_mode="replicate")
