"""Every method computes the same contraction as the oracle: values, gradients, geometry and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine import METHODS, AxisOperator, Contraction, Term, contract, native, slabs
from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import first_position, operator_matrix, output_positions, output_size, sample_taps
from scalegroup.symbolic import Basis, HermiteBasis, SymbolicBasis

TORCH_MODE = {"zeros": "constant", "replicate": "replicate", "reflect": "reflect", "circular": "circular"}
modes = st.sampled_from(sorted(TORCH_MODE))
WITHOUT_C = " by torch's matrix products"
NARROW = {f" in registers of {size} bytes": size for size in (16, 32)}  # as other processors have
FAST = [*METHODS[2:], "separable" + WITHOUT_C]  # all but the oracle
FAST += ["separable" + suffix for suffix, size in NARROW.items() if size < native.registers()]


@contextmanager
def chosen(method: str) -> Iterator[str]:
    """The name of a method for `contract`; with the suffix the compiled library is not there."""
    with pytest.MonkeyPatch.context() as patch:
        name = "separable" if method.startswith("separable") else method
        suffix = method.removeprefix(name)
        if suffix == WITHOUT_C:
            patch.setattr(native, "library", lambda: None)
        elif suffix in NARROW:
            patch.setattr(native, "registers", lambda: NARROW[suffix])
        elif name == "separable" and native.library() is None:
            pytest.skip("the library in C was not built: there was no compiler")
        yield name


class Case(NamedTuple):
    """The arguments of `contract`, in float64; `x` is one stack, or a stack of one scale for each grid."""

    x: tuple[Tensor, ...]
    weight: Tensor
    operators: list[list[AxisOperator]]
    contraction: Contraction

    def run(self, method: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
        """The output, and the gradients of a fixed sum of it, in x and weight, all made flat."""
        *x, weight = (t.to(dtype, copy=True).requires_grad_() for t in (*self.x, self.weight))
        with chosen(method) as name:
            y = flat(contract(x, weight, self.operators, self.contraction, name))
            loss = torch.linspace(-1, 1, y.numel(), dtype=dtype)
            *slopes, weight_slope = torch.autograd.grad((y * loss.cos()).sum(), (*x, weight))
        return y.detach(), flat(slopes), weight_slope


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


@cache
def symbolic_basis(dim: int) -> Basis:
    functions = ["exp(-x**2/2)", "x*exp(-x**2)", "(1 - x**2)*exp(-x**2/2)"]
    return SymbolicBasis(functions, dim, products=[(0,) * dim, (1,) * dim, (2,) + (0,) * (dim - 1)])


@st.composite
def any_products(draw: st.DrawFn, dim: int) -> Basis:
    """Any list of products: nothing says that a function occurs with as many others as the one before."""
    listed = draw(st.lists(st.tuples(*[st.integers(0, 2)] * dim), min_size=1, max_size=5, unique=True))
    used = sorted({n for product in listed for n in product})
    functions = ["exp(-x**2/2)", "x*exp(-x**2)", "(1 - x**2)*exp(-x**2/2)"][: len(used)]
    return SymbolicBasis(functions, dim, products=[tuple(used.index(n) for n in product) for product in listed])


def bases(dim: int) -> st.SearchStrategy[Basis]:
    """Total and each degree, equal and different per axis, and symbolic products that are not a full grid."""
    each = st.tuples(*[st.integers(0, 2)] * dim).map(lambda orders: HermiteBasis(orders, dim, "each"))
    total = st.integers(0, 3).map(lambda order: HermiteBasis(order, dim))
    return total | each | st.just(dim).map(symbolic_basis) | any_products(dim)


def interactions(kind: str, scales: int, extent: int, scale_padding: str, transposed: bool) -> Contraction:
    """The terms of lifting, group convolution and projection, as the layers build them."""
    if kind == "lifting":
        return Contraction((), tuple(Term(s, 0, s, 0) for s in range(scales)), (scales,))
    if kind == "projection":
        return Contraction((), tuple(Term(0, s, s, 0) for s in range(scales)), (1,))
    top = scales - 1 if scale_padding == "replicate" else 2 * scales
    pairs = [(s, min(s + t, top), t) for s in range(scales) for t in range(extent)]
    kept = [(s, other, t) for s, other, t in pairs if other < scales]
    terms = [Term(other, s, s, t) if transposed else Term(s, other, s, t) for s, other, t in kept]
    return Contraction((), tuple(terms), (scales,))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """All that a layer can ask of the engine: `axes` are as short as one voxel, kernels up to 13 wide."""
    dim = draw(st.integers(1, 3))
    basis = draw(bases(dim))
    scales, extent = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    transposed = draw(st.booleans())
    kind = draw(st.sampled_from(("group", "lifting", "projection")))
    some = interactions(kind, scales, extent, draw(st.sampled_from(("zeros", "replicate"))), transposed)
    contraction = Contraction(basis.products, some.terms, some.outputs)
    strides = draw(st.tuples(*[st.integers(1, 3)] * dim))
    mode, valid = draw(modes), draw(st.booleans())
    widths = [draw(st.sampled_from((0.5, 1.0))) * 2 ** (s / 2) for s in range(scales)]
    radius = max(-sample_taps(basis, width * q, 2.5).first for width in widths for q in strides)
    sizes = [draw(st.integers(2 * radius + 1, 2 * radius + 3) if valid else st.integers(1, 8)) for _ in range(dim)]
    if valid and dim == 3:
        sizes[1:], strides = [1 + 2 * radius] * 2, (strides[0], 1, 1)
    coarse = [output_size(n, q, "valid" if valid else "same", radius) for n, q in zip(sizes, strides, strict=True)]

    operators = []
    for width in widths:
        axes = []
        for n, m, q in zip(sizes, coarse, strides, strict=True):
            whole, phase = first_position(n, m, q)
            taps = sample_taps(basis, width * q, 2.5, phase=phase)
            values = torch.tensor(taps.values)
            axes.append(AxisOperator(values, whole + taps.first, q, n, m, mode, transposed))
        operators.append(axes)
    rng = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    batch, channels, out = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)))
    sources = 1 + max(term.source for term in contraction.terms)
    x = torch.randn(batch, channels, sources, *(coarse if transposed else sizes), generator=rng, dtype=torch.float64)
    weight = torch.randn(out, channels, extent, len(basis), generator=rng, dtype=torch.float64)
    return Case((x,), weight, operators, contraction)


@st.composite
def cases_on_grids(draw: st.DrawFn) -> Case:
    """Scales on grids of different sizes, the same taps on each; some scales are read by two."""
    dim, scales, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    basis, transposed, mode = draw(bases(dim)), draw(st.booleans()), draw(modes)
    taps = sample_taps(basis, stride, 2.5)
    operators, fine, coarse = [], [], []
    for _ in range(scales):
        sizes = [2 * stride * draw(st.integers(0, 2)) + 1 for _ in range(dim)]
        outs = [output_size(n, stride) for n in sizes]
        starts = [first_position(n, m, stride)[0] + taps.first for n, m in zip(sizes, outs, strict=True)]
        axes = zip(starts, sizes, outs, strict=True)
        values = torch.tensor(taps.values)
        operators.append([AxisOperator(values, start, stride, n, m, mode, transposed) for start, n, m in axes])
        fine.append(sizes)
        coarse.append(outs)
    terms = [Term(s, s, s, 0) for s in range(scales)]
    outputs = (1,) * scales
    spaces = coarse if transposed else fine
    if scales > 1 and spaces[0] == spaces[1]:
        terms.append(Term(0, 1, 0, 1))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    x = tuple(torch.randn(2, 2, 1, *space, generator=rng, dtype=torch.float64) for space in spaces)
    weight = torch.randn(3, 2, 2, len(basis), generator=rng, dtype=torch.float64)
    return Case(x, weight, operators, Contraction(basis.products, tuple(terms), outputs))


def one_case(dim: int = 2, size: int = 9, stride: int = 2, channels: int = 2, order: int = 2) -> Case:
    """A group convolution of three scales that mixes two of them."""
    basis = HermiteBasis(order, dim)
    some = interactions("group", 3, 2, "zeros", False)
    n_out = output_size(size, stride)
    whole, phase = first_position(size, n_out, stride)
    operators = []
    for scale in (1.0, 1.5, 2.0):
        taps = sample_taps(basis, scale * stride, phase=phase)
        operators.append([AxisOperator(torch.tensor(taps.values), whole + taps.first, stride, size, n_out)] * dim)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, 3, *[size] * dim, generator=rng, dtype=torch.float64)
    weight = torch.randn(3, channels, 2, len(basis), generator=rng, dtype=torch.float64)
    return Case((x,), weight, operators, Contraction(basis.products, some.terms, (3,)))


def worst(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    """The largest difference, relative to the largest number of each tensor.

    What goes in is of order one. On one circular voxel, say, the terms cancel to 1e-16, or to 4e-3 with an error of
    1.1e-7 in float32: sums below 0.1 are compared with that, since they carry the rounding of their terms.
    """
    pairs = zip(found, wanted, strict=True)
    return max(float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=0.1)) for a, b in pairs)


# Each method is the oracle. Operators here know their taps only, so the spectral one too has nothing else to go by.


@pytest.mark.parametrize("method", FAST)
@settings(max_examples=50)
@given(case=cases())
def test_every_method_is_the_oracle(method: str, case: Case) -> None:
    exact = case.run("dense")
    assert worst(case.run(method), exact) < 1e-10
    assert worst(case.run(method, torch.float32), exact) < 1e-5


@pytest.mark.parametrize("method", FAST)
@given(case=cases_on_grids())
def test_every_method_is_the_oracle_with_a_grid_for_each_scale(method: str, case: Case) -> None:
    exact = case.run("dense")
    assert worst(case.run(method), exact) < 1e-10
    assert worst(case.run(method, torch.float32), exact) < 1e-5


def test_grids_and_stacks_give_the_same() -> None:
    """Three scales as one stack, or as stacks of one, are the same contraction."""
    case = one_case()
    apart = tuple(case.x[0].split(1, dim=2))
    terms = case.contraction.terms
    other = case._replace(x=apart, contraction=Contraction(case.contraction.products, terms, (1, 1, 1)))
    for method in METHODS[1:]:
        together = contract(case.x, case.weight, case.operators, case.contraction, method)[0]
        separate = contract(other.x, other.weight, other.operators, other.contraction, method)
        torch.testing.assert_close(torch.cat(separate, dim=2), together)


@given(cases())
def test_auto_is_one_of_them(case: Case) -> None:
    assert worst(case.run("auto"), case.run("dense")) < 1e-10


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("index", range(4))
def test_the_comparison_sees_every_index_of_a_term(index: int, method: str) -> None:
    """The negative twin: a contraction with one index changed is another function."""
    case = one_case()
    terms = list(case.contraction.terms)
    first = list(terms[0])
    first[index] = 1 - first[index] if index < 3 else 1
    terms[0] = Term(*first)
    other = case._replace(contraction=Contraction(case.contraction.products, tuple(terms), (3,)))
    assert worst(other.run(method), case.run("dense")) > 1e-2


@pytest.mark.parametrize("method", METHODS[1:])
def test_gradients(method: str) -> None:
    case = one_case(size=5, channels=1, order=1)
    inputs = [t.clone().requires_grad_() for t in (case.x[0][:1], case.weight)]

    def function(x: Tensor, weight: Tensor) -> Tensor:
        return contract([x], weight, case.operators, case.contraction, method)[0]

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


SEPARABLE = [method for method in FAST if method.startswith("separable")]


@pytest.mark.parametrize("method", SEPARABLE)
def test_the_size_of_slabs_blocks_and_tiles_does_not_matter(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = one_case(dim=3, size=11)
    whole = case.run(method)
    monkeypatch.setattr(native, "_SLAB_BYTES", 1)
    monkeypatch.setattr(native, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(native, "WORKSPACE_BYTES", 1)
    monkeypatch.setattr(slabs, "SLAB_BYTES", {"cpu": 1})
    monkeypatch.setattr(slabs, "TILE", 2)
    assert worst(case.run(method), whole) < 1e-12


@pytest.mark.parametrize("method", SEPARABLE)
@pytest.mark.parametrize("channels", [(1, 16), (16, 1), (17, 5)])
@pytest.mark.parametrize("size", [7, 19, 70])
def test_every_length_of_a_row_is_right(method: str, channels: tuple[int, int], size: int) -> None:
    """Channels and sizes beside the width of a register, both orders of the work, an axis longer than a tile."""
    taps = torch.tensor(sample_taps(HermiteBasis(2), 1.0).values)
    operator = [AxisOperator(taps, -(taps.shape[1] // 2), 1, n, n, "circular") for n in (3, 5, size)]
    some = Contraction(HermiteBasis(2).products, (Term(0, 0, 0, 0), Term(0, 0, 0, 1)), (1,))
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels[0], 1, 3, 5, size, generator=rng, dtype=torch.float64)
    weight = torch.randn(channels[1], channels[0], 2, 10, generator=rng, dtype=torch.float64)
    case = Case((x,), weight, [operator], some)
    exact = case.run("dense")
    assert worst(case.run(method), exact) < 1e-10
    assert worst(case.run(method, torch.float32), exact) < 1e-5


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
def test_forward_mode_is_dense_or_refused() -> None:
    case = one_case(dim=1)
    x = case.x[0]

    def derivative(method: str) -> Tensor:
        def function(x: Tensor) -> Tensor:
            return contract([x], case.weight, case.operators, case.contraction, method)[0]

        slope: Tensor = torch.func.jvp(function, (x,), (x.cos(),))[1]
        return slope

    for method in ("separable", "spectral"):
        with pytest.raises(ScaleGroupError, match="method 'dense' for forward-mode derivatives, received"):
            derivative(method)
    wanted = contract([x.cos()], case.weight, case.operators, case.contraction, "dense")[0]
    torch.testing.assert_close(derivative("auto"), wanted)
    torch.testing.assert_close(derivative("dense"), wanted)


@pytest.mark.parametrize("method", SEPARABLE)
def test_gradients_are_the_same_in_every_run(method: str) -> None:
    """Which thread works on what may not depend on how fast the others are."""
    case = one_case(dim=3, size=13)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, *others = [case.run(method, torch.float32) for _ in range(10)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_an_old_library_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    if native.library() is None:
        pytest.skip("the library in C was not built: there was no compiler")
    monkeypatch.setattr(native, "_INTERFACE", -1)
    native.library.cache_clear()
    try:
        with pytest.warns(UserWarning, match="is of another version of scalegroup and not used; install again"):
            assert native.library() is None
    finally:
        native.library.cache_clear()


@pytest.mark.parametrize("method", ["dense", *FAST])
def test_tensors_that_look_at_every_operation_pass(method: str) -> None:
    """As MONAI's MetaTensor, which its transforms make, and whose `new_empty` takes a shape only."""

    class Watching(torch.Tensor):
        def new_empty(self, size: tuple[int, ...], *args: object, **kwargs: object) -> Tensor:
            return super().new_empty(size, *args, **kwargs)  # type: ignore[call-overload, no-any-return]

    case = one_case()
    plain = case.run(method)
    with chosen(method) as name:
        y = contract([x.as_subclass(Watching) for x in case.x], case.weight, *case[2:], name)
    torch.testing.assert_close(y[0].as_subclass(torch.Tensor).flatten(), plain[0])


