"""The measure of equivariance: small for what is equivariant, large for what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import centred, circular, equivariance_error
from scalegroup.testing.errors import truncation_reach
from scalegroup.testing.sampling import at_positions, output_spacing

PROTOCOLS = ["blobs", "lattice", "torus"]


def group(dim: int = 2, base: float = 2**0.5, num_scales: int = 4) -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim=dim, base=base, num_scales=num_scales)


class Exact(nn.EquivariantModule):
    """Pointwise and the same for all scales: equivariant at the sample points."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x + 0.3 * x + 0.1


class ShiftedScales(nn.EquivariantModule):
    """Treats one scale unlike the others."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(x.shape[1]).to(x).view(-1, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dim", [1, 2])
def test_a_pointwise_polynomial_is_exact(protocol: str, dim: int) -> None:
    field = 1 * group(dim).regular + 2 * group(dim).scalar
    size = 24 if protocol == "torus" else None
    result = equivariance_error(Exact(field, field), protocol=protocol, size=size, wmax=0.7)
    assert result.error < 1e-6
    assert result.trivial > 0.3
    assert len(result.channels) == (3 if protocol == "blobs" else 2)
    assert not any(result.truncated)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scales_that_are_not_treated_alike_are_an_error(protocol: str) -> None:
    field = 1 * group().regular
    assert equivariance_error(ShiftedScales(field, field), protocol=protocol).per_scale > 0.1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_convolutions_are_an_error(protocol: str) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(1, 4, 5, padding=2)
    result = equivariance_error(conv, 2.0, protocol, dim=2, channels=1)
    assert result.error == result.projected > 0.05
    assert math.isnan(result.per_scale)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_torus_figures_of_the_lifting(dim: int) -> None:
    torch.manual_seed(0)
    tenth = group(dim, 1 / 0.9)

    def lifting(**options: float) -> float:
        lift = nn.GroupConv(1 * tenth.scalar, 2 * tenth.regular, **options)  # type: ignore[arg-type]
        return equivariance_error(lift, protocol="torus", size=27 if dim == 3 else 90).per_scale

    assert lifting() <= 3e-4
    assert lifting(order=4) <= 2e-3
    assert lifting(sigma=1.5) <= 3e-5
    if dim < 3:
        assert lifting(order=4, support=2.0) > 3e-2  # kernels as short as the published ones


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("protocol", ["blobs", "lattice"])
def test_strided_grids_are_compared_where_they_lie(size: int, protocol: str) -> None:
    torch.manual_seed(0)
    field = 2 * group(1, base=2.0, num_scales=3).regular
    conv = nn.GroupConv(field, field, stride=2)
    assert equivariance_error(conv, protocol=protocol, size=size).per_scale < 1e-3


@pytest.mark.parametrize(("size", "small"), [(65, True), (64, False)])
def test_a_grid_off_the_centre_is_an_error(size: int, small: bool) -> None:
    class EverySecond(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[..., ::2]  # the middle of 64 voxels is not the middle of voxels 0, 2, …, 62

    error = equivariance_error(EverySecond(), 2.0, size=size, dim=1, channels=1).error
    assert (error < 1e-3) == small
    assert small or error > 0.02


def test_characters_get_their_factor() -> None:
    class Derivative(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:  # central differences of fourth order
            return (8 * (x.roll(-1, 2) - x.roll(1, 2)) - (x.roll(-2, 2) - x.roll(2, 2))) / 12

    g = group(1)
    options = {"scale": 2.0, "in_type": 1 * g.scalar, "width": (4.0, 5.0)}
    assert equivariance_error(Derivative(), out_type=1 * g.character(-1.0), **options).scalar < 5e-3
    assert equivariance_error(Derivative(), out_type=1 * g.scalar, **options).scalar == pytest.approx(0.5, abs=0.01)


def test_what_lies_beyond_the_window_is_marked() -> None:
    torch.manual_seed(0)
    field = 2 * group(1).regular
    result = equivariance_error(nn.GroupConv(field, field, scale_extent=2))
    assert result.truncated == (False, False, True)
    assert result.channels[2] > 0.1 > 1e-3 > result.per_scale
    inside = equivariance_error(nn.GroupConv(field, field, scale_extent=2), inside=True)
    assert max(inside.channels) < 1e-3
    valid = nn.GroupConv(field, field, scale_extent=2, scale_padding="valid")
    assert equivariance_error(valid).truncated == (False, False)


def test_the_reach_of_truncation() -> None:
    field = 1 * group(1).regular
    up = nn.GroupConvTranspose(field, field, scale_extent=3)
    both = torch.nn.Sequential(nn.GroupConv(field, field, scale_extent=2), up)
    assert truncation_reach(both) == (2, 1)


def test_projection_is_exact_for_content_inside_the_window_only() -> None:
    field = 2 * group().regular
    pool = nn.ScalePool(field, mode="max")
    assert equivariance_error(pool, protocol="lattice", inside=True).projected < 1e-9
    assert equivariance_error(pool, protocol="lattice").projected > 0.05


def test_a_factor_between_two_scales_has_a_projected_error_only() -> None:
    field = 2 * group().regular
    result = equivariance_error(Exact(field, field), scale=1.2)
    assert result.channels == ()
    assert math.isnan(result.per_scale)
    assert result.projected > 0


def test_a_factor_and_its_inverse_are_one_experiment() -> None:
    field = 1 * group(1).regular
    a, b = (equivariance_error(Exact(field, field), scale) for scale in (2.0, 0.5))
    assert a == b


def test_an_output_of_zeros_is_no_success() -> None:
    class Zero(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x

    assert math.isnan(equivariance_error(Zero(), 2.0, dim=1, channels=1).error)


def test_nothing_happens_to_the_module() -> None:
    field = 1 * group().regular
    net = nn.Sequential(nn.GroupConv(field, field), nn.BatchNorm(field), nn.Dropout(field)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    equivariance_error(net, protocol="torus", size=16)
    assert net.training
    assert all(part.training for part in net.modules())
    assert net[0].padding_mode == "zeros"  # type: ignore[comparison-overlap]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.state_dict()["0.weight"].dtype == torch.float32
    assert torch.equal(random, torch.get_rng_state())


def test_the_border_is_seen() -> None:
    torch.manual_seed(0)
    field = 2 * group(1, num_scales=2).regular
    wide = nn.GroupConv(field, field, sigma=6.0)
    with torch.no_grad():
        wide.bias.add_(1.0)  # type: ignore[union-attr]
    two = nn.Sequential(wide, nn.GroupConv(field, field, sigma=6.0))
    assert equivariance_error(two, size=48).border > 1e-2
    assert equivariance_error(two, size=512).border < 1e-6


def test_circular_leaves_the_original() -> None:
    conv = torch.nn.Conv1d(1, 1, 3, padding=1, padding_mode="replicate")
    x = torch.randn(1, 1, 8)
    assert torch.allclose(circular(conv)(x.roll(3, -1)), circular(conv)(x).roll(3, -1), atol=1e-6)
    assert conv.padding_mode == "replicate"


@pytest.mark.parametrize("n_out", [30, 31])
def test_fourier_resampling_is_exact(n_out: int) -> None:
    def wave(points: np.ndarray, period: float) -> np.ndarray:  # type: ignore[type-arg]
        return np.cos(2 * np.pi * 7 * points / period + 0.4)

    fine = torch.from_numpy(wave(centred(40), 40))[None, None]
    coarse = at_positions(fine, [centred(40)], [centred(n_out, 40 / n_out)], period=40.0)
    np.testing.assert_allclose(coarse[0, 0], wave(centred(n_out, 40 / n_out), 40), atol=1e-12)


@pytest.mark.parametrize(
    ("n_in", "n_out", "wanted"), [(9, 5, 2), (8, 4, 2), (9, 3, 3), (9, 18, 0.5), (9, 17, 0.5), (9, 7, 1)]
)
def test_output_spacing(n_in: int, n_out: int, wanted: float) -> None:
    assert output_spacing(n_in, n_out) == wanted


@pytest.mark.parametrize(
    ("options", "text"),
    [
        *(({"size": size}, f"size, an integer >= 3, received {size}") for size in (0, -1, 2, 2.5, True)),
        ({"size": "9"}, "size, an integer >= 3, received '9'"),
        *(({"batch": batch}, f"batch, an integer >= 1, received {batch}") for batch in (0, -1, 1.5)),
        *(({"seed": seed}, f"seed, an integer >= 0, received {seed}") for seed in (-1, 1.5, None)),
        *(({"interior": share}, f"interior, a number > 0 and <= 1, received {share}") for share in (0.0, -1.0, 1.1)),
        *(({"wmax": top}, "wmax, a number > 0 and <= π, received") for top in (0.0, -1, 3.2, math.nan, "1")),
        *(
            ({"width": width}, "width, two positive numbers in ascending order, received")
            for width in (2.0, (3.0, 2.0), (0.0, 1.0), (1.0, math.inf), (1.0, 2.0, 3.0), ("1", 2.0), None)
        ),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_out_of_range(protocol: str, options: dict[str, object], text: str) -> None:
    field = 1 * group(1).regular
    with pytest.raises(ScaleGroupError, match=text) as caught:
        equivariance_error(Exact(field, field), protocol=protocol, **options)  # type: ignore[arg-type]
    assert "torus" not in str(caught.value)


def test_what_the_torus_error_proposes_is_accepted() -> None:
    for g, options in (
        (group(1), {"scale": 2.0}),
        (group(1, base=2.0), {"scale": 2.0, "size": 41}),
        (group(1, base=1 / 0.9), {"scale": 1 / 0.9, "size": 54}),
    ):
        field = 1 * g.regular
        equivariance_error(Exact(field, field), protocol="torus", **options)  # type: ignore[arg-type]


def test_errors() -> None:
    field = 1 * group().regular
    exact = Exact(field, field)
    tenth = Exact(1 * group(base=1 / 0.9).regular, 1 * group(base=1 / 0.9).regular)
    cases = [
        (lambda: equivariance_error(exact, protocol="cube"), "a protocol of .*'torus'.*received 'cube'"),
        (lambda: equivariance_error(exact, scale=1.0), "a finite scale > 0 other than 1, received 1.0"),
        (lambda: equivariance_error(exact, scale=math.nan), "a finite scale > 0 other than 1"),
        (lambda: equivariance_error(tenth, protocol="lattice"), "an integer factor for protocol='lattice'.*sqrt"),
        (lambda: equivariance_error(exact, 2**0.5, "torus"), "the factor 1.41421 .*'torus', received none .*base=2"),
        (lambda: equivariance_error(exact, 2**0.5, "torus", size=40), r"received 40; .*base=1/0\.9, size=54"),
        (lambda: equivariance_error(tenth, protocol="torus", size=50), "received 50; 54 voxels suit"),
        (lambda: equivariance_error(torch.nn.SiLU()), "in_type and out_type.*received SiLU.*dim=3"),
        (lambda: equivariance_error(torch.nn.Flatten(), 2.0, dim=1, channels=1), "output tensor of 3 axes"),
        (lambda: equivariance_error(exact, out_type=3 * group().regular), "an output of 12 channels, 3.*out_type"),
        (lambda: output_spacing(9, 4), "whose spacing follows from its size.*out_spacing"),
        (
            lambda: equivariance_error(torch.nn.MaxPool1d(5), 1.5, "torus", size=32, dim=1, channels=1),
            r"sizes that the module's strides divide, received \(32, 48\)",
        ),
    ]
    for attempt, text in cases:
        with pytest.raises(ScaleGroupError, match=text):
            attempt()
