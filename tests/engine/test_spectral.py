"""The spectral method: its oracle with continuous functions, the box of frequencies, torch, and limits."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.engine import AxisOperator, Contraction, Response, Term, contract, spectral
from scalegroup.engine.frequencies import is_ideal, period_of
from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import first_position, fold_index, output_size, sample_taps
from scalegroup.symbolic import Basis, HermiteBasis, SymbolicBasis

SUPPORT = 4.0
MODES = ("zeros", "replicate", "reflect", "circular")
SYMBOLIC = SymbolicBasis(["exp(-x**2/2)", "x*exp(-x**2)"], dim=1, products=[(0,), (1,)])


class Case(NamedTuple):
    """The arguments of `contract`, in float64."""

    x: tuple[Tensor, ...]
    weight: Tensor
    operators: list[list[AxisOperator]]
    contraction: Contraction

    def run(self, method: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
        """Outputs and gradients; method "oracle" multiplies with `matrix` of every axis."""
        *x, weight = (t.to(dtype, copy=True).requires_grad_() for t in (*self.x, self.weight))
        y = self.oracle(x, weight) if method == "oracle" else contract(x, weight, *self[2:], method)
        loss = sum((part * torch.linspace(-1, 1, part.numel(), dtype=dtype).cos().view_as(part)).sum() for part in y)
        return *(part.detach() for part in y), *torch.autograd.grad(loss, (*x, weight))

    def oracle(self, x: Sequence[Tensor], weight: Tensor) -> list[Tensor]:
        """The formula, by full matrices."""
        sources = [scale for stack in x for scale in stack.unbind(2)]
        count = sum(self.contraction.outputs)
        ys: list[Tensor | None] = [None] * count
        for target, source, operator, tap in self.contraction.terms:
            matrices = [matrix(axis).to(weight) for axis in self.operators[operator]]
            for f, functions in enumerate(self.contraction.products):
                y = sources[source]
                for i, (rows, function) in enumerate(zip(matrices, functions, strict=True), start=2):
                    y = torch.tensordot(y, rows[function], dims=([i], [1])).movedim(-1, i)
                y = torch.einsum("oc,bc...->bo...", weight[:, :, tap, f], y)
                ys[target] = y if ys[target] is None else ys[target] + y
        stops = np.cumsum(self.contraction.outputs)
        groups = [ys[stop - n : stop] for stop, n in zip(stops, self.contraction.outputs, strict=True)]
        return [torch.stack(group, dim=2) for group in groups]  # type: ignore[arg-type]


def matrix(axis: AxisOperator) -> Tensor:
    """What an axis does to samples: the continuous functions on the extended, periodic samples, or the taps."""
    response = axis.response
    if response is None or not is_ideal(axis):
        return axis.matrix()
    period = period_of(axis)
    outputs = axis.start + response.centre + axis.stride * np.arange(axis.n_out)
    waves = np.arange(-(period // 2), period // 2 + 1)  # of an even number of samples the Nyquist frequency twice
    share = np.where((period % 2 == 0) & (np.abs(waves) == period // 2), 0.5, 1.0)
    w = 2 * math.pi * waves / period
    transfer = response.basis.transfer(response.sigma * w) * share
    turns = np.exp(1j * w * (outputs[:, None, None] - np.arange(period)[:, None]))  # (outputs, samples, waves)
    extended = np.einsum("fw,osw->fos", transfer, turns).real / period
    places = np.arange(period)
    places[axis.n_in + (period - axis.n_in) // 2 :] -= period
    folded = np.zeros((len(extended), axis.n_out, axis.n_in))
    for sample, read in enumerate(fold_index(places, axis.n_in, axis.padding_mode)):  # type: ignore[arg-type]
        if read >= 0:
            folded[:, :, read] += extended[:, :, sample]
    rows = torch.from_numpy(folded) * axis.factor
    return rows.transpose(1, 2) if axis.transposed else rows


def operator(
    basis: Basis, sigma: float, n: int, stride: int = 1, mode: str = "circular", valid: bool = False, **more: object
) -> AxisOperator:
    """An axis that knows its functions, as the layers make them; sigma in coarse samples."""
    taps = sample_taps(basis, sigma * stride, SUPPORT)
    m = output_size(n, stride, "valid" if valid else "same", -taps.first)
    whole, phase = first_position(n, m, stride)
    taps = sample_taps(basis, sigma * stride, SUPPORT, phase=phase)
    response = Response(basis, sigma * stride, phase - taps.first)
    values = torch.tensor(taps.values)
    return AxisOperator(values, whole + taps.first, stride, n, m, mode, response=response, **more)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Lifting, group convolution and projection of operators that know their functions, some of them transposed."""
    dim = draw(st.sampled_from((1, 1, 2, 3)))
    basis = (
        HermiteBasis(draw(st.integers(0, 2)), dim) if dim > 1 else draw(st.sampled_from((HermiteBasis(2, 1), SYMBOLIC)))
    )
    scales, mode, transposed = draw(st.integers(1, 3)), draw(st.sampled_from(MODES)), draw(st.booleans())
    strides = draw(st.tuples(*[st.integers(1, 3)] * dim))
    sizes = draw(st.tuples(*[st.integers(1, 9)] * dim))
    widths = [draw(st.sampled_from((0.7, 1.0, 1.7))) * 1.5**s for s in range(scales)]
    valid = dim == 1 and draw(st.booleans())
    if valid:
        widths = [max(widths)] * scales  # one size for all outputs
        sizes = (sizes[0] + 2 * math.ceil(SUPPORT * widths[0] * strides[0]),)
    factor = draw(st.sampled_from((1.0, -0.5)))
    operators = [
        [
            operator(basis, width, n, q, mode, valid, transposed=transposed, factor=factor if i == 0 else 1.0)
            for i, (n, q) in enumerate(zip(sizes, strides, strict=True))
        ]
        for width in widths
    ]
    kind = draw(st.sampled_from(("lifting", "group", "projection")))
    pairs = {
        "lifting": [(s, 0, s, 0) for s in range(scales)],
        "projection": [(0, s, s, 0) for s in range(scales)],
        "group": [(s, s + t, s, t) for s, t in product(range(scales), range(2)) if s + t < scales],
    }[kind]
    if transposed:
        pairs = [(source, target, own, tap) for target, source, own, tap in pairs]
    terms = tuple(Term(*pair) for pair in pairs)
    rng = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    space = [axis.n_out if transposed else axis.n_in for axis in operators[0]]
    channels, outs, batch = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)))
    sources, targets = (1 + max(term[i] for term in terms) for i in (1, 0))
    x = torch.randn(batch, channels, sources, *space, generator=rng, dtype=torch.float64)
    weight = torch.randn(outs, channels, 2, len(basis), generator=rng, dtype=torch.float64)
    return Case((x,), weight, operators, Contraction(basis.products, terms, (targets,)))