def test_scales_that_no_term_reads_have_no_gradient() -> None:
    case = one_case(dim=2)
    some = Contraction(case.contraction.products, (Term(0, 1, 0, 0),), (1,))
    slope = case._replace(contraction=some).run("separable")[1].view(case.x[0].shape)
    assert slope[:, :, 1].abs().max() > 0
    assert not slope[:, :, [0, 2]].any()


# The choice of a method


@pytest.mark.parametrize("method", ["fast", "", None])
def test_unknown_methods_are_refused(method: str) -> None:
    case = one_case(dim=1)
    text = rf"a method out of \('auto', 'dense', 'separable', 'spectral'\), received {method!r}; 'auto' chooses by cost"
    with pytest.raises(ScaleGroupError, match=text):
        contract(*case, method)


@pytest.mark.parametrize("method", METHODS)
def test_numbers_that_no_method_computes_with_are_refused(method: str) -> None:
    case = one_case(dim=1)
    with pytest.raises(ScaleGroupError, match=r"for which all of \('auto', 'dense', .* received torch.complex64"):
        contract([x.to(torch.complex64) for x in case.x], case.weight.to(torch.complex64), *case[2:], method)
    with pytest.raises(ScaleGroupError, match=r"an input of torch.float64 on cpu, .* received torch.float32 on cpu"):
        contract([x.float() for x in case.x], case.weight, *case[2:], method)


