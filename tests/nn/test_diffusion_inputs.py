"""What layers on positions and q-space refuse, and how they live: types, q-vectors, gradients, pickling, windows."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import DiffusionGroup, ScaleTranslationGroup
from scalegroup.nn import DiffusionGroupConv, DiffusionPool, each_q, freeze, with_window
from scalegroup.nn.diffusion_basis import DiffusionBasis
from scalegroup.symbolic import HermiteBasis
from scalegroup.testing import BasisContract, gradients

GROUP = DiffusionGroup("joint", dim=2, base=2.0, num_scales=2)
LIFT = (1 * GROUP.scalar, 2 * GROUP.regular)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("q", "message"),
    [
        (torch.randn(4, 2), r"q of shape \(5, 2\), .* received \(4, 2\)"),
        (torch.randn(5, 3), r"q of shape \(5, 2\), .* received \(5, 3\)"),
        (torch.randn(2, 5, 2), r"one such set for each of 1 fields, received \(2, 5, 2\)"),
        (torch.randn(10), r"received \(10,\)"),
        (torch.randn(5, 2, dtype=torch.complex64), "q of shape"),
        (torch.full((5, 2), float("nan")), "q of finite numbers"),
        (torch.tensor([[float("inf"), 0.0]] * 5), "q of finite numbers"),
        ("gradients", "received str"),
    ],
)
@pytest.mark.parametrize("kind", ["conv", "pool"])
def test_wrong_q_vectors_are_refused(kind: str, q: Any, message: str) -> None:
    layer = DiffusionGroupConv(*LIFT) if kind == "conv" else DiffusionPool(LIFT[0])
    with pytest.raises(ScaleGroupError, match=message):
        layer(torch.randn(1, 1, 5, 6, 6), q)


def test_wrong_samples_of_the_output_are_refused() -> None:
    with pytest.raises(ScaleGroupError, match=r"out_q of shape \(samples, 2\)"):
        DiffusionGroupConv(*LIFT)(torch.randn(1, 1, 5, 6, 6), torch.randn(5, 2), torch.zeros(1, 3))
    with pytest.raises(ScaleGroupError, match="out_q of shape"):
        DiffusionGroupConv(*LIFT)(torch.randn(1, 1, 5, 6, 6), torch.randn(5, 2), torch.zeros(0, 2))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(1, 5, 6, 6), r"5 axes \(batch, channels, samples, \*space\)"),
        (torch.randn(1, 1, 0, 6, 6), "none empty"),
        (torch.randn(1, 1, 5, 6, 0), "none empty"),
        (torch.randn(1, 2, 5, 6, 6), "input of 1 channels"),
        (torch.ones(1, 1, 5, 6, 6, dtype=torch.long), "floating-point"),
        ((torch.randn(1, 1, 5, 6, 6),), "received tuple"),
    ],
)
def test_wrong_fields_are_refused(x: Any, message: str) -> None:
    for layer in (DiffusionGroupConv(*LIFT), DiffusionPool(LIFT[0])):
        with pytest.raises(ScaleGroupError, match=message):
            layer(x, torch.randn(5, 2))
    with pytest.raises(ScaleGroupError, match="samples of q-space are the third axis"):
        each_q(torch.nn.Identity(), torch.zeros(1, 2, 3))


def test_wrong_types_are_refused() -> None:
    plain = ScaleTranslationGroup(dim=2, base=2.0, num_scales=2)
    with pytest.raises(FieldTypeError, match="fields of a DiffusionGroup"):
        DiffusionGroupConv(1 * plain.scalar, 2 * plain.regular)
    with pytest.raises(FieldTypeError, match="fields of a DiffusionGroup"):
        DiffusionPool(2 * plain.regular)
    with pytest.raises(FieldTypeError, match="out_type with the group"):
        DiffusionGroupConv(1 * GROUP.scalar, 2 * DiffusionGroup("p", dim=2, base=2.0, num_scales=2).regular)
    with pytest.raises(FieldTypeError, match="fields on the scales on one side at least"):
        DiffusionGroupConv(1 * GROUP.scalar, 1 * GROUP.scalar)
    q_only = DiffusionGroup("q", dim=2)
    with pytest.raises(FieldTypeError, match="fields without a power of the scale"):
        DiffusionPool(1 * q_only.character(1.0))
    with pytest.raises(FieldTypeError, match="fields all with scales or all without"):
        DiffusionPool(1 * GROUP.scalar + 1 * GROUP.regular, "attention")
    with pytest.raises(FieldTypeError, match="some of which do not turn"):
        DiffusionPool(1 * DiffusionGroup("p", dim=3, rotations="octahedral").irrep("T1"), "attention")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q_sigma": 0.0}, "q_sigma: a positive number"),
        ({"q_ridge": 0.0}, "q_ridge: a positive number"),
        ({"order": (2, 2)}, "order to be one integer"),
        ({"order": -1}, "order to be an integer"),
        ({"scale_extent": 0}, "scale_extent, an integer >= 1"),
        ({"scale_padding": "none"}, "scale_padding out of"),
        ({"padding_mode": "none"}, "padding_mode out of"),
        ({"method": "none"}, "method out of"),
        ({"sigma": None, "stride": 2}, "stride=1 for kernels without extent in p"),
        ({"sigma": 0.0}, "sigma: a positive number"),
        ({"stride": (2, 2, 2)}, "stride: a positive integer or one for each of 2 axes"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ScaleGroupError, match=message):
        DiffusionGroupConv(*LIFT, **options)


def test_rotations_want_one_stride() -> None:
    group = DiffusionGroup("p", dim=2, rotations="c4")
    with pytest.raises(ScaleGroupError, match="the same stride of DiffusionGroupConv along all axes"):
        DiffusionGroupConv(1 * group.scalar, 1 * group.regular, stride=(1, 2))


def test_gradients_reach_signals_weights_and_q_vectors() -> None:
    layer = DiffusionGroupConv(1 * GROUP.regular, 2 * GROUP.regular, scale_extent=2).double()
    pool = DiffusionPool(2 * GROUP.regular, "attention").double()
    with torch.no_grad():
        pool.scorer.normal_()  # type: ignore[union-attr]
    x, q = noise(1, 2, 3, 4, 4).requires_grad_(), gradients(2, 2).requires_grad_()

    def function(x: Tensor, q: Tensor, weight: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(layer, {"weight": weight}, (x, q))
        z: Tensor = pool(y, q)
        return z

    weight = layer.weight.detach().clone().requires_grad_()  # type: ignore[operator]
    assert torch.autograd.gradcheck(function, (x, q, weight), fast_mode=True)


@pytest.mark.parametrize("layer", [DiffusionGroupConv(*LIFT), DiffusionPool(1 * GROUP.scalar, "attention")])
def test_layers_survive_copies(layer: Any) -> None:
    x, q = noise(1, 1, 5, 6, 6).float(), gradients(4, 2)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), freeze(layer)):
        torch.testing.assert_close(twin(x, q), layer(x, q))
    assert repr(pickle.loads(pickle.dumps(layer))) == repr(layer)


def test_weights_fit_every_window_and_any_number_of_samples() -> None:
    lift = DiffusionGroupConv(*LIFT).double()
    wide = with_window(lift, num_scales=3, first=-1)
    assert wide.out_type.group == GROUP.window(num_scales=3, first=-1)
    x, q = noise(1, 1, 5, 6, 6), gradients(4, 2)
    torch.testing.assert_close(wide(x, q)[:, 1:3], lift(x, q)[:, :2])
    pooled = with_window(DiffusionPool(2 * GROUP.regular), num_scales=3)
    assert pooled.out_type.group == GROUP.p_group.window(num_scales=3)
    assert lift(noise(1, 1, 9, 6, 6), gradients(8, 2)).shape == (1, 4, 9, 6, 6)


def test_repr_shows_what_differs() -> None:
    layer = DiffusionGroupConv(*LIFT, order=1, q_sigma=0.7, q_ridge=0.01, antipodal=False, stride=2, bias=False)
    text = re.sub(r"\s+", " ", repr(layer))
    assert "1*scalar -> 2*regular, order=1, q_sigma=0.7, q_ridge=0.01, antipodal=False, bias=False" in text
    assert "sigma=1, stride=(2, 2)" in text


# The basis


class TestBasis(BasisContract):
    def make_basis(self) -> DiffusionBasis:
        return DiffusionBasis(order=2, space=1)


def test_even_kernels_are_even_and_all_of_them() -> None:
    whole, even = HermiteBasis(3, 4), DiffusionBasis(3, 2)
    assert set(even.products) == {p for p in whole.products if sum(p[2:]) % 2 == 0}
    u = noise(4, 10).numpy()
    flipped = u.copy()
    flipped[2:] *= -1
    torch.testing.assert_close(torch.tensor(even.at(flipped)), torch.tensor(even.at(u)))
    assert DiffusionBasis(3, 2, even=False).products == whole.products
    of_q = DiffusionBasis(3, 2, even=False, p_order=0)
    assert {p[2:] for p in of_q.products} == set(HermiteBasis(3, 2).products)
    assert not any(any(p[:2]) for p in of_q.products)


def test_shares_hold_every_product_once() -> None:
    basis = DiffusionBasis(4, 3)
    shares = basis.shares()
    assert sorted(n for share in shares for places in share.places for n in places) == list(range(len(basis)))
    for share in shares:
        for q, places in zip(share.of_q, share.places, strict=True):
            assert [basis.products[n] for n in places] == [p + q for p in share.of_p]
