"""Group convolution: the adjoint, admissible kernels, characters, sizes, and what the constructor refuses."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn import GroupConv, GroupConvTranspose, Linear
from scalegroup.nn.grid import PADDING_MODES
from scalegroup.symbolic import HermiteBasis
from scalegroup.testing import equivariance_error

GROUP = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# The adjoint


@st.composite
def pairs(draw: st.DrawFn) -> tuple[GroupConv, GroupConvTranspose, tuple[int, ...]]:
    """A convolution, the transposed one with the same coefficients, and the size of a fine grid."""
    dim = draw(st.integers(1, 2))
    group = ScaleTranslationGroup(dim, draw(st.sampled_from((2.0, 2**0.5))), draw(st.integers(1, 3)))
    extent = draw(st.integers(1, group.num_scales))
    options: dict[str, Any] = {
        "order": draw(st.integers(0, 2)),
        "sigma": 0.7,
        "support": 2.0,
        "stride": draw(st.tuples(*[st.integers(1, 3)] * dim)),
        "scale_extent": extent,
        "scale_padding": draw(st.sampled_from(("zeros", "replicate", "valid"))),
        "padding": draw(st.sampled_from(("same", "same", "valid"))),
        "padding_mode": draw(st.sampled_from(PADDING_MODES)),
        "admissible": draw(st.booleans()),
        "bias": False,
    }
    fine = 2 * group.regular
    conv = GroupConv(fine, 3 * group.regular, **options).double()
    transpose = GroupConvTranspose(conv.out_type, fine.with_group(conv.out_type.group), **options).double()
    with torch.no_grad():
        transpose.weight.copy_(conv.weight.transpose(0, 1))
    reach = max(-taps.first for taps in conv.taps[-1]) if options["padding"] == "valid" else 0
    return conv, transpose, tuple(draw(st.integers(2 * reach + 1, 2 * reach + 9)) for _ in range(dim))


@given(pairs())
def test_the_transposed_convolution_is_the_adjoint(pair: tuple[GroupConv, GroupConvTranspose, tuple[int, ...]]) -> None:
    conv, transpose, size = pair
    fine = noise(2, conv.in_type.size, *size)
    there = conv(fine)
    coarse = noise(*there.shape, seed=1)
    back = transpose(coarse, output_size=size)
    assert back.shape == fine.shape
    assert transpose.out_type == conv.in_type
    torch.testing.assert_close((there * coarse).sum(), (fine * back).sum())


@pytest.mark.parametrize("change", [{"padding_mode": "zeros"}, {"stride": 1}, {"scale_padding": "zeros"}])
def test_the_adjoint_of_another_convolution_is_another(change: dict[str, Any]) -> None:
    options: dict[str, Any] = {"stride": 2, "padding_mode": "reflect", "scale_extent": 2, "scale_padding": "replicate"}
    field = 1 * GROUP.regular
    conv = GroupConv(field, field, bias=False, **options).double()
    transpose = GroupConvTranspose(field, field, bias=False, **{**options, **change}).double()
    transpose.load_state_dict(conv.state_dict())
    fine, coarse = noise(1, 3, 9, 9), noise(1, 3, *([5, 5] if "stride" not in change else [9, 9]), seed=1)
    if "stride" in change:
        coarse[:, :, 5:] = coarse[..., 5:] = 0
    there, back = conv(fine).detach(), transpose(coarse, output_size=(9, 9)).detach()
    assert float(((there * coarse[:, :, :5, :5]).sum() - (fine * back).sum()).abs()) > 1e-3


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_any_size_that_strides_to_the_input_comes_back(coarse: int, stride: int, data: st.DataObject) -> None:
    group = ScaleTranslationGroup(1, 2.0, 2)
    up = GroupConvTranspose(1 * group.regular, 1 * group.regular, stride=stride)
    x = torch.zeros(1, 2, coarse)
    assert up(x).shape[2] == stride * coarse
    size = data.draw(st.integers(stride * (coarse - 1) + 1, stride * coarse))
    assert up(x, output_size=(size,)).shape[2] == size
    for wrong in (stride * (coarse - 1), stride * coarse + 1):
        if wrong > 0:
            with pytest.raises(ScaleGroupError, match=rf"strides to \({coarse},\), received \({wrong},\)"):
                up(x, output_size=(wrong,))


# Sizes


@given(st.integers(1, 30), st.integers(1, 3))
def test_valid_padding_leaves_what_the_widest_kernel_reads(size: int, stride: int) -> None:
    group = ScaleTranslationGroup(1, 2.0, 2)
    conv = GroupConv(
        1 * group.scalar, 1 * group.regular, sigma=1.0 / stride, support=2.0, stride=stride, padding="valid"
    )
    reach = math.ceil(2.0 * 2.0)  # support times the largest scale
    x = noise(1, 1, size).float()
    if size < 2 * reach + 1:
        with pytest.raises(ScaleGroupError, match=f"at least {2 * reach + 1} voxels .* received {size}"):
            conv(x)
        return
    y = conv(x)
    assert y.shape[2] == (size - 2 * reach - 1) // stride + 1
    padded = copy.deepcopy(conv)
    for mode in PADDING_MODES:  # nothing outside is read
        padded.padding_mode = mode
        assert torch.equal(padded(x), y)


def test_valid_is_the_middle_of_same() -> None:
    same = GroupConv(1 * GROUP.scalar, 1 * GROUP.regular, support=2.0).double()
    valid = GroupConv(1 * GROUP.scalar, 1 * GROUP.regular, support=2.0, padding="valid").double()
    valid.load_state_dict(same.state_dict())
    x = noise(1, 1, 19, 20)
    torch.testing.assert_close(valid(x), same(x)[:, :, 8:-8, 8:-8])


def test_strided_grids_are_centred() -> None:
    conv = GroupConv(1 * GROUP.scalar, 1 * GROUP.regular, order=0, stride=(2, 3), padding_mode="replicate").double()
    for size in ((9, 10), (8, 11), (7, 7)):
        x = noise(1, 1, *size)
        torch.testing.assert_close(conv(x.flip(2, 3)), conv(x).flip(2, 3))
        assert conv(x).shape[2:] == (-(-size[0] // 2), -(-size[1] // 3))


# Admissible kernels


@pytest.mark.parametrize("admissible", [True, False])
def test_only_admissible_kernels_annihilate_constants(admissible: bool) -> None:
    conv = GroupConv(2 * GROUP.scalar, 2 * GROUP.regular, admissible=admissible, padding_mode="replicate").double()
    response = float(conv(torch.ones(1, 2, 12, 11, dtype=torch.float64)).detach().abs().max())
    assert response < 5e-4 if admissible else response > 0.05


@pytest.mark.parametrize("sides", [("regular", "regular"), ("regular", "scalar"), ("scalar", "regular")])
def test_admissible_coefficients_have_zero_mean_on_every_path(sides: tuple[str, str]) -> None:
    fields = [2 * getattr(GROUP, side) for side in sides]
    means = torch.tensor([math.prod(HermiteBasis(2, 2).means[i] for i in p) for p in HermiteBasis(2, 2).products])
    for admissible in (True, False):
        conv = GroupConv(*fields, admissible=admissible).double()
        mean = float((conv.coefficients() @ means.double()).detach().abs().max())
        assert mean < 1e-12 if admissible else mean > 0.05


# Types


@pytest.mark.parametrize("weight", [1.0, -1.0, 0.5])
@pytest.mark.parametrize("lifting", [True, False])
def test_characters_scale_by_their_power(weight: float, lifting: bool) -> None:
    fields = [3 * GROUP.character(weight), 2 * GROUP.regular]
    conv = GroupConv(*(fields if lifting else fields[::-1]))
    result = equivariance_error(conv, protocol="lattice", inside=True)
    assert result.error < 3e-4
    wrong = [3 * GROUP.scalar, 2 * GROUP.regular]
    types = dict(zip(("in_type", "out_type"), wrong if lifting else wrong[::-1], strict=True))
    assert equivariance_error(conv, protocol="lattice", inside=True, **types).error > 0.2  # 2**0.5 - 1 and more


def test_characters_get_no_bias() -> None:
    out = 2 * GROUP.character(-1.0) + 3 * GROUP.regular + 4 * GROUP.scalar
    conv = GroupConv(1 * GROUP.regular, out)
    assert conv.bias is not None
    assert conv.bias.shape == (7,)
    assert GroupConv(1 * GROUP.regular, 2 * GROUP.character(1.0)).bias is None
    with torch.no_grad():
        conv.bias.fill_(1.0)
        for weight in conv.weights:
            weight.zero_()
    y = conv(torch.randn(1, 3, 5, 5))
    assert not y[:, :2].any()
    assert torch.equal(y[:, 2:], torch.ones(1, 13, 5, 5))


def test_a_mixed_type_is_the_sum_of_its_paths() -> None:
    scalar, regular, character = 2 * GROUP.scalar, 1 * GROUP.regular, 1 * GROUP.character(1.0)
    conv = GroupConv(scalar + regular + character, regular + scalar, bias=False).double()
    x = noise(1, 6, 7, 7)
    y = conv(x)
    assert conv.paths == [(0, 0), (1, 0), (2, 0), (1, 1)]  # scalars do not reach scalars
    total = torch.zeros_like(y)
    for part in conv.in_type.slices:
        only = torch.zeros_like(x)
        only[:, part] = x[:, part]
        total += conv(only)
    torch.testing.assert_close(y, total)
    assert not conv(torch.cat([x[:, :2], torch.zeros(1, 4, 7, 7, dtype=x.dtype)], dim=1))[:, 3:].any()


def test_the_order_of_the_functions_may_differ_per_axis() -> None:
    conv = GroupConv(1 * GROUP.scalar, 1 * GROUP.regular, order=(0, 2))
    assert conv.basis.order == (0, 2)
    assert eval(f"dict({str(conv).split(', ', 1)[1][:-1]})") == {"order": (0, 2), "sigma": 1}


def test_a_basis_replaces_the_order() -> None:
    basis = HermiteBasis(1, 2, "each")
    conv = GroupConv(1 * GROUP.scalar, 1 * GROUP.regular, basis=basis)
    assert conv.weight.shape == (1, 1, 1, 4)
    assert f"basis={basis!r}" in repr(conv)


def test_repr_names_what_is_not_default() -> None:
    field = 2 * GROUP.regular
    conv = GroupConv(field, field, 3, sigma=1.5, stride=2, scale_extent=2, scale_padding="replicate", bias=False)
    text = "order=3, sigma=1.5, stride=(2, 2), scale_extent=2, scale_padding='replicate', bias=False"
    assert repr(conv) == f"GroupConv(2*regular -> 2*regular, {text})"


# Scales


def test_the_window_narrows_and_widens() -> None:
    field = 1 * GROUP.regular
    narrow = GroupConv(field, field, scale_extent=2, scale_padding="valid")
    assert narrow.out_type == field.with_group(GROUP.window(2))
    wide = GroupConvTranspose(narrow.out_type, narrow.out_type, scale_extent=2, scale_padding="valid")
    assert wide.out_type == field


def test_replicate_differs_from_zeros_at_the_end_of_the_window_only() -> None:
    field = 1 * GROUP.regular
    zeros, replicate, valid = (
        GroupConv(field, field, scale_extent=2, scale_padding=mode).double() for mode in ("zeros", "replicate", "valid")
    )
    for conv in (replicate, valid):
        conv.load_state_dict(zeros.state_dict())
    x = noise(1, 3, 9, 9)
    torch.testing.assert_close(zeros(x)[:, :2], replicate(x)[:, :2])
    torch.testing.assert_close(zeros(x)[:, :2], valid(x))
    assert bool((zeros(x)[:, 2] - replicate(x)[:, 2]).abs().max() > 1e-2)


# Errors


REGULAR, SCALAR = 1 * GROUP.regular, 1 * GROUP.scalar
ROTATED = ScaleTranslationGroup(2, 2.0, 3, rotations="c4")


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda: GroupConv("regular", REGULAR),
            FieldTypeError,
            "a FieldType as in_type of GroupConv, received 'regular'",
        ),
        (lambda: GroupConv(REGULAR, None), FieldTypeError, "a FieldType as out_type of GroupConv, received None"),
        (
            lambda: GroupConv(SCALAR, SCALAR),
            FieldTypeError,
            "fields on the scales on one side at least, received 1*scalar -> 1*scalar",
        ),
        (
            lambda: GroupConv(REGULAR, 1 * ScaleTranslationGroup(3).regular),
            FieldTypeError,
            "out_type on ScaleTranslationGroup",
        ),
        (lambda: GroupConv(SCALAR, 1 * ScaleTranslationGroup(3).regular), FieldTypeError, "out_type with the group"),
        (lambda: GroupConv(REGULAR, 1 * GROUP.phase(1.0)), FieldTypeError, "on the scales, or with a power of the"),
        (
            lambda: GroupConv(1 * ROTATED.regular, 1 * ROTATED.irrep("E"), order=0),
            FieldTypeError,
            r"kernels of HermiteBasis\(order=0.* to irrep\('E'\), received none; raise the order",
        ),
        (
            lambda: GroupConv(1 * ROTATED.regular, 1 * ROTATED.regular, stride=(1, 2)),
            ScaleGroupError,
            r"the same stride of GroupConv along all axes .* mix, received \(1, 2\)",
        ),
        (
            lambda: GroupConv(REGULAR, REGULAR, scale_extent=4, scale_padding="valid"),
            FieldTypeError,
            "more than 3 scales",
        ),
        (
            lambda: GroupConv(REGULAR, REGULAR, scale_extent=0),
            ScaleGroupError,
            "scale_extent, an integer >= 1, received 0",
        ),
        (lambda: GroupConv(REGULAR, REGULAR, scale_extent=True), ScaleGroupError, "scale_extent, .* received True"),
        (
            lambda: GroupConv(REGULAR, REGULAR, scale_padding="wrap"),
            ScaleGroupError,
            "scale_padding out of .* received 'wrap'",
        ),
        (lambda: GroupConv(REGULAR, REGULAR, padding="full"), ScaleGroupError, "padding out of .* received 'full'"),
        (
            lambda: GroupConv(REGULAR, REGULAR, padding_mode="edge"),
            ScaleGroupError,
            "padding_mode out of .* received 'edge'",
        ),
        (lambda: GroupConv(REGULAR, REGULAR, method="fast"), ScaleGroupError, "method out of .* received 'fast'"),
        (lambda: GroupConv(REGULAR, REGULAR, sigma=0), ScaleGroupError, "sigma: a positive number, received 0"),
        (
            lambda: GroupConv(REGULAR, REGULAR, support=-1.0),
            ScaleGroupError,
            "support: a positive number, received -1.0",
        ),
        (lambda: GroupConv(REGULAR, REGULAR, stride=0), ScaleGroupError, "stride: a positive integer .* received 0"),
        (lambda: GroupConv(REGULAR, REGULAR, stride=(2, 2, 2)), ScaleGroupError, "one for each of 2 axes, received"),
        (lambda: GroupConv(REGULAR, REGULAR, order=-1), ScaleGroupError, "received -1"),
        (
            lambda: GroupConv(REGULAR, REGULAR, basis=HermiteBasis(2, 3)),
            ScaleGroupError,
            "a basis of dim 2, received one of dim 3",
        ),
        (
            lambda: Linear(SCALAR, REGULAR),
            FieldTypeError,
            "regular among the input fields, received 1*scalar -> 1*regular",
        ),
    ],
)
def test_wrong_arguments(make: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.sub(r"\*(scalar|regular)", r"\\*\1", text)):
        make()
