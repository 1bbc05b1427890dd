"""The commuting square: it says what the testing kit measures, and shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import equivariance_error
from scalegroup.visual import plot_commuting_square
from scalegroup.visual.square import percent
from scalegroup.visual.two_paths import two_paths

GROUP = ScaleTranslationGroup(dim=2, num_scales=4)
VOLUMES = ScaleTranslationGroup(dim=3, num_scales=3)
HIDDEN = 2 * GROUP.regular
ROOT = 2**0.5


def lifting(group: ScaleTranslationGroup = GROUP) -> nn.Sequential:
    hidden = 2 * group.regular
    return nn.Sequential(nn.GroupConv(1 * group.scalar, hidden), nn.Pointwise(hidden, torch.nn.SiLU()))


def plain(dim: int = 2) -> torch.nn.Module:
    conv = torch.nn.Conv3d if dim == 3 else torch.nn.Conv2d
    return torch.nn.Sequential(conv(1, 4, 7, padding=3, bias=False), torch.nn.SiLU(), conv(4, 1, 7, padding=3))


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.texts]


def paths(net: torch.nn.Module, x: Any = None, scale: float | None = None, **options: int) -> Any:
    return two_paths(net, x, scale, **{"channel": 0, "index": 0, "seed": 0, "size": None, **options})


@pytest.mark.parametrize("index", [0, 2])
def test_the_figure_of_a_scale_is_that_of_the_testing_kit(index: int) -> None:
    net = lifting()
    expected = equivariance_error(net, dtype=torch.float32).channels[index]
    assert paths(net, index=index).error == pytest.approx(expected, rel=1e-3)
    assert percent(expected) in words(plot_commuting_square(net, index=index))


def test_the_figure_of_a_projection_is_that_of_the_testing_kit() -> None:
    net = nn.Sequential(*lifting(), nn.ScalePool(HIDDEN))
    expected = equivariance_error(net, 2.0, dtype=torch.float32).scalar
    assert expected > 0.01  # content leaves the window
    assert paths(net, scale=2.0).error == pytest.approx(expected, rel=1e-4)
    assert percent(expected) in words(plot_commuting_square(net, scale=2.0))


def test_before_its_projection_a_network_has_the_figure_of_its_scales() -> None:
    net = nn.Sequential(*lifting(), nn.ScalePool(HIDDEN))
    expected = equivariance_error(net[:2], dtype=torch.float32).channels[0]
    assert expected < 1e-3
    figure = plot_commuting_square(net, projected=False)
    assert percent(expected) in words(figure)
    assert any("up to its projection" in text for text in words(figure))
    assert any("window" in text for text in words(plot_commuting_square(net)))
    assert not any("window" in text for text in words(plot_commuting_square(net[:2])))


@pytest.mark.parametrize("dim", [2, 3])
def test_a_plain_network_differs(dim: int) -> None:
    net, size = plain(dim), {2: 64, 3: 32}[dim]
    expected = equivariance_error(net, ROOT, dim=dim, channels=1, size=size, dtype=torch.float32).scalar
    assert expected > 0.1
    figure = plot_commuting_square(net, size=size)
    assert percent(expected) in words(figure)
    assert "≠" in words(figure)
    assert "≈" in words(plot_commuting_square(lifting(VOLUMES if dim == 3 else GROUP), size=size))


@pytest.mark.parametrize("scale", [ROOT, 1 / ROOT])
def test_the_two_paths_are_drawn_where_the_factor_takes_them(scale: float) -> None:
    found = paths(lifting(), scale=scale)
    up = scale > 1
    assert [field.scale for field in (found.y, found.y_of_scaled)] == pytest.approx([1, ROOT] if up else [ROOT, 1])
    scaled, straight = found.y.picture(found.screen, scale), found.y_of_scaled.picture(found.screen)
    seen = np.isfinite(scaled)
    assert seen.all() if up else not seen.all()  # what was outside of the volume is not known
    near = (np.abs(np.stack(np.meshgrid(*found.screen, indexing="ij"))) < found.half[1]).all(axis=0)
    assert np.abs(scaled - straight)[near].max() < 1e-3 * np.abs(straight).max()
    still = found.y.picture(found.screen)
    assert np.abs(still - straight)[near].max() > 0.1 * np.abs(straight).max()  # the twin: not scaled


def test_an_input_of_ones_own_is_resampled() -> None:
    grid = torch.arange(48.0) - 23.5
    x = torch.exp(-(grid[:, None] ** 2 + (grid - 3) ** 2) / 32)[None, None]
    found = paths(lifting(), x, scale=ROOT)
    wanted = torch.exp(-(grid[:, None] ** 2 + (grid - 3 * ROOT) ** 2) / 64)
    assert np.allclose(found.scaled_x.picture(found.screen), wanted.numpy(), atol=1e-4)
    assert found.error < 1e-3
    smaller = paths(lifting(), x, scale=1 / ROOT)
    assert torch.equal(smaller.x.tensors[0], x.double())
    assert smaller.error < 1e-3


def test_volumes_may_have_any_shape_and_strides() -> None:
    net = nn.GroupConv(1 * VOLUMES.scalar, 1 * VOLUMES.regular, stride=2)
    figure = plot_commuting_square(net, torch.rand(1, 1, 12, 20, 16))
    assert figure.axes[0].get_images()[0].get_array().shape == (20, 16)


def test_fields_with_a_grid_for_each_scale() -> None:
    group = GROUP.window(sampling="haar")
    for net in (nn.GroupConv(1 * group.scalar, 1 * group.regular), nn.GroupConv(1 * group.regular, 1 * group.regular)):
        expected = equivariance_error(net, dtype=torch.float32).channels[0]
        assert paths(net).error == pytest.approx(expected, rel=1e-2, abs=1e-7)


def test_what_is_drawn_has_one_range_of_colours() -> None:
    figure = plot_commuting_square(plain(), scale=1.5, name="my net")
    titles = ["input", "scaled input", "output", "scaled output", "output of scaled input", "difference"]
    assert [axes.get_title() for axes in figure.axes[:6]] == titles
    ranges = [axes.get_images()[0].get_clim() for axes in figure.axes[2:6]]
    assert len(set(ranges)) == 1
    assert ranges[0][0] == -ranges[0][1]
    images = [axes.get_images()[0].get_array() for axes in figure.axes[3:6]]
    assert np.allclose(images[1] - images[0], images[2])
    assert words(figure).count("scale by 1.5") == words(figure).count("my net") == 2


def test_a_field_that_turns_is_compared_with_its_turned_values() -> None:
    field = 1 * GROUP.phase(1.0)
    found = paths(nn.Linear(field, field, bias=False))
    assert found.error < 1e-3
    assert replace(found.y, index=0).values(found.screen, 1.0).shape[1] == 2


def test_curves_for_one_axis() -> None:
    figure = plot_commuting_square(lifting(ScaleTranslationGroup(dim=1)))
    assert len(figure.axes[0].get_images()) == 0
    assert "≈" in words(figure)


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (lambda: "net", {}, "expected a network, a torch.nn.Module, received str"),
        (lifting, {"scale": 1.3}, "expected scale, a power of the base, .* received 1.3; this group has base 1.41"),
        (lifting, {"scale": 0.0}, "expected a finite scale > 0"),
        (lifting, {"channel": 2}, "expected channel from 0 to 1, received 2; the output is 2[*]regular"),
        (lifting, {"index": 3}, "expected a scale of the output's window of 4, received number 4"),
        (lifting, {"index": -1}, "expected a scale of the output's window of 4, received number -1"),
        (lifting, {"x": torch.rand(1, 2, 9, 9)}, "expected x of shape .batch, 1, 2 axes of space."),
        (
            lambda: torch.nn.ReLU(),
            {},
            "expected a network with types or with a convolution, received ReLU; give an input x",
        ),
        (lambda: nn.Pointwise(HIDDEN, torch.nn.ReLU()), {"x": torch.rand(1, 8, 9, 9)}, "leave x out"),
        (lambda: torch.nn.Sequential(plain(), torch.nn.Flatten()), {}, "an output tensor of 4 axes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        plot_commuting_square(make(), **options)