@pytest.mark.parametrize("method", ["dense", "separable"])
def test_every_output_scale_needs_a_term(method: str) -> None:
    case = one_case(dim=1)
    with pytest.raises(ScaleGroupError, match=r"a term for each of 3 output scales, received none for \[1\]"):
        Contraction(case.contraction.products, (Term(0, 0, 0, 0), Term(2, 0, 0, 0)), (3,))


# Mixed precision, compiled and exported programs


@pytest.mark.parametrize("method", ["dense", *FAST])
@settings(max_examples=25)
@given(case=cases())
def test_bfloat16_autocast_is_near(method: str, case: Case) -> None:
    """Within 2e-2, or, where terms cancel, within the rounding to 8 bits of what goes in and out (3 times 2^-9)."""
    exact = case.run("dense")[0]
    sizes = [[replace(axis, taps=axis.taps.abs()) for axis in axes] for axes in case.operators]
    terms = flat(contract([x.abs() for x in case.x], case.weight.abs(), sizes, case.contraction, "dense"))
    with torch.autocast("cpu", dtype=torch.bfloat16), chosen(method) as name:
        x = [stack.float() for stack in case.x]
        y = flat(contract(x, case.weight.float(), case.operators, case.contraction, name))
    assert y.dtype == torch.bfloat16
    assert float((y.double() - exact).norm()) < max(2e-2 * float(exact.norm()), 3 * 2**-9 * float(terms.norm()))