def worst(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    """The largest difference, relative to the largest number of each tensor."""
    pairs = zip(found, wanted, strict=True)
    return max(float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-3)) for a, b in pairs)


def one_case(mode: str = "circular", size: int = 9, stride: int = 2, sigma: float = 1.0, dim: int = 2) -> Case:
    """A group convolution of two scales that mixes them."""
    basis = HermiteBasis(2, dim)
    operators = [[operator(basis, sigma * scale, size, stride, mode)] * dim for scale in (1.0, 1.5)]
    terms = (Term(0, 0, 0, 0), Term(0, 1, 0, 1), Term(1, 1, 1, 0))
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 2, *[size] * dim, generator=rng, dtype=torch.float64)
    weight = torch.randn(3, 2, 2, len(basis), generator=rng, dtype=torch.float64)
    return Case((x,), weight, operators, Contraction(basis.products, terms, (2,)))


# The oracle


@settings(max_examples=60)
@given(cases())
def test_it_is_the_oracle(case: Case) -> None:
    exact = case.run("oracle")
    assert worst(case.run("spectral"), exact) < 1e-10
    assert worst(case.run("spectral", torch.float32), exact) < 1e-5


@given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.sampled_from(MODES), st.integers(1, 2))
def test_it_is_the_oracle_with_a_grid_for_each_scale(sizes: list[int], mode: str, stride: int) -> None:
    basis = HermiteBasis(2, 2)
    operators = [[operator(basis, 1.6, n, stride, mode), operator(basis, 1.6, 5, 1, mode)] for n in sizes]
    rng = torch.Generator().manual_seed(len(sizes))
    x = tuple(torch.randn(1, 2, 1, n, 5, generator=rng, dtype=torch.float64) for n in sizes)
    weight = torch.randn(2, 2, 1, len(basis), generator=rng, dtype=torch.float64)
    terms = tuple(Term(s, s, s, 0) for s in range(len(sizes)))
    case = Case(x, weight, operators, Contraction(basis.products, terms, (1,) * len(sizes)))
    assert worst(case.run("spectral"), case.run("oracle")) < 1e-10


@pytest.mark.parametrize("mode", MODES)
def test_taps_are_another_function(mode: str) -> None:
    """The negative twin: where it is ideal, the taps differ by their truncation and aliasing; elsewhere they are it."""
    case = one_case(mode, size=24, stride=1, sigma=1.5)
    assert 1e-5 < worst(case.run("dense"), case.run("spectral")) < 1e-2
    narrow = one_case(mode, stride=1, sigma=0.8)
    assert (worst(narrow.run("dense"), narrow.run("spectral")) > 1e-6) == (mode == "circular")


