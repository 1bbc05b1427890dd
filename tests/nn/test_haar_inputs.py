"""What layers on fields with a grid for each scale say of wrong input."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import grids

GROUP = ScaleTranslationGroup(dim=2, base=2**0.5, num_scales=4, sampling="haar")
FIELD = 2 * GROUP.regular


def noise() -> tuple[torch.Tensor, ...]:
    """White noise on four grids."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, 2, n, n, generator=generator, dtype=torch.float64) for n in (17, 9, 9, 9))


def test_fields_on_different_grids_are_not_mixed() -> None:
    mixed = 1 * GROUP.regular + 1 * GROUP.scalar
    text = r"fields with scales only, or without, as .* sampled as 'haar', received 1\*regular \+ 1\*scalar"
    for attempt in (
        lambda: nn.GroupConv(mixed, FIELD),
        lambda: nn.GroupConv(FIELD, mixed),
        lambda: nn.Linear(mixed, mixed),
        lambda: nn.BatchNorm(mixed),
    ):
        with pytest.raises(FieldTypeError, match=text):
            attempt()


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_a_tensor_for_each_scale(count: int) -> None:
    x = (noise() * 2)[:count]
    for layer in (nn.GroupConv(FIELD, FIELD), nn.ScalePool(FIELD), nn.BatchNorm(FIELD), nn.ToUniform(FIELD)):
        with pytest.raises(
            ScaleGroupError, match=f"input as a tuple of 4 tensors, one for each scale, received {count}"
        ):
            layer.double()(x)
    with pytest.raises(ScaleGroupError, match=r"a tuple of 4 tensors, .*, received Tensor; nn.HaarLift makes it"):
        nn.BatchNorm(FIELD)(noise()[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.GroupConv(FIELD, FIELD, stride=2),
        lambda: nn.GroupConv(FIELD, FIELD, basis="free", scale_extent=2),
        lambda: nn.GroupConvTranspose(FIELD, FIELD, stride=2),
        lambda: nn.BatchNorm(FIELD),
        lambda: nn.InstanceNorm(FIELD),
        lambda: nn.ScaleMaxPool(FIELD),
        lambda: nn.Upsample(FIELD),
        lambda: nn.ScalePool(FIELD, "attention"),
        lambda: nn.ToUniform(FIELD),
    ],
)
def test_an_empty_batch_stays_empty(make: Any) -> None:
    layer = make().double().eval()
    one = layer(noise())
    empty = layer(tuple(part[:0] for part in noise()))
    assert [part.shape for part in grids(empty)] == [(0, *part.shape[1:]) for part in grids(one)]
    with pytest.raises(ScaleGroupError, match="samples along every axis"):
        layer(tuple(part[..., :0] for part in noise()))


def test_a_volume_is_no_tuple() -> None:
    for layer in (nn.HaarLift(1 * GROUP.scalar), nn.GroupConv(1 * GROUP.scalar, FIELD)):
        with pytest.raises(ScaleGroupError, match=r"a torch.Tensor as .* input, received tuple"):
            layer((torch.zeros(1, 1, 9, 9),))


def test_wrong_constructions() -> None:
    uniform = 2 * GROUP.window(sampling="uniform").regular
    cases: list[tuple[Any, str]] = [
        (lambda: nn.GroupConv(uniform, uniform, basis="free"), "free-form kernels where each scale has its own grid"),
        (lambda: nn.GroupConv(FIELD, FIELD, basis="fourier"), r"basis out of \('free',\), received 'fourier'"),
        (
            lambda: nn.GroupConv(FIELD, FIELD, basis="free", kernel_size=4),
            "kernel_size, an odd integer >= 1, received 4",
        ),
        (lambda: nn.GroupConv(1 * GROUP.scalar, FIELD, stride=4, divisor=2), "divisor, a multiple of 4, received 2"),
        (lambda: nn.GroupConv(1 * GROUP.scalar, FIELD, stride=2, divisor=3), "divisor, a multiple of 2, received 3"),
        (lambda: nn.GroupConv(FIELD, FIELD, divisor=2), "no divisor, received 2; only the layer that lifts"),
        (lambda: nn.GroupConv(FIELD, FIELD, basis="free", order=4), "free kernels without order, .* received order=4"),
        (lambda: nn.GroupConv(FIELD, FIELD, kernel_size=5), "a kernel_size for free kernels only, received 5"),
        (
            lambda: nn.GroupConvTranspose(FIELD, FIELD, scale_extent=2, scale_padding="valid"),
            r"scale_padding out of \('zeros', 'replicate'\), received 'valid'",
        ),
        (lambda: nn.GroupConv(uniform, FIELD), "group"),
        (lambda: nn.HaarLift(FIELD), r"scalar fields, received 2\*regular; use nn.ToHaar for regular ones"),
        (lambda: nn.HaarLift(1 * GROUP.scalar, divisor=0), "divisor, an integer >= 1, received 0"),
        (lambda: nn.HaarLift(1 * GROUP.scalar, padding_mode="wrap"), "padding_mode out of .* received 'wrap'"),
        (lambda: nn.ToHaar(FIELD), "fields on the scales with sampling='uniform', received"),
        (lambda: nn.ToHaar(uniform, sigma=0), "sigma: a positive number, received 0"),
        (lambda: nn.ToUniform(uniform), "fields on the scales with sampling='haar', received"),
        (lambda: nn.ToUniform(1 * GROUP.scalar), "fields on the scales with sampling='haar', received"),
        (lambda: GROUP.window(sampling="log"), r"sampling out of \('uniform', 'haar'\), received 'log'"),
    ]
    for attempt, text in cases:
        with pytest.raises(ScaleGroupError, match=text):
            attempt()


def test_wrong_units_and_sizes() -> None:
    lift, pool = nn.HaarLift(1 * GROUP.scalar), nn.ScalePool(FIELD)
    x = torch.zeros(1, 1, 9, 9)
    for spacing in (0, -1.0, (1.0, 0.0), "2"):
        with pytest.raises(ScaleGroupError, match="spacing"):
            lift(x, spacing=spacing)
    with pytest.raises(ScaleGroupError, match="spacing: a number or one for each of 2 axes"):
        lift(x, spacing=(1.0, 1.0, 1.0))
    with pytest.raises(ScaleGroupError, match="output_size: a positive integer or one for each of 2 axes"):
        pool.double()(noise(), output_size=(9, 9, 9))


def test_the_scales_of_a_field_belong_together() -> None:
    x = list(noise())
    for wrong in (x[1][:1], x[1].float()):
        text = r"one batch size, dtype and device on all grids|dtype torch\.float64"
        with pytest.raises(ScaleGroupError, match=text):
            nn.BatchNorm(FIELD).double()((x[0], wrong, *x[2:]))
