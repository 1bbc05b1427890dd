"""The measure of rotation errors measures what it says, and refuses what it cannot measure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType, act
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.representations import Quotient
from scalegroup.testing import Blobs, centred, rotation_error
from scalegroup.testing.rotations import turned
from scalegroup.testing.sampling import at_points
from scalegroup.testing.strategies import compact_groups, elements, groups, representations

SQUARE = ScaleTranslationGroup(2, 2.0, 3, "d4")
CUBE = ScaleTranslationGroup(3, 2.0, 2, "full_octahedral")
HAAR = ScaleTranslationGroup(2, 2.0, 3, "d4", sampling="haar")
MIXED = 2 * SQUARE.irrep("E") + 1 * SQUARE.quotient("c4") + 1 * SQUARE.irrep("B1", weight=0.0) + 1 * SQUARE.regular


class Gained(torch.nn.Module):
    """A layer and one gain for each channel: a known error."""

    def __init__(self, field: FieldType, gains: list[float]) -> None:
        super().__init__()
        self.in_type = self.out_type = field
        self.gains = torch.tensor(gains)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gains.to(x).view(-1, *[1] * (x.ndim - 2))


# Turning fields


@given(st.data())
def test_a_turned_field_is_the_analytic_one(data: st.DataObject) -> None:
    group, field = data.draw(
        st.sampled_from([(SQUARE, MIXED), (CUBE, 1 * CUBE.irrep("T1u") + 1 * CUBE.irrep("A2u", weight=0.0))])
    )
    g = group.element(k=data.draw(elements(group.rotations)))
    blobs = Blobs.random(field, radius=2.0)
    axes = [centred(7)] * group.dim
    torch.testing.assert_close(turned(blobs.sample(axes), field, g), blobs.act(g).sample(axes))


def test_the_action_of_fields_turns_alike() -> None:
    x = torch.randn(2, MIXED.size, 6, 6, dtype=torch.float64)
    for k in SQUARE.rotations.elements:
        g = SQUARE.element(k=k)
        torch.testing.assert_close(turned(x, MIXED, g), act(MIXED, g, x))
    parts = tuple(torch.randn(1, 4, n, n, dtype=torch.float64) for n in (9, 5, 3))
    field = 2 * HAAR.irrep("E")
    for k in HAAR.rotations.generators:
        g = HAAR.element(k=k)
        for one, two in zip(turned(parts, field, g), act(field, g, parts), strict=True):
            torch.testing.assert_close(one, two)


def test_values_at_points_are_those_of_the_function() -> None:
    blobs = Blobs.random(2 * SQUARE.scalar, radius=3.0)
    grid, points = [centred(41)] * 2, np.random.default_rng(0).uniform(-8, 8, (50, 2))
    wanted = torch.stack([blobs.sample([p[:1], p[1:]])[..., 0, 0] for p in points], dim=-1)
    torch.testing.assert_close(at_points(blobs.sample(grid), grid, points), wanted, rtol=0, atol=1e-6)


# Errors of known size


@pytest.mark.parametrize("protocol", ["lattice", "blobs"])
def test_what_commutes_has_no_error(protocol: str) -> None:
    for k in SQUARE.rotations.generators:
        result = rotation_error(Gained(MIXED, [1.0] * MIXED.size), k, protocol)  # type: ignore[arg-type]
        assert result.error < 1e-12
        assert result.floor < 1e-12
        assert result.trivial > 0.5
        assert [len(block) for block in result.blocks] == [3, 3, 1, 3]


@pytest.mark.parametrize("protocol", ["lattice", "blobs"])
def test_the_error_of_a_gain_on_one_component(protocol: str) -> None:
    """Of (x, 1.2 y) turned by 90 degrees (-y, x): (-y, 1.2 x) against (-1.2 y, x)."""
    field = 1 * SQUARE.irrep("E")
    gained = Gained(field, [1.0] * 3 + [1.2] * 3)
    result = rotation_error(gained, (-2, 1), protocol, batch=4)  # type: ignore[arg-type]
    wanted = 0.2 * math.sqrt(2 / (1 + 1.2**2))
    assert result.error == pytest.approx(wanted, rel=0.2)
    assert rotation_error(gained, (1, -2), protocol).error < 1e-12  # type: ignore[arg-type]


def test_each_block_and_scale_has_its_own_error() -> None:
    field = 1 * SQUARE.regular + 1 * SQUARE.irrep("E")
    gains = [1.0] * 3 + [1.0, 1.0, 1.5] + [1.0] * 3  # of the first component at the last scale
    first, second = rotation_error(Gained(field, gains), (-2, 1)).blocks
    assert max(first) < 1e-12
    assert max(second[:2]) < 1e-12 < 0.2 < second[2]


def test_a_field_that_is_zero_tells_nothing() -> None:
    field = 1 * SQUARE.regular
    assert math.isnan(rotation_error(Gained(field, [0.0] * 3), (-2, 1)).error)


def test_fields_with_a_grid_for_each_scale() -> None:
    field = 2 * HAAR.irrep("E")
    blur, k = nn.ScaleBlurPool(field), HAAR.rotations.generators[0]
    for protocol in ("lattice", "blobs"):
        assert rotation_error(blur, k, protocol).error < 1e-12  # type: ignore[arg-type]

    class Sheared(torch.nn.Module):
        in_type = out_type = field

        def forward(self, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (*x[:-1], x[-1] * torch.tensor([1.0, 2.0, 1.0, 2.0]).to(x[-1]).view(-1, 1, 1))

    result = rotation_error(Sheared(), k)
    assert max(result.blocks[0][:-1]) < 1e-12 < 0.3 < result.blocks[0][-1]


def test_a_smooth_layer_of_fixed_shape_is_exact_for_quarter_turns_only() -> None:
    pytest.importorskip("escnn")
    group = ScaleTranslationGroup(2, 2.0, 2, "c8")
    box = torch.nn.AvgPool2d(7, stride=1, padding=3)
    types = {"in_type": 2 * group.scalar, "out_type": 2 * group.scalar}
    quarter, eighth = group.rotations.elements[2], group.rotations.elements[1]
    assert rotation_error(box, quarter, "lattice", **types).error < 1e-12
    assert rotation_error(box, eighth, "blobs", **types).error > 1e-2
    assert rotation_error(torch.nn.SiLU(), eighth, "blobs", **types).error < 1e-4


# What is refused


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda: rotation_error(Gained(MIXED, [1.0] * MIXED.size), (2, 1), "torus"), "a protocol of .* 'torus'"),  # type: ignore[arg-type]
        (lambda: rotation_error(torch.nn.SiLU(), (-2, 1)), "a module with in_type and out_type, .* received SiLU"),
        (lambda: rotation_error(Gained(MIXED, [1.0] * MIXED.size), (-2, 1), size=2), "size, an integer >= 3"),
        (lambda: rotation_error(Gained(MIXED, [1.0] * MIXED.size), (1, 2, 3)), "received"),
        (lambda: rotation_error(Gained(MIXED, [1.0] * MIXED.size), (-2, 1), "blobs", interior=0), "interior, a number"),
    ],
)
def test_wrong_arguments(attempt: Callable[[], object], text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        attempt()


def test_the_lattice_has_no_eighths_of_a_turn() -> None:
    pytest.importorskip("escnn")
    group = ScaleTranslationGroup(2, 2.0, 2, "c8")
    with pytest.raises(ScaleGroupError, match=r"a rotation that maps the grid to itself, .*protocol='blobs'"):
        rotation_error(nn.ScaleBlurPool(2 * group.scalar), group.rotations.elements[1])


# Strategies


@given(groups(max_scales=3), st.data())
def test_quotients_come_and_are_representations(group: ScaleTranslationGroup, data: st.DataObject) -> None:
    rho = data.draw(representations(group, composite=False, quotients=True).filter(lambda r: isinstance(r, Quotient)))
    g, h = (data.draw(elements(group)) for _ in range(2))
    rows = rho.overlap(g)
    np.testing.assert_allclose((rho(g) @ rho(h))[rows], rho(g @ h)[rows], atol=1e-9)


@given(st.sampled_from((2, 3)), st.data())
def test_groups_of_escnn_come_and_are_groups(dim: int, data: st.DataObject) -> None:
    pytest.importorskip("escnn")
    rotations = data.draw(compact_groups(dim, escnn=True))
    k, m = (data.draw(elements(rotations)) for _ in range(2))
    np.testing.assert_allclose((k @ m).matrix, k.matrix @ m.matrix, atol=1e-9)