@pytest.mark.parametrize("moved", ["sigma", "centre"])
def test_the_oracle_sees_another_response(moved: str) -> None:
    case = one_case()
    wrong = [
        [
            AxisOperator(a.taps, a.start, a.stride, a.n_in, a.n_out, a.padding_mode, response=_changed(a, moved))
            for a in own
        ]
        for own in case.operators
    ]
    assert worst(case._replace(operators=wrong).run("spectral"), case.run("oracle")) > 1e-3


def _changed(axis: AxisOperator, name: str) -> Response:
    assert axis.response is not None
    values = {"sigma": axis.response.sigma, "centre": axis.response.centre}
    return Response(axis.response.basis, **(values | {name: values[name] * 1.01}))


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_gradients(mode: str) -> None:
    case = one_case(mode, size=5)
    inputs = [t.clone().requires_grad_() for t in (case.x[0][:1], case.weight)]

    def function(x: Tensor, weight: Tensor) -> Tensor:
        return contract([x], weight, case.operators, case.contraction, "spectral")[0]

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


def test_slabs_of_one_frequency_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = one_case(dim=3, size=5)
    whole = case.run("spectral")
    monkeypatch.setattr("scalegroup.engine.spectra._SLAB_BYTES", 1)
    assert worst(case.run("spectral"), whole) < 1e-12


@given(st.integers(1, 30), st.integers(1, 4), st.sampled_from(MODES))
def test_the_period_has_room_for_the_kernel(n: int, stride: int, mode: str) -> None:
    axis = operator(HermiteBasis(1, 1), 1.0, n, stride, mode)
    period, (left, right) = period_of(axis), axis.margins
    if mode == "circular":
        assert period == n
    else:
        assert period % stride == 0
        assert period >= n + (max(left, right) if mode == "zeros" else left + right)


# The box of frequencies, and its price


def test_the_price_falls_with_the_cube_of_the_scale() -> None:
    def mixing(sigma: float) -> float:
        own = [operator(HermiteBasis(2, 3), sigma, 96)] * 3
        one = Contraction(HermiteBasis(2, 3).products, (Term(0, 0, 0, 0),), (1,))
        many, few = (spectral.cost((n, n, 1, 10), [own], one).multiply_adds for n in (200, 100))
        return many - 2 * few  # what grows with the square of the channels

    assert 7 < mixing(4.0) / mixing(8.0) < 9
    assert mixing(0.5) == mixing(0.6)  # nothing to leave out


def test_the_box_depends_on_the_dtype() -> None:
    own = [operator(HermiteBasis(2, 3), 4.0, 96)] * 3
    one = Contraction(HermiteBasis(2, 3).products, (Term(0, 0, 0, 0),), (1,))
    single, double = (spectral.cost((16, 16, 1, 10), [own], one, itemsize) for itemsize in (4, 8))
    assert single.multiply_adds < double.multiply_adds
    assert 2 * single.bytes < double.bytes


def test_the_price_does_not_grow_with_the_kernel() -> None:
    one = Contraction(HermiteBasis(2, 3).products, (Term(0, 0, 0, 0),), (1,))
    prices = {}
    for sigma in (0.5, 1.0, 3.0):
        own = [operator(HermiteBasis(2, 3), sigma, 48)] * 3
        prices[sigma] = spectral.cost((16, 16, 1, 10), [own], one).multiply_adds
    assert prices[0.5] == prices[1.0] > prices[3.0]


# Torch


@pytest.mark.parametrize("transposed", [False, True])
def test_the_operator_is_a_good_citizen_of_torch(transposed: bool) -> None:
    own = [operator(HermiteBasis(1, 1), 1.0, 5, 2, "reflect", transposed=transposed)]
    numbers = [n for axis in own for n in spectral.described(axis)] + [int(transposed)]
    tables = [spectral.transfer_of(axis, 1e-9) for axis in own]
    x = [torch.randn(1, 2, 1, 3 if transposed else 5, dtype=torch.float64, requires_grad=True)]
    weight = torch.randn(2, 2, 1, 2, dtype=torch.float64, requires_grad=True)
    arguments = (x, weight, tables, numbers, [0, 1], [0, 0, 0, 0], [1])
    torch.library.opcheck(torch.ops.scalegroup.spectral.default, arguments)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    case = one_case()
    (exact,) = contract(*case, "spectral")
    rounded = [stack.to(dtype) for stack in case.x]
    with torch.autocast("cpu", dtype=dtype):
        (autocast,) = contract([stack.float() for stack in case.x], case.weight.float(), *case[2:], "spectral")
    (plain,) = contract(rounded, case.weight.to(dtype), *case[2:], "spectral")
    for y in (autocast, plain):
        assert y.dtype == dtype
        assert float((y.double() - exact).norm() / exact.norm()) < 2 * torch.finfo(dtype).eps


