"""The action on sampled fields: exact on the grid, close between voxels, zero outside."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType, act
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import Scalar, TensorProduct
from scalegroup.testing.strategies import compact_groups


def group_of(dim: int, **options: Any) -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim=dim, base=2.0, num_scales=3, **options)


def noise(field: FieldType, size: int, seed: int = 0) -> torch.Tensor:
    shape = (2, field.size, *(size,) * field.group.dim)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def blob(sizes: tuple[int, ...], width: float, centre: tuple[float, ...] | None = None) -> torch.Tensor:
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in sizes), indexing="ij")
    shifted = [axis - c for axis, c in zip(axes, centre or (0.0,) * len(sizes), strict=True)]
    return torch.exp(-sum(a**2 for a in shifted) / (2 * width**2))[None, None]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_whole_voxel_translations_are_exact(dim: int) -> None:
    group = group_of(dim)
    field = 2 * group.regular
    x = noise(field, 7)
    moved = act(field, group.element(t=(2,) + (0,) * (dim - 1)), x)
    torch.testing.assert_close(moved[:, :, 2:], x[:, :, :-2])
    assert not moved[:, :, :2].abs().max() > 1e-9


@pytest.mark.parametrize("dim", [2, 3])
def test_axes_keep_their_order(dim: int) -> None:
    group = group_of(dim)
    sizes = (5, 7, 9)[:dim]
    x = torch.zeros(1, 1, *sizes, dtype=torch.float64)
    x[(0, 0, *(n // 2 for n in sizes))] = 1
    steps = (1, -2, 3)[:dim]
    moved = act(1 * group.scalar, group.element(t=steps), x)
    place = torch.nonzero(moved[0, 0] > 0.5).flatten().tolist()
    assert place == [n // 2 + step for n, step in zip(sizes, steps, strict=True)]


@given(st.sampled_from((1, 2, 3)), st.data())
def test_symmetries_of_the_grid_act_exactly(dim: int, data: st.DataObject) -> None:
    group = group_of(dim, rotations=data.draw(compact_groups(dim)))
    irreps = group.rotations.irreps
    field = 2 * group.irrep(data.draw(st.sampled_from(irreps))) + group.irrep(irreps[-1], weight=1.0)
    g, h = (group.element(k=data.draw(st.sampled_from(group.rotations.elements))) for _ in range(2))
    x = noise(field, data.draw(st.integers(4, 5)))
    torch.testing.assert_close(act(field, g, act(field, h, x)), act(field, g @ h, x))
    torch.testing.assert_close(act(field, ~g, act(field, g, x)), x)


def test_rotations_turn_the_volume_as_they_turn_points() -> None:
    group = group_of(3, rotations="octahedral")
    g = group.element(k=(2, 3, 1))
    centre = (3.0, 1.0, -2.0)
    moved = act(1 * group.scalar, g, blob((15, 15, 15), 1.5, centre))
    target: Any = tuple(g.act(centre))
    torch.testing.assert_close(moved, blob((15, 15, 15), 1.5, target))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_dilations_scale_a_blob(dim: int, scale: float) -> None:
    group = group_of(dim)
    sizes = (25,) * dim  # with an odd size, halving reads at whole voxels
    moved = act(1 * group.scalar, group.element(s=scale), blob(sizes, 4.0))
    expected = blob(sizes, 4.0 * scale)
    inside = (slice(None), slice(None), *(slice(7, 18),) * dim)
    # Linear interpolation errs by 1/8 of the second derivative, which is 1 / width², along each axis.
    bound = dim / (8 * 4.0**2) if scale > 1 else 1e-9
    assert (moved - expected)[inside].abs().max() <= bound
    assert (moved - blob(sizes, 4.0))[inside].abs().max() > 0.05


def test_channels_move_up_the_window_and_weights_multiply() -> None:
    group = group_of(1)
    field = 2 * group.regular + group.character(-1.0)
    x = torch.ones(1, 7, 5, dtype=torch.float64)
    x[0, :6] = torch.arange(6.0)[:, None]
    centre = act(field, group.element(s=2.0), x)[0, :, 2]
    torch.testing.assert_close(centre, torch.tensor([0, 0, 1, 0, 3, 4, 0.5], dtype=torch.float64))


@pytest.mark.parametrize("w", [0.2, 0.8, math.pi / 2])
def test_the_error_of_interpolation_is_as_documented(w: float) -> None:
    group = group_of(1)
    position = torch.arange(41, dtype=torch.float64) - 20
    moved = act(1 * group.scalar, group.element(t=(0.5,)), torch.cos(w * position)[None, None])
    exact = torch.cos(w * (position - 0.5))
    torch.testing.assert_close(moved[0, 0, 1:], math.cos(w / 2) * exact[1:])
    assert 1 - math.cos(w / 2) <= w**2 / 8


def test_outside_is_zero() -> None:
    group = group_of(2)
    ones = torch.ones(1, 1, 9, 9)
    shrunk = act(1 * group.scalar, group.element(s=0.5), ones)
    assert shrunk[0, 0, 4, 4] == 1
    assert shrunk[0, 0, 0].abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_shape_and_gradient(dtype: torch.dtype) -> None:
    group = group_of(2, rotations="c4")
    field = 2 * group.irrep("E") + group.scalar
    x = torch.randn(2, field.size, 4, 6, dtype=dtype, requires_grad=True)
    moved = act(field, group.element(t=(0.3, 1), s=2.0), x)
    assert (moved.dtype, moved.shape) == (dtype, x.shape)
    moved.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 4, 5, 5),
        torch.zeros(1, 3, 5),
        torch.zeros(1, 3, 5, 5, 5),
        torch.zeros(1, 3, 5, 5, dtype=torch.int64),
    ],
)
def test_wrong_tensors(x: torch.Tensor) -> None:
    group = group_of(2)
    with pytest.raises(FieldTypeError, match=r"tensor \(batch, 3, 2 spatial axes\) for 1\*regular, received torch"):
        act(1 * group.regular, group.identity, x)


def test_wrong_groups() -> None:
    group = group_of(2)
    with pytest.raises(ScaleGroupError, match=r"an element of .*num_scales=3"):
        act(1 * group.scalar, group.window(5).identity, torch.zeros(1, 1, 3, 3))
    with pytest.raises(ScaleGroupError, match="a field type of a ScaleTranslationGroup"):
        act(1 * Scalar(SignedPermutations.c4()), group.identity, torch.zeros(1, 1, 3, 3))


# A grid for each scale


def haar(dim: int, **options: Any) -> ScaleTranslationGroup:
    return ScaleTranslationGroup(dim=dim, base=2.0, num_scales=3, sampling="haar", **options)


def grids(field: FieldType, sizes: tuple[int, ...] = (17, 9, 5), seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator, group = torch.Generator().manual_seed(seed), field.group
    channels = field.size // group.num_scales  # type: ignore[attr-defined]
    return tuple(torch.randn(2, channels, *(n,) * group.dim, dtype=torch.float64, generator=generator) for n in sizes)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_dilations_hand_arrays_from_scale_to_scale(dim: int) -> None:
    group = haar(dim)
    x = grids(2 * group.regular)
    up = act(2 * group.regular, group.element(s=2.0), x)
    assert not up[0].any()
    centre = (..., *(slice(4, 13),) * dim)
    torch.testing.assert_close(up[1], x[0][centre])  # cut around the centre
    torch.testing.assert_close(up[2], x[1][(..., *(slice(2, 7),) * dim)])
    down = act(2 * group.regular, group.element(s=0.5), x)
    torch.testing.assert_close(down[0][centre], x[1])  # filled up with zeros
    assert float(down[0].abs().sum()) == pytest.approx(float(x[1].abs().sum()))
    assert not down[2].any()
    torch.testing.assert_close(act(2 * group.regular, group.element(s=4.0), x)[2], x[0][(..., *(slice(6, 11),) * dim)])


def test_there_and_back_keeps_what_stays_inside() -> None:
    group = haar(2)
    field, g = 1 * group.regular, group.element(s=2.0)
    x = grids(field)
    back = act(field, ~g, act(field, g, x))
    torch.testing.assert_close(back[1][..., 2:7, 2:7], x[1][..., 2:7, 2:7])
    assert back[1][..., :2, :].abs().max() < 1e-12  # cut off by the smaller grid
    assert not back[2].any()


def test_translations_are_in_voxels() -> None:
    """Four voxels are 4, 2 and 1 samples."""
    group = haar(1)
    x = grids(1 * group.regular)
    moved = act(1 * group.regular, group.element(t=(4.0,)), x)
    for before, after, step in zip(x, moved, (4, 2, 1), strict=True):
        torch.testing.assert_close(after[..., step:], before[..., :-step])
        assert after[..., :step].abs().max() < 1e-12
    finer = group.window(first=-1)
    moved = act(1 * finer.regular, finer.element(t=(1.0,)), x)
    torch.testing.assert_close(moved[0][..., 2:], x[0][..., :-2])
    torch.testing.assert_close(moved[2][..., 1:], (x[2][..., 1:] + x[2][..., :-1]) / 2)  # half a sample


@given(st.sampled_from((1, 2, 3)), st.data())
def test_the_action_on_all_grids_is_one(dim: int, data: st.DataObject) -> None:
    """Rotations, dilations and translations by whole samples: `L_g L_h = L_gh` where nothing was cut off."""
    group = haar(dim, rotations=data.draw(compact_groups(dim)))
    field = 1 * group.regular + 2 * group.irrep(group.rotations.irreps[-1])
    g, h = (
        group.element(
            t=[4.0 * data.draw(st.integers(-1, 1)) for _ in range(dim)],
            s=data.draw(st.sampled_from((0.5, 1.0, 2.0))),
            k=data.draw(st.sampled_from(group.rotations.elements)),
        )
        for _ in range(2)
    )
    inside = [torch.zeros_like(part) for part in grids(field, (33, 17, 9))]
    for part, value in zip(inside, grids(field, (5, 3, 1)), strict=True):
        n = (part.shape[2] - value.shape[2]) // 2
        part[(..., *(slice(n, n + value.shape[2]),) * dim)] = value
    x = tuple(inside)
    one, two = act(field, g, act(field, h, x)), act(field, g @ h, x)
    if g.exponent * h.exponent >= 0:  # else what leaves the window does not come back
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b)


def test_weights_multiply() -> None:
    group = haar(1)
    field = 1 * TensorProduct(group.character(-1.0), group.regular)
    x = tuple(torch.ones(1, 1, n) for n in (5, 3, 1))
    up = act(field, group.element(s=2.0), x)
    assert [float(part[..., part.shape[-1] // 2]) for part in up] == [0.0, 0.5, 0.5]


def test_fields_without_scales_stay_one_tensor() -> None:
    group, plain = haar(2), group_of(2)
    x = torch.randn(1, 2, 7, 7)
    for s in (1.0, 2.0):
        moved = act(2 * group.scalar, group.element(t=(1, 0), s=s), x)
        torch.testing.assert_close(moved, act(2 * plain.scalar, plain.element(t=(1, 0), s=s), x))


def test_gradients_flow_through_all_grids() -> None:
    group = haar(1)
    x = tuple(part.requires_grad_() for part in grids(1 * group.regular))
    sum(part.square().sum() for part in act(1 * group.regular, group.element(s=2.0), x)).backward()  # type: ignore
    assert [part.grad is not None and bool(part.grad.any()) for part in x] == [True, True, False]


def test_wrong_tuples() -> None:
    group = haar(1)
    field, x = 1 * group.regular, grids(1 * haar(1).regular)
    cases: list[tuple[FieldType, Any, str]] = [
        (field, x[:2], "a tuple of 3 tensors, one for each scale, received 2; finest first"),
        (field, x[0], "a tuple of 3 tensors, one for each scale, received Tensor"),
        (field, (*x[:2], x[2][0]), r"tensor \(batch, 1, 1 spatial axes\) for 1\*regular, received torch.float64 of"),
        (field, (*x[:2], x[2].long()), "received torch.int64"),
        (field, (*x[:2], None), "received NoneType"),
        (field + 1 * group.scalar, x, "fields with scales only, or without, sampled as 'haar', received"),
        (1 * group.scalar, x, "a floating-point tensor .* received tuple"),
    ]
    for kind, value, text in cases:
        with pytest.raises(FieldTypeError, match=text):
            act(kind, group.identity, value)
