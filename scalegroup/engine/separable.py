"""The contraction axis by axis, at a price that does not grow with the width of the kernel.

The volume is seen as `(X, Y, Z)`; missing axes have length one. Each term of the contraction is worked off by itself:
one or two axes, the mix of channels and functions, what is left of the axes (`engine.layout` says in which order),
in slabs so that the responses in between stay in the cache. The gradient of the input is the same contraction with
the matrices transposed; that of the weights computes the responses again. So the backward pass keeps the input only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import ModuleType

import torch
from torch import Tensor

from scalegroup.engine import native, slabs
from scalegroup.engine.autocast import at_least_float32, without_autocast
from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.cost import Cost
from scalegroup.engine.layout import Axes, Layout, layout, order_of_work
from scalegroup.engine.operators import AxisOperator
from scalegroup.engine.packing import empty_stacks, packed, plain, products_of, register_gradient, terms_of, writers


def _worker(x: Tensor) -> ModuleType:
    """What does the work: C where it was built, else torch's matrix products."""
    compiled = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    return native if compiled and native.library() is not None else slabs


def _scales(stacks: Sequence[Tensor]) -> list[Tensor]:
    """A view `(B, C, X, Y, Z)` of each scale of the stacks `(B, C, S, *space)`."""
    return [scale.reshape(*x.shape[:2], *[1] * (6 - x.ndim), *x.shape[3:]) for x in stacks for scale in x.unbind(2)]


def _operators(matrices: Sequence[Tensor], bands: Sequence[Tensor], dim: int) -> list[Axes]:
    """For each operator its three axes, the missing leading ones being the number one."""
    one = matrices[0].new_ones(1, 1, 1)
    whole = torch.tensor([[0], [1]])
    missing = 3 - dim
    operators = []
    for start in range(0, len(matrices), dim):
        x, y, z = [one] * missing + list(matrices[start : start + dim])
        band_x, band_y, band_z = [whole] * missing + list(bands[start : start + dim])
        operators.append(Axes((x, y, z), (band_x, band_y, band_z)))
    return operators


def _order(products: tuple[tuple[int, ...], ...], channels: tuple[int, int], axes: Axes) -> Layout:
    """Two axes before the mix or one, whichever is cheaper for these channels of the input and the output."""
    inner, outer = ([matrix.shape[i] for matrix in axes.matrices] for i in (2, 1))
    width = max(int((band[1] - band[0]).max()) for band in axes.bands)
    orders = layout(products), layout(products, late=True)
    return min(orders, key=lambda order: order.price(channels, inner, outer, width))


def _accumulate(
    ys: Sequence[Tensor],
    xs: Sequence[Tensor],
    weight: Tensor,
    operators: Sequence[Axes],
    products: tuple[tuple[int, ...], ...],
    terms: Sequence[Term],
) -> None:
    """Write all terms to the scales `ys`; those that no term writes become zero."""
    channels = weight.shape[1], weight.shape[0]
    prepared: dict[int, tuple[Layout, Axes]] = {}
    mixes: dict[Layout, Tensor] = {}
    written = set()
    for target, source, operator, tap in terms:
        if operator not in prepared:
            order = _order(products, channels, operators[operator])
            prepared[operator] = order, order.select(operators[operator])
        order, axes = prepared[operator]
        if order not in mixes:
            mixes[order] = order.mix(weight)
        y = ys[target]
        _worker(y).contract(xs[source], mixes[order][tap], axes, order, y, target in written)
        written.add(target)
    for n in set(range(len(ys))) - written:
        ys[n].zero_()


def _empty_outputs(
    xs: Sequence[Tensor], weight: Tensor, matrices: Sequence[Tensor], terms: Sequence[int], outputs: Sequence[int]
) -> list[Tensor]:
    dim = xs[0].ndim - 3
    spaces = [[m.shape[1] for m in matrices[n * dim : (n + 1) * dim]] for n in writers(terms, outputs)]
    return empty_stacks(xs[0], weight.shape[0], outputs, spaces, at_least_float32(weight.dtype))


@torch.library.custom_op("scalegroup::separable", mutates_args=())
def _separable(
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    bands: list[Tensor],
    backs: list[Tensor],
    products: list[int],
    terms: list[int],
    outputs: list[int],
) -> list[Tensor]:
    dim = xs[0].ndim - 3
    xs, (weight,) = plain(xs), plain([weight])
    ys = [native.in_large_pages(y) for y in _empty_outputs(xs, weight, matrices, terms, outputs)]
    with without_autocast(weight.device):
        operators = _operators(matrices, bands, dim)
        _accumulate(_scales(ys), _scales(xs), weight, operators, products_of(products, dim), terms_of(terms))
    return ys


