"""Steerable filters with a map of the scale: under dilation by a the maximum stays, and its scale grows by ln a."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from statistics import mean
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.methods import get
from scalegroup.methods.marcos2018 import vector_rate
from scalegroup.methods.naderi2020 import SteerableMaxConv
from scalegroup.nn import freeze
from scalegroup.nn.scale_vector import turned
from scalegroup.symbolic import HermiteBasis, LogRadialBasis

SIZES = {1: 65, 2: 41, 3: 17}
WIDTHS = {1: (2.0, 3.0), 2: (2.0, 3.0), 3: (1.5, 2.0)}
WINDOWS = {1: (2**0.5, 6, 2), 2: (2**0.5, 6, 2), 3: (2.0, 3, 1)}  # base, scales, steps to the factor 2


def make(dim: int, vectors: bool = False, seed: int = 0, **options: Any) -> tuple[SteerableMaxConv, int]:
    torch.manual_seed(seed)
    base, num_scales, steps = WINDOWS[dim]
    group = ScaleTranslationGroup(dim, base, num_scales)
    rate = vector_rate(base, num_scales)
    source = 2 * (group.phase(rate) if vectors else group.scalar)
    basis = options.pop("basis", LogRadialBasis(dim, support=3.5 if dim < 3 else 2.5, subsamples=4 if dim < 3 else 2))
    return SteerableMaxConv(source, 4 * group.phase(rate), basis, bias=False, **options).double(), steps


def seen(conv: SteerableMaxConv, pair: Any) -> list[Tensor]:
    """The responses of all scales to both images."""
    return [conv.conv(x) for x in (pair.f, pair.g)]


def where(conv: SteerableMaxConv, pair: Any, responses: list[Tensor], steps: int) -> Tensor:
    """Where the strongest scale of both is one that both windows have, and strong: more than .2 of the largest."""
    fields, scales = conv.out_type.num_fields, len(conv.conv.out_type.group.scales)
    stacks = [response.unflatten(1, (fields, scales)) for response in responses]
    at_f, at_g = pair.inside(*(stack.argmax(2) for stack in stacks))
    largest = pair.inside(*(stack.amax(2) for stack in stacks))[0]
    return (at_f < scales - steps) & (at_g >= steps) & (largest > 0.2 * largest.max())


def error(y_f: Tensor, y_g: Tensor, mask: Tensor) -> float:
    mask = mask.repeat_interleave(y_f.shape[1] // mask.shape[1], 1)
    return float(((y_f - y_g) * mask).norm() / (y_f * mask).norm())


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_the_scale_grows_with_the_image(dim: int, doubled: Callable[..., Any]) -> None:
    """Tolerances of METHODS.md: .5 steps for the scale, and .1 for the maximum.

    Measured over eight seeds: .04 to .73, .13 to .75 and .05 to .12 steps, therefore the mean over four networks in 1-D
    and 2-D; .005 to .064 for the maximum.
    """
    pair, step = doubled(dim, SIZES[dim], WIDTHS[dim], channels=2), log(WINDOWS[dim][0])
    missed, moved = [], []
    for seed in range(4 if dim < 3 else 1):
        conv, steps = make(dim, seed=seed, return_scale=True)
        responses = seen(conv, pair)
        here = where(conv, pair, responses, steps)
        assert float(here.double().mean()) > 0.02
        (m_f, kappa_f), (m_g, kappa_g) = map(conv.vector.maximum, responses)
        assert error(*pair.inside(m_f, m_g), here) < 0.1
        before, after = (part[here] for part in pair.inside(kappa_f, kappa_g))
        missed.append(float((after - before - log(2)).abs().mean() / step))
        moved.append(float((after - before).abs().mean() / step))
    assert mean(missed) < 0.5
    assert mean(moved) > 0.6 * steps  # the negative twin: the scale left as it is


@pytest.mark.parametrize("dim", [1, 2])
@torch.no_grad()
def test_exact_filters_leave_the_window_alone_as_error(dim: int, doubled: Callable[..., Any]) -> None:
    """With Hermite functions in place of log-radial ones the maximum is exact; its scale is as exact as the window."""
    conv, steps = make(dim, basis=HermiteBasis(2, dim), sharpness=1e4, return_scale=True)
    pair = doubled(dim, SIZES[dim], WIDTHS[dim], channels=2)
    here = where(conv, pair, seen(conv, pair), steps)
    (m_f, kappa_f), (m_g, kappa_g) = conv(pair.f), conv(pair.g)
    assert error(*pair.inside(m_f, m_g), here) < 1e-3  # measured 2e-5
    before, after = (part[here] for part in pair.inside(kappa_f, kappa_g))
    assert float((after - before - log(2)).abs().mean()) < 0.02  # measured 4e-6; 7e-3 where two scales respond alike


@pytest.mark.parametrize("dim", [1, 2])
@torch.no_grad()
def test_the_vectors_turn(dim: int, doubled: Callable[..., Any]) -> None:
    """A regression value: measured over eight seeds .01 to .16 in 1-D and .07 to .26 in 2-D."""
    conv, steps = make(dim, sharpness=100.0)
    pair = doubled(dim, SIZES[dim], WIDTHS[dim], channels=2)
    here = where(conv, pair, seen(conv, pair), steps)
    v_f, v_g = pair.inside(conv(pair.f), conv(pair.g))
    angle = conv.vector.rate * log(2)
    assert error(turned(v_f, angle), v_g, here) < 0.3
    assert error(v_f, v_g, here) > 0.5  # the negative twin


@pytest.mark.parametrize("dim", [1, 2])
@torch.no_grad()
def test_relative_scales_count(dim: int, doubled: Callable[..., Any]) -> None:
    """A layer from vectors: if they turn as they should, so do those that it makes of them."""
    conv, steps = make(dim, vectors=True, sharpness=100.0)
    pair = doubled(dim, SIZES[dim], WIDTHS[dim], channels=4)
    angle = conv.vector.rate * log(2)
    results = []
    for turn in (angle, 0.0):
        moved = type(pair)(pair.f, turned(pair.g, turn))
        spread = [conv.spread(x) for x in (moved.f, moved.g)]
        stacks = [conv.conv(x).unflatten(1, (4, -1)) for x in spread]
        at_f, at_g = moved.inside(*(stack.argmax(2) for stack in stacks))
        here = (at_f < stacks[0].shape[2] - steps) & (at_g >= steps)
        v_f, v_g = moved.inside(conv(moved.f), conv(moved.g))
        results.append(error(turned(v_f, angle), v_g, here))
    assert results[0] < 0.15  # measured 0.10, 0.07
    assert results[1] > 0.3  # the negative twin: the same dilation, but all at one scale


def test_frozen_and_compiled() -> None:
    (conv, _), x = make(1, vectors=True), torch.randn(1, 4, 15, dtype=torch.float64)
    torch.testing.assert_close(freeze(conv)(x), conv(x))
    torch.testing.assert_close(torch.compile(conv, fullgraph=True, backend="aot_eager")(x), conv(x))


def test_entry_and_errors() -> None:
    assert get("naderi2020").interscale
    group = ScaleTranslationGroup(2)
    with pytest.raises(FieldTypeError, match="fields of one phase"):
        SteerableMaxConv(1 * group.scalar, 2 * group.scalar)