@pytest.mark.parametrize("dim", [1, 3])
def test_the_operator_is_a_good_citizen_of_torch(dim: int) -> None:
    case = one_case(dim=dim, size=5, channels=1, order=1)
    axes = [axis for operator in case.operators for axis in operator]
    constants = [a.matrix() for a in axes], [a.band() for a in axes], [a.band(adjoint=True) for a in axes]
    products = [i for product in case.contraction.products for i in product]
    terms = [i for term in case.contraction.terms for i in term]
    x, weight = [stack.requires_grad_() for stack in case.x], case.weight.requires_grad_()
    outputs = list(case.contraction.outputs)
    torch.library.opcheck(torch.ops.scalegroup.separable.default, (x, weight, *constants, products, terms, outputs))


# Axes


@st.composite
def axes(draw: st.DrawFn) -> AxisOperator:
    n, stride, sigma = draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.sampled_from((0.6, 1.0, 2.3)))
    n_out = output_size(n, stride)
    whole, phase = first_position(n, n_out, stride)
    taps = sample_taps(HermiteBasis(2, dim=1), sigma * stride, phase=phase)
    return AxisOperator(
        torch.tensor(taps.values), whole + taps.first, stride, n, n_out, draw(modes), draw(st.booleans())
    )


@given(st.integers(1, 14), st.integers(1, 3), st.sampled_from((0.6, 1.0, 2.3)), modes)
def test_matrices_are_those_of_the_kernels(n: int, stride: int, sigma: float, mode: str) -> None:
    basis = HermiteBasis(order=2, dim=1)
    n_out = output_size(n, stride)
    whole, phase = first_position(n, n_out, stride)
    taps = sample_taps(basis, sigma, phase=phase)
    axis = AxisOperator(torch.tensor(taps.values), whole + taps.first, stride, n, n_out, mode)
    positions = output_positions(n, n_out, stride)
    wanted = operator_matrix(basis, sigma, np.arange(n), positions, padding_mode=mode)
    np.testing.assert_allclose(axis.matrix().numpy(), wanted, atol=1e-12)


