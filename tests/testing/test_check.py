"""The report: its numbers, and that it finds what limits a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import EquivarianceReport, check_equivariance

GROUP = ScaleTranslationGroup(dim=1, base=2**0.5, num_scales=4)
IMAGE, HIDDEN = 1 * GROUP.scalar, 2 * GROUP.regular


def lifting(**options: float) -> nn.GroupConv:
    return nn.GroupConv(IMAGE, HIDDEN, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def check(*layers: nn.EquivariantModule) -> EquivarianceReport:
    return check_equivariance(nn.Sequential(*layers))


class Blur(nn.EquivariantModule):
    """A blur of fixed width, which has no place in an equivariant network."""

    declared_error = 1e-6  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return (x.roll(-1, -1) + x + x.roll(1, -1)) / 3


def test_the_layers_are_told_from_the_projection() -> None:
    report = check(lifting(), nn.BatchNorm(HIDDEN), nn.Pointwise(HIDDEN), nn.ScalePool(HIDDEN))
    assert report.before is not None
    assert report.per_scale < 1e-3 < 0.05 < report.projected
    assert report.projected == report.errors.scalar
    assert report.limits[1:] == ("window",)
    assert report.unbounded == ("ScalePool",)
    assert report.declared == pytest.approx(lifting().declared_error)
    assert report.trivial > 0.3


def test_a_regular_output_is_projected_for_the_report() -> None:
    report = check(lifting())
    assert report.before is None
    assert report.per_scale == report.errors.per_scale
    assert report.projected == report.errors.projected_max > 0.05
    assert not report.unbounded


class Subsampling(Blur):
    """Every second sample: a grid off the centre that does not hold what it is given."""

    stride = 2

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2]


@pytest.mark.parametrize(
    ("make", "options", "wanted"),
    [
        (lambda: [lifting()], {}, "kernels"),
        (lambda: [lifting(), nn.Pointwise(HIDDEN, torch.nn.ReLU())], {"protocol": "torus", "size": 36}, "nonlinearity"),
        (lambda: [lifting(), Blur(HIDDEN, HIDDEN)], {}, "layers"),
        (lambda: [lifting(), Subsampling(HIDDEN, HIDDEN)], {"protocol": "torus", "size": 36}, "strides"),
        (lambda: [nn.Pointwise(HIDDEN, torch.nn.Identity())], {}, "measurement"),
        (lambda: [lifting(sigma=12.0), nn.GroupConv(HIDDEN, HIDDEN, sigma=12.0)], {"size": 48}, "border"),
    ],
)
def test_what_limits_it(
    make: Callable[[], list[nn.EquivariantModule]], options: dict[str, object], wanted: str
) -> None:
    layers = make()
    with torch.no_grad():
        for layer in layers:
            for name, parameter in layer.named_parameters():
                parameter.add_(0.5 if name == "bias" else 0.0)
    report = check_equivariance(nn.Sequential(*layers), **options)  # type: ignore[arg-type]
    assert report.limits[0] == wanted, str(report)


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("extent", [1, 4])
@pytest.mark.parametrize("factor", [GROUP.base, 2.0, 3.0, 4.0])
def test_where_no_scale_can_be_compared_no_layer_is_blamed(factor: float, extent: int, projected: bool) -> None:
    layers = [lifting(), nn.GroupConv(HIDDEN, HIDDEN, scale_extent=extent), *[nn.ScalePool(HIDDEN)] * projected]
    report = check_equivariance(nn.Sequential(*layers), factor)
    # Between two scales lies 3; 4 moves all scales out of the window; four neighbours of each are read beyond it.
    assert math.isnan(report.per_scale) == (factor > 2 or extent == 4)
    assert report.limits == (("scales",) if factor > 2 or extent == 4 else ("kernels", "window")), str(report)


def test_of_zeros_nothing_is_said() -> None:
    lift = lifting()
    with torch.no_grad():
        for parameter in lift.parameters():
            parameter.zero_()
    assert check(lift).limits == ("zeros",)


def test_plain_networks_are_measured_too() -> None:
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv1d(4, 1, 5, padding=2))
    report = check_equivariance(net, scale=2.0, dim=1, channels=1)
    assert report.limits == ("layers",)
    assert report.projected > 0.02
    assert math.isnan(report.declared)
    assert "declared error" in str(report)


def test_the_report_is_an_aligned_table() -> None:
    report = check(lifting(), nn.GroupConv(HIDDEN, HIDDEN, scale_extent=2), nn.ScalePool(HIDDEN))
    text = str(report).splitlines()
    assert text[0] == "Equivariance of Sequential under scaling by 1.414 (blobs)"
    table = [line for line in text[1:] if line.startswith("  ")]
    assert len(table) == len(report.rows())
    assert len({line.index("%") for line in table}) == 1
    assert "scale 2 -> 2.83" in table[2]
    assert table[2].endswith("reads beyond the window")
    assert text[-1].startswith("Limited by the projection over the truncated window")


def test_the_network_is_left_as_it_was() -> None:
    net = nn.Sequential(lifting(), nn.BatchNorm(HIDDEN), nn.Pointwise(HIDDEN), nn.ScalePool(HIDDEN)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    check_equivariance(net)
    assert net.training
    assert isinstance(net[2].activation, torch.nn.SiLU)
    assert not net[3]._forward_pre_hooks
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