@torch.library.custom_op("scalegroup::separable_backward", mutates_args=())
def _separable_backward(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    bands: list[Tensor],
    backs: list[Tensor],
    products: list[int],
    terms: list[int],
    needs_xs: bool,
    needs_weight: bool,
) -> tuple[list[Tensor], Tensor]:
    dim = xs[0].ndim - 3
    xs, grads, (weight,) = plain(xs), plain(grads), plain([weight])
    functions, forward, dtype = products_of(products, dim), terms_of(terms), at_least_float32(weight.dtype)
    with without_autocast(weight.device):
        operators = _operators(matrices, bands, dim)
        adjoint = _operators([matrix.transpose(1, 2) for matrix in matrices], backs, dim)
        slopes = _scales([grad.to(weight.dtype).contiguous() for grad in grads])
        grad_xs = [x.new_empty(x.shape if needs_xs else 0, dtype=dtype) for x in xs]
        if needs_xs:
            turned = sorted(Term(term.source, term.target, term.operator, term.tap) for term in forward)
            inner = _scales([native.in_large_pages(grad) for grad in grad_xs])
            _accumulate(inner, slopes, weight.transpose(0, 1), adjoint, functions, turned)
        if not needs_weight:
            return [grad.to(weight.dtype) for grad in grad_xs], weight.new_empty(0)
        order, sources = layout(functions), _scales(xs)
        single, pairs = len(order.prefix), len(order.pairs) * weight.shape[1]
        mix_grad = weight.new_zeros((weight.shape[2], single, weight.shape[0], pairs), dtype=dtype)
        for target, source, operator, tap in forward:
            axes, back = order.select(operators[operator]), order.select(adjoint[operator])
            mix_grad[tap] += _worker(weight).weight_gradient(sources[source], slopes[target], axes, back, order)
        grad_weight = order.unmix(mix_grad, weight.shape[1]).to(weight.dtype)
    return [grad.to(weight.dtype) for grad in grad_xs], grad_weight.contiguous()


@_separable.register_fake
def _(xs: list[Tensor], weight: Tensor, matrices: list[Tensor], *others: list[int]) -> list[Tensor]:
    terms, outputs = others[-2:]
    return _empty_outputs(xs, weight, matrices, terms, outputs)


register_gradient(_separable, _separable_backward)


def contract(
    x: Sequence[Tensor], weight: Tensor, operators: Sequence[Sequence[AxisOperator]], contraction: Contraction
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · A[op]) x[:, :, in]` over all terms, axis by axis."""
    axes = [axis for operator in operators for axis in operator]
    on_cpu = weight.device.type == "cpu"  # where half precision gains nothing
    dtype = at_least_float32(weight.dtype) if on_cpu else weight.dtype
    matrices = [matrix.to(dtype) for matrix in _matrices(axes)]
    bands, backs = [axis.band() for axis in axes], [axis.band(adjoint=True) for axis in axes]
    stacks = [stack.to(dtype).contiguous() for stack in x]
    ys: list[Tensor] = torch.ops.scalegroup.separable(
        stacks, weight.to(dtype), matrices, bands, backs, *packed(contraction)
    )
    return [y.to(weight.dtype) for y in ys]


def _matrices(axes: Sequence[AxisOperator]) -> list[Tensor]:
    """The matrix of each axis; equal axes, as of a cube, share it."""
    made: list[tuple[AxisOperator, Tensor]] = []
    matrices = []
    for axis in axes:
        matrix = next((matrix for other, matrix in made if axis.equals(other)), None)
        if matrix is None:
            matrix = axis.matrix()
            made.append((axis, matrix))
        matrices.append(matrix)
    return matrices


def cost(
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int = 4,
) -> Cost:
    """Multiply-adds of the mix and of the bands, and the bytes of inputs and outputs.

    Args:
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number. Default 4.
    """
    out_channels, in_channels = weight_shape[:2]
    ordered = order_of_work if torch.compiler.is_compiling() else layout
    orders = [ordered(contraction.products, late) for late in (False, True)]
    work = numbers = 0
    written = set()
    for term in contraction.terms:
        axes = operators[term.operator]
        missing = [1] * (3 - len(axes))
        outer, inner = [missing + [axis.shape[i] for axis in axes] for i in (0, 1)]
        width = max([axis.width for axis in axes])
        work += min([order.price((in_channels, out_channels), inner, outer, width) for order in orders])
        numbers += in_channels * prod(inner) + out_channels * prod(outer) * (1 + (term.target in written))
        numbers += sum([axis.taps.shape[0] * prod(axis.shape) for axis in axes])
        written.add(term.target)
    return Cost(work, numbers * itemsize, len(contraction.terms))
