"""The analytic inputs transform exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.representations import DirectSum, Representation, TensorProduct
from scalegroup.testing import Blobs, Waves, centred
from scalegroup.testing.inputs import AnalyticField, lines


def mixed(dim: int, base: float = 2.0) -> FieldType:
    group = ScaleTranslationGroup(dim=dim, base=base, num_scales=3)
    return 2 * group.regular + 1 * group.scalar + 1 * group.character(-1.5)  # type: ignore[no-any-return]


def fields(dim: int, base: float = 2.0) -> list[AnalyticField]:
    return [Blobs.random(mixed(dim, base), radius=3.0, seed=1), Waves.random(mixed(dim, base), period=12, seed=1)]


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", [0, 1])
def test_one_step_of_the_base_is_the_representation_and_a_stretch(dim: int, kind: int) -> None:
    f = fields(dim)[kind]
    x = f.sample([centred(9)] * dim)
    g = f.act(2.0).sample([2 * centred(9)] * dim)  # (L_a f)(a x)
    rho = torch.from_numpy(f.field_type.representation(f.field_type.group.element(s=2.0)))
    kept = f.field_type.representation.overlap(f.field_type.group.element(s=2.0))
    wanted = torch.einsum("oc,bc...->bo...", rho, x)
    torch.testing.assert_close(g[:, kept], wanted[:, kept], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(g, x, atol=1e-2)


@given(a=st.floats(0.3, 3.0), b=st.floats(0.3, 3.0), kind=st.integers(0, 1))
def test_acting_twice_is_acting_by_the_product(a: float, b: float, kind: int) -> None:
    f = fields(2)[kind]
    grid = [centred(5), centred(6)]
    torch.testing.assert_close(f.act(b).act(a).sample(grid), f.act(a * b).sample(grid), rtol=1e-9, atol=1e-9)


@given(data=st.data(), kind=st.integers(0, 1))
def test_group_elements_move_points_and_turn_components(data: st.DataObject, kind: int) -> None:
    group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3, rotations="c4")
    field = 1 * group.irrep(1, weight=0.5) + 2 * group.phase(0.7) + 1 * group.scalar
    f = [Blobs.random(field, radius=3.0), Waves.random(field, period=12)][kind]
    g = group.sample(np.random.default_rng(data.draw(st.integers(0, 100))))
    points = np.random.default_rng(1).uniform(-3, 3, (4, 2))
    moved = g.act(points)
    for before, after in zip(points, moved, strict=True):
        x = f.sample([before[:1], before[1:]]).flatten()
        y = f.act(g).sample([after[:1], after[1:]]).flatten()
        torch.testing.assert_close(y, torch.from_numpy(field.representation(g)) @ x, rtol=1e-9, atol=1e-9)


def test_waves_have_unit_variance_and_a_band() -> None:
    group = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)
    f = Waves.random(1 * group.regular, period=32, wmax=math.pi / 4)
    x = f.sample([centred(32)] * 2)
    assert 0.8 < float(x.std()) < 1.2
    high = torch.fft.fft2(x).abs()[..., 5:28, :]
    assert float(high.max()) < 1e-9
    assert float(torch.fft.fft2(x).abs()[..., :5, :].max()) > 1


@pytest.mark.parametrize("kind", [Blobs, Waves])
def test_content_stays_inside_its_extent(kind: type[AnalyticField]) -> None:
    group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=3)
    place = {"radius": 2.0} if kind is Blobs else {"period": 8}
    f = kind.random(1 * group.regular, extent=(1.0, 2.0), **place)  # type: ignore[attr-defined]
    assert [bool(row.any()) for row in f.sample([centred(8)])[0]] == [True, True, False]
    assert [bool(row.any()) for row in f.act(2.0).sample([centred(8)])[0]] == [False, True, True]


def test_lines_of_composite_representations() -> None:
    group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
    product = TensorProduct(group.character(1.0), group.regular)
    field = 1 * DirectSum((group.scalar, product)) + 1 * group.regular
    assert [(line.start, line.weight, line.scales) for line in lines(field)] == [
        (0, 0.0, None),
        (1, 1.0, (1.0, 2.0)),
        (3, 0.0, (1.0, 2.0)),
    ]
    assert lines(field)[-1].channels.stop == field.size


def test_weighted_regular_fields_transform_with_their_weight() -> None:
    group = ScaleTranslationGroup(dim=1, base=2.0, num_scales=2)
    f = Blobs.random(1 * TensorProduct(group.character(1.0), group.regular), radius=2.0)
    x, y = f.sample([centred(7)]), f.act(2.0).sample([2 * centred(7)])
    torch.testing.assert_close(y[:, 1], 2 * x[:, 0])


def test_errors() -> None:
    group = ScaleTranslationGroup(dim=1)
    blobs = Blobs.random(1 * group.scalar, radius=1.0)
    with pytest.raises(ScaleGroupError, match="finite factor > 0, or an element"):
        blobs.act(0.0)
    with pytest.raises(ScaleGroupError, match="an element of ScaleTranslationGroup"):
        blobs.act(ScaleTranslationGroup(dim=2).identity)


def test_a_representation_without_weight_or_window_is_refused() -> None:
    class Odd(Representation):
        size = 1

        def __init__(self, group: ScaleTranslationGroup) -> None:
            self.group = group

        def matrix(self, g: object) -> np.ndarray:  # type: ignore[type-arg]
            return np.ones((1, 1))

        def __str__(self) -> str:
            return "odd"

    with pytest.raises(FieldTypeError, match=r"regular on the scales or has a weight, received odd.*attribute"):
        lines(1 * Odd(ScaleTranslationGroup(dim=1)))