def test_integers_are_refused() -> None:
    case = one_case()
    text = r"a floating-point dtype on cpu or cuda for method 'spectral', received torch.int64 on cpu; methods 'dense'"
    with pytest.raises(ScaleGroupError, match=text):
        spectral.contract([stack.long() for stack in case.x], case.weight.long(), *case[2:])


def test_devices_without_the_transform_are_refused() -> None:
    case = one_case()
    weight: Any = SimpleNamespace(dtype=torch.float32, device=torch.device("mps"))  # no such device is at hand
    text = r"on cpu or cuda for method 'spectral', received torch.float32 on mps; methods 'dense' and 'separable' work"
    with pytest.raises(ScaleGroupError, match=text):
        spectral.contract(case.x, weight, *case[2:])


def test_the_backward_pass_keeps_the_input_only() -> None:
    case = one_case(size=12, dim=3)
    x = case.x[0].clone().requires_grad_()
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, keep):
        contract([x], case.weight.requires_grad_(), *case[2:], "spectral")
    assert [tensor.data_ptr() for tensor in kept if tensor.numel() >= x.numel() // 8] == [x.data_ptr()]
    assert len(kept) > 1  # the weights, and tables of the axes


@pytest.mark.parametrize("wanted", ["x", "weight"])
def test_gradients_may_be_wanted_alone(wanted: str) -> None:
    case = one_case()
    both = dict(zip(("x", "weight"), case.run("spectral")[1:], strict=True))
    inputs = {"x": case.x[0].clone(), "weight": case.weight.clone()}
    leaf = inputs[wanted].requires_grad_()
    (y,) = contract([inputs["x"]], inputs["weight"], *case[2:], "spectral")
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).cos().view_as(y)).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, both[wanted])


def test_free_kernels_have_no_other_function_than_their_taps() -> None:
    field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3, sampling="haar").regular
    layer = nn.GroupConv(field, field, basis="free", scale_extent=2, padding_mode="circular").double()
    x = tuple(torch.randn(1, 2, n, n, dtype=torch.float64) for n in (17, 13, 9))
    ys = []
    for layer.method in ("dense", "spectral"):
        with torch.no_grad():
            ys.append(layer(x))
    assert max(float((a - b).abs().max()) for a, b in zip(*ys, strict=True)) < 1e-12


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_responses_are_values(copied) -> None:  # type: ignore[no-untyped-def]
    response = Response(HermiteBasis(2, 1), 1.0, 5.0)
    assert copied(response) == response != Response(HermiteBasis(2, 1), 1.0, 5.5)
    assert not response.resolved
    assert Response(HermiteBasis(2, 1), 1.5, 7.0).resolved


class Stretched(Basis):
    """A user's basis whose repr leaves out what tells its functions apart, and that compares by identity."""

    dim, products = 1, ((0,),)

    def __init__(self, width: float, label: str) -> None:
        self.inner, self.width, self.label = HermiteBasis(0, 1), width, label

    def functions(self, u: Any) -> Any:
        return self.inner.functions(np.asarray(u) / self.width)

    def transfer(self, w: Any) -> Any:
        return self.inner.transfer(np.asarray(w) * self.width) * self.width

    def __repr__(self) -> str:
        return f"Stretched({self.label})"


def test_bases_of_one_repr_are_told_apart() -> None:
    """They are looked up by it, and the spectral method would compute with the functions of another one."""
    Response(Stretched(1.0, "a"), 1.0, 5.0)
    text = r"the same functions from all bases of one repr, received Stretched\(a\); give the basis a repr that tells"
    with pytest.raises(ScaleGroupError, match=text):
        Response(Stretched(1.5, "a"), 1.0, 5.0)


def test_equal_functions_of_one_repr_and_other_reprs_are_fine() -> None:
    for basis in (Stretched(1.0, "b"), Stretched(1.0, "b"), Stretched(1.5, "c")):
        assert Response(basis, 1.0, 5.0).name == repr(basis)


def test_auto_does_not_take_it() -> None:
    """It is not the function of the taps."""
    case = one_case()
    auto, dense, other = (contract(*case, method)[0] for method in ("auto", "dense", "spectral"))
    assert torch.allclose(auto, dense, rtol=1e-9)
    assert not torch.allclose(other, dense, rtol=1e-6)
