"""Two axes, channel mix, last axis: the contraction at a price that does not grow with the kernel.

The volume is seen as `(X, Y, Z)`; missing axes have length one. Along Z and Y the one-dimensional operators
are applied to the input channels, slab by slab of X so that the intermediate responses stay in cache; the
weights mix channels and functions; along X the operators are applied to the output channels. The backward
pass keeps the input only and computes the responses again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor

from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.operators import AxisOperator

_SLAB_BYTES = 1 << 20  # the responses of one slab; measured flat from 2^18 to 2^22 on a 2-core CPU


@dataclass(frozen=True)
class _Layout:
    """Order of the intermediate responses, so that each X function needs a leading part of them."""

    xs: tuple[int, ...]  # functions along X
    zs: tuple[int, ...]  # functions along Z
    pairs: tuple[tuple[int, int], ...]  # (y, z), most used first
    prefix: tuple[int, ...]  # how many leading pairs each X function needs
    slots: tuple[tuple[int, int], ...]  # per product: (index into xs, index into pairs)


@lru_cache(maxsize=256)
def _layout(products: tuple[tuple[int, ...], ...]) -> _Layout:
    full = [(0,) * (3 - len(p)) + p for p in products]
    xs = tuple(sorted({p[0] for p in full}))
    users: dict[tuple[int, int], int] = {}
    for _, y, z in full:
        users[y, z] = users.get((y, z), 0) + 1
    pairs = tuple(sorted(users, key=lambda pair: (-users[pair], pair)))
    slots = tuple((xs.index(x), pairs.index((y, z))) for x, y, z in full)
    prefix = tuple(1 + max(pair for x, pair in slots if x == i) for i in range(len(xs)))
    return _Layout(xs, tuple(sorted({z for _, z in pairs})), pairs, prefix, slots)


def _mixing(weight: Tensor, layout: _Layout) -> Tensor:
    """Weights `(O, C, T, F)` as matrices `(T, X functions, O, pairs * C)`."""
    out_channels, in_channels, taps, _ = weight.shape
    mix = weight.new_zeros(taps, len(layout.xs), out_channels, len(layout.pairs), in_channels)
    for f, (x, pair) in enumerate(layout.slots):
        mix[:, x, :, pair] = weight[..., f].permute(2, 0, 1)
    return mix.flatten(3)


def _unmixing(mix: Tensor, like: Tensor, layout: _Layout) -> Tensor:
    """The adjoint of `_mixing`."""
    mix = mix.reshape(*mix.shape[:3], len(layout.pairs), like.shape[1])
    return torch.stack([mix[:, x, :, pair] for x, pair in layout.slots], dim=-1).permute(1, 2, 0, 3)


class _Slabs:
    """The responses `V[(y,z) pair, channel] = (A_y ⊗ A_z) x` of one volume, slab by slab of X."""

    def __init__(self, axes: Sequence[Tensor], layout: _Layout, x: Tensor) -> None:
        _, self.ay, self.az = axes
        self.layout = layout
        self.channels, self.depth, self.ny, self.nz = x.shape
        self.my, self.mz = self.ay.shape[1], self.az.shape[1]
        per_slice = len(layout.pairs) * self.channels * self.my * self.mz * x.element_size()
        self.thickness = max(1, min(self.depth, _SLAB_BYTES // per_slice))
        rows = self.channels * self.thickness
        self.u = x.new_empty(len(layout.zs) * rows * self.ny * self.mz)
        self.v = x.new_empty(len(layout.pairs) * rows * self.my * self.mz)
        self.azt = [self.az[z].t().contiguous() for z in layout.zs]

    def __iter__(self) -> Iterator[slice]:
        for first in range(0, self.depth, self.thickness):
            yield slice(first, min(first + self.thickness, self.depth))

    def _buffers(self, slab: slice) -> tuple[Tensor, Tensor]:
        rows = self.channels * (slab.stop - slab.start)
        u = self.u[: len(self.layout.zs) * rows * self.ny * self.mz]
        v = self.v[: len(self.layout.pairs) * rows * self.my * self.mz]
        return u.view(-1, rows, self.ny, self.mz), v.view(-1, rows, self.my, self.mz)

    def responses(self, x: Tensor, slab: slice) -> Tensor:
        """`(pairs * C, slices * Y' * Z')` of the slab."""
        u, v = self._buffers(slab)
        flat = x[:, slab].reshape(-1, self.nz)
        for i, azt in enumerate(self.azt):
            torch.mm(flat, azt, out=u[i].view(-1, self.mz))
        for i, (y, z) in enumerate(self.layout.pairs):
            torch.bmm(self.ay[y].expand(u.shape[1], -1, -1), u[self.layout.zs.index(z)], out=v[i])
        return v.view(len(self.layout.pairs) * self.channels, -1)

    def scatter(self, responses: Tensor, grad: Tensor, slab: slice) -> None:
        """The adjoint of `responses`: add what flows back to `grad[:, slab]`."""
        rows = self.channels * (slab.stop - slab.start)
        v = responses.view(-1, rows, self.my, self.mz)
        total = grad.new_zeros(rows * self.ny, self.nz)
        for z in self.layout.zs:
            u = grad.new_zeros(rows, self.ny, self.mz)
            for j, (y, pair_z) in enumerate(self.layout.pairs):
                if pair_z == z:
                    u.baddbmm_(self.ay[y].t().expand(rows, -1, -1), v[j])
            total.addmm_(u.view(-1, self.mz), self.az[z])
        grad[:, slab] += total.view(self.channels, -1, self.ny, self.nz)


def _groups(terms: Sequence[int]) -> list[tuple[tuple[int, int], list[Term]]]:
    """Terms that share output and operator; they share the last axis too."""
    unpacked = sorted(Term(*terms[i : i + 4]) for i in range(0, len(terms), 4))
    ordered = sorted(unpacked, key=lambda term: (term.target, term.operator))
    return [(key, list(group)) for key, group in groupby(ordered, key=lambda t: (t.target, t.operator))]


def _products(flat: Sequence[int], dim: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(flat[i : i + dim]) for i in range(0, len(flat), dim))


def _three(matrices: Sequence[Tensor], operator: int, dim: int) -> list[Tensor]:
    """The three matrices of one operator, the missing leading axes being the number one."""
    own = list(matrices[operator * dim : (operator + 1) * dim])
    return [own[0].new_ones(1, 1, 1)] * (3 - dim) + own


def _scales(stacks: Sequence[Tensor]) -> list[Tensor]:
    """A view `(B, C, X, Y, Z)` of each scale of the stacks `(B, C, S, *space)`."""
    return [scale.reshape(*x.shape[:2], *[1] * (6 - x.ndim), *x.shape[3:]) for x in stacks for scale in x.unbind(2)]


def _target_spaces(
    matrices: Sequence[Tensor], terms: Sequence[int], outputs: Sequence[int], dim: int
) -> list[list[int]]:
    """The size of each output stack: that of what its first scale's operators write."""
    operator = {terms[i]: terms[i + 2] for i in range(0, len(terms), 4)}
    firsts = [sum(outputs[:stack]) for stack in range(len(outputs))]
    return [[m.shape[1] for m in matrices[operator[f] * dim : (operator[f] + 1) * dim]] for f in firsts]


