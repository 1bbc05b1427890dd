"""Vector fields: dilation by a step of the base turns all vectors by one step."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup.groups import ScaleTranslationGroup
from scalegroup.methods import get
from scalegroup.methods.marcos2018 import VectorFieldLayers, vector_rate
from scalegroup.nn import PyramidConv, VectorMagnitude, freeze
from scalegroup.nn.scale_vector import turned

SIZES = {1: 65, 2: 41, 3: 23}
WIDTHS = {1: (2.0, 3.0), 2: (2.0, 3.0), 3: (1.5, 2.0)}


def window(dim: int, base: float, num_scales: int) -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim, base, num_scales, first=-(num_scales // 2), sampling="haar")


def make(group: ScaleTranslationGroup, vectors: bool = False, kernel_size: int = 5) -> PyramidConv:
    """With kernels of zero mean, which see details only."""
    torch.manual_seed(0)
    rate = vector_rate(group.base, group.num_scales)
    source = 2 * (group.phase(rate) if vectors else group.scalar)
    conv = PyramidConv(source, 6 * group.phase(rate), kernel_size, mask_outside=False, bias=False).double()
    with torch.no_grad():
        conv.conv.weight -= conv.conv.weight.mean(dim=3, keepdim=True)
    return conv


def error(y_f: Tensor, y_g: Tensor, where: Tensor) -> float:
    where = where.repeat_interleave(y_f.shape[1] // where.shape[1], 1)
    return float(((y_f - y_g) * where).norm() / (y_f * where).norm())


def stays_inside(conv: PyramidConv, pair: Any, f: Tensor, g: Tensor, steps: int) -> Tensor:
    """Where the strongest scale of both is one that both windows have."""
    at_f, at_g = pair.inside(conv.responses(f).argmax(2), conv.responses(g).argmax(2))
    return (at_f < len(conv.scales_in_use()) - steps) & (at_g >= steps)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(("base", "steps", "num_scales"), [(2.0, 1, 3), (2 ** (1 / 3), 3, 7)])
@torch.no_grad()
def test_dilation_turns_the_vectors(
    dim: int, base: float, steps: int, num_scales: int, doubled: Callable[..., Any]
) -> None:
    """Tolerances of METHODS.md, where the strongest scale stays inside the window: .1, and .05 for the lengths."""
    group = window(dim, base, num_scales)
    conv, pair = make(group), doubled(dim, SIZES[dim], WIDTHS[dim], channels=2)
    stays = stays_inside(conv, pair, pair.f, pair.g, steps)
    assert float(stays.double().mean()) > 0.015
    v_f, v_g = pair.inside(conv(pair.f), conv(pair.g))
    step = vector_rate(base, num_scales) * log(base)
    assert step == pytest.approx(2 * pi / 3 / num_scales)
    # Measured over eight seeds 1e-5 to 1e-2, the most where two scales respond alike, and 6e-6 to 2e-4 for the lengths.
    assert error(turned(v_f, steps * step), v_g, stays) < 2e-2
    lengths = VectorMagnitude(conv.out_type)
    assert error(lengths(v_f), lengths(v_g), stays) < 1e-3
    # The negative twins: not turned, and turned by a step too many.
    assert error(v_f, v_g, stays) > 0.3
    assert error(turned(v_f, (steps + 1) * step), v_g, stays) > 0.2


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_relative_scales_count(dim: int, doubled: Callable[..., Any]) -> None:
    """A layer from vectors to vectors: if they turn as they should, so does what it makes of them."""
    group = window(dim, 2.0, 3)
    pair = doubled(dim, SIZES[dim], WIDTHS[dim], channels=4)
    conv, step = make(group, vectors=True), vector_rate(2.0, 3) * log(2.0)
    g = turned(pair.g, step)  # two smooth fields of vectors; dilated, they turn
    v_f, v_g = pair.inside(conv(pair.f), conv(g))
    stays = stays_inside(conv, pair, pair.f, g, 1)
    assert float(stays.double().mean()) > 0.03
    assert error(turned(v_f, step), v_g, stays) < 1e-3  # measured up to 3e-5
    still = pair.inside(conv(pair.f), conv(pair.g))[1]  # the negative twin: the same dilation, but all at one scale
    assert error(turned(v_f, step), still, stays) > 0.2


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_two_layers_on_the_whole(dim: int, doubled: Callable[..., Any]) -> None:
    """A regression value: the truncated window, and kinks where the strongest scale changes, of two layers."""
    group = window(dim, 2 ** (1 / 3), 7)
    pair = doubled(dim, SIZES[dim], WIDTHS[dim], channels=2)
    first = make(group)
    second = PyramidConv(first.out_type, first.out_type, 3, mask_outside=False).double()
    step = 3 * vector_rate(2 ** (1 / 3), 7) * log(2 ** (1 / 3))
    v_f, v_g = pair.inside(second(first(pair.f)), second(first(pair.g)))
    result = error(turned(v_f, step), v_g, torch.ones_like(v_f, dtype=torch.bool))
    assert 0.5 < result < 1.1  # measured 0.80, 0.80, 0.85


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_turning_vectors_and_filters_changes_nothing(dim: int) -> None:
    """The unit test of METHODS.md: w and (u, v) turned by one angle give the same responses, to 1e-6."""
    conv = make(window(dim, 1.26, 5), vectors=True, kernel_size=3)
    v = torch.randn(2, 4, *(9, 8, 7)[:dim], dtype=torch.float64)
    before = conv.responses(v)
    wrong = conv.responses(turned(v, 0.6))
    weight = conv.conv.weight
    weight.copy_(turned(weight.squeeze(2), 0.6).unsqueeze(2))  # type: ignore[operator]
    torch.testing.assert_close(conv.responses(turned(v, 0.6)), before, rtol=0, atol=1e-12)
    assert float((wrong - before).abs().max()) > 0.1


@torch.no_grad()
def test_filters_are_turned_by_the_angle_of_each_scale() -> None:
    """The published form: `w^u_n = cos α_n w^u - sin α_n w^v`, `w^v_n = sin α_n w^u + cos α_n w^v`."""
    group = window(1, 2.0, 3)
    conv = make(group, vectors=True, kernel_size=3)
    v = torch.randn(1, 4, 9, dtype=torch.float64).cumsum(2)
    found = conv.responses(v)
    w = conv.conv.weight.squeeze(2)  # type: ignore[operator]
    for k, scale in enumerate(group.scales):
        alpha = vector_rate(2.0, 3) * log(scale)
        alone = PyramidConv(4 * group.scalar, conv.out_type, 3, mask_outside=False, bias=False).double()
        alone.conv.weight.copy_(turned(w, alpha).unsqueeze(2))
        torch.testing.assert_close(found[:, :, k], alone.responses(v)[:, :, k], rtol=0, atol=1e-12)


def test_frozen_and_compiled() -> None:
    conv, x = make(window(1, 1.26, 3), vectors=True), torch.randn(1, 4, 15, dtype=torch.float64)
    torch.testing.assert_close(freeze(conv)(x), conv(x))
    torch.testing.assert_close(torch.compile(conv, fullgraph=True, backend="aot_eager")(x), conv(x))


def test_the_published_window() -> None:
    """Eight scales of 1.26, 15° from one to the next, 120° in all."""
    assert vector_rate(1.26, 8) * log(1.26) == pytest.approx(pi / 12)
    layers = VectorFieldLayers(2, num_scales=8)
    assert layers.group.scales[0] == pytest.approx(1.26**-4, rel=1e-3)
    assert get("marcos2018").interscale