def test_a_matrix_off_by_one_voxel_is_another() -> None:
    taps = sample_taps(HermiteBasis(order=2, dim=1), 1.0)
    values = torch.tensor(taps.values)
    right, wrong = (AxisOperator(values, taps.first + shift, 1, 9, 9).matrix() for shift in (0, 1))
    assert float((right - wrong).abs().max()) > 0.1


@given(axes())
def test_bands_hold_all_that_is_not_zero(axis: AxisOperator) -> None:
    for matrix, (first, end) in ((axis.matrix(), axis.band()), (axis.matrix().mT, axis.band(adjoint=True))):
        columns = torch.arange(matrix.shape[2])
        outside = (columns < first[:, None]) | (columns >= end[:, None])
        assert not (matrix.abs().sum(0) * outside).any()
        inside = (first >= 0) & (first <= end) & (end <= matrix.shape[2])
        assert bool(inside.all())
        assert axis.padding_mode == "circular" or int((end - first).max()) <= 2 * axis.taps.shape[1]


@given(axes(), st.integers(0, 99))
def test_pad_and_unpad_are_adjoint(axis: AxisOperator, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(2, axis.n_in, 3, generator=rng, dtype=torch.float64)
    padded = axis.pad(x, 1)
    y = torch.randn(padded.shape, generator=rng, dtype=torch.float64)
    assert padded.shape[1] == axis.stride * (axis.n_out - 1) + axis.taps.shape[1]
    torch.testing.assert_close((padded * y).sum(), (x * axis.unpad(y, 1)).sum())


@given(axes())
def test_transposed_matrices_are_adjoint(axis: AxisOperator) -> None:
    straight = AxisOperator(axis.taps, axis.start, axis.stride, axis.n_in, axis.n_out, axis.padding_mode)
    turned = AxisOperator(axis.taps, axis.start, axis.stride, axis.n_in, axis.n_out, axis.padding_mode, transposed=True)
    assert torch.equal(turned.matrix(), straight.matrix().transpose(1, 2))


@given(st.integers(2, 9), modes, st.data())
def test_pad_is_torchs_padding(n: int, mode: str, data: st.DataObject) -> None:
    reach = data.draw(st.integers(0, n - 1 if mode == "reflect" else n))  # torch reflects once only
    x = torch.arange(1.0, n + 1)
    axis = AxisOperator(torch.ones(1, 2 * reach + 1), -reach, 1, n, n, mode)
    assert torch.equal(axis.pad(x, 0), F.pad(x[None, None], (reach, reach), mode=TORCH_MODE[mode])[0, 0])


@pytest.mark.parametrize("make", [torch.zeros, torch.ones])
def test_reflection_of_one_voxel_is_that_voxel(make: Callable[[int], Tensor]) -> None:
    axis = AxisOperator(torch.ones(1, 7), -3, 1, 1, 1, "reflect")
    assert torch.equal(axis.pad(make(1), 0), make(7))