@torch.library.custom_op("scalegroup::separable", mutates_args=())
def _separable(
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    products: list[int],
    terms: list[int],
    outputs: list[int],
) -> list[Tensor]:
    dim = xs[0].ndim - 3
    layout = _layout(_products(products, dim))
    mix = _mixing(weight, layout)
    sources = _scales(xs)
    ys = _empty_outputs(xs[0], weight, matrices, terms, outputs)
    targets = _scales(ys)
    written = set()
    for (target, operator), group in _groups(terms):
        axes = _three(matrices, operator, dim)
        area = axes[1].shape[1] * axes[2].shape[1]
        mixed = weight.new_empty(len(layout.xs), weight.shape[0], axes[0].shape[2], area)
        for n in range(xs[0].shape[0]):
            for i, term in enumerate(group):
                source = sources[term.source][n]
                slabs = _Slabs(axes, layout, source)
                for slab in slabs:
                    v = slabs.responses(source, slab)
                    columns = slice(slab.start * area, slab.stop * area)
                    for f, pairs in enumerate(layout.prefix):
                        into = mixed[f].view(weight.shape[0], -1)[:, columns]
                        rows = pairs * weight.shape[1]
                        torch.addmm(into, mix[term.tap, f, :, :rows], v[:rows], beta=int(i > 0), out=into)
            into = targets[target][n].flatten(2)
            for f, function in enumerate(layout.xs):
                more = f > 0 or target in written
                into.baddbmm_(axes[0][function].expand(weight.shape[0], -1, -1), mixed[f], beta=int(more))
        written.add(target)
    return ys


@torch.library.custom_op("scalegroup::separable_backward", mutates_args=())
def _separable_backward(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    products: list[int],
    terms: list[int],
) -> tuple[list[Tensor], Tensor]:
    dim = xs[0].ndim - 3
    layout = _layout(_products(products, dim))
    mix = _mixing(weight, layout)
    mix_grad = torch.zeros_like(mix)
    grad_xs = [torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in xs]
    sources, grads_out, grads_in = _scales(xs), _scales(grads), _scales(grad_xs)
    for (target, operator), group in _groups(terms):
        axes = _three(matrices, operator, dim)
        area = axes[1].shape[1] * axes[2].shape[1]
        back = weight.new_empty(len(layout.xs), weight.shape[0], axes[0].shape[2], area)
        for n in range(xs[0].shape[0]):
            outer = grads_out[target][n].reshape(weight.shape[0], -1, area)
            for f, function in enumerate(layout.xs):
                torch.bmm(axes[0][function].t().expand(weight.shape[0], -1, -1), outer, out=back[f])
            for term in group:
                source = sources[term.source][n]
                slabs = _Slabs(axes, layout, source)
                for slab in slabs:
                    v = slabs.responses(source, slab)
                    flow = torch.zeros_like(v)
                    columns = slice(slab.start * area, slab.stop * area)
                    for f, pairs in enumerate(layout.prefix):
                        rows = pairs * weight.shape[1]
                        h = back[f].view(weight.shape[0], -1)[:, columns]
                        mix_grad[term.tap, f, :, :rows] += h @ v[:rows].t()
                        flow[:rows].addmm_(mix[term.tap, f, :, :rows].t(), h)
                    slabs.scatter(flow, grads_in[term.source][n], slab)
    return grad_xs, _unmixing(mix_grad, weight, layout).contiguous()


def _empty_outputs(
    like: Tensor, weight: Tensor, matrices: Sequence[Tensor], terms: Sequence[int], outputs: Sequence[int]
) -> list[Tensor]:
    spaces = _target_spaces(matrices, terms, outputs, like.ndim - 3)
    shapes = [(like.shape[0], weight.shape[0], count, *space) for count, space in zip(outputs, spaces, strict=True)]
    return [like.new_empty(shape) for shape in shapes]


@_separable.register_fake
def _(
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    products: list[int],
    terms: list[int],
    outputs: list[int],
) -> list[Tensor]:
    return _empty_outputs(xs[0], weight, matrices, terms, outputs)


@_separable_backward.register_fake
def _(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    matrices: list[Tensor],
    products: list[int],
    terms: list[int],
) -> tuple[list[Tensor], Tensor]:
    return [x.new_empty(x.shape) for x in xs], weight.new_empty(weight.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    xs, weight, matrices, ctx.products, ctx.terms, _ = inputs
    ctx.stacks = len(xs)
    ctx.save_for_backward(*xs, weight, *matrices)


def _backward(ctx, grads):  # type: ignore[no-untyped-def]
    xs, (weight, *matrices) = ctx.saved_tensors[: ctx.stacks], ctx.saved_tensors[ctx.stacks :]
    given = list(xs), weight, matrices, ctx.products, ctx.terms
    grad_xs, grad_weight = torch.ops.scalegroup.separable_backward(list(grads), *given)
    return grad_xs, grad_weight, [None] * len(matrices), None, None, None


_separable.register_autograd(_backward, setup_context=_setup_context)


def contract(
    x: Sequence[Tensor], weight: Tensor, operators: Sequence[Sequence[AxisOperator]], contraction: Contraction
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · A[op]) x[:, :, in]` over all terms, axis by axis."""
    matrices = [axis.matrix().to(weight.dtype) for axes in operators for axis in axes]
    products = [i for product in contraction.products for i in product]
    terms = [i for term in contraction.terms for i in term]
    outputs = list(contraction.outputs)
    ys: list[Tensor] = torch.ops.scalegroup.separable(list(x), weight, matrices, products, terms, outputs)
    return ys
