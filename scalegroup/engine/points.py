"""The contraction on point sets: the axis is the set, and its matrices are sparse.

`y[o, s] = Σ_{c,t,f} W[o,c,t,f] A[s,f] x[c, s+t]` with `A[s,f]_ij = p_i q_j ψ_f((x_j - x_i) / width_s)`, not zero for
neighbours only. The matrices are never stored: their numbers are computed for some points at a time, whose neighbours
are padded to one length, and used at once in matrix products. The gradient of the input is the same contraction
transposed, and what it computes on its way gives the gradient of the weights too, so that the backward pass computes
the numbers once more, and no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scalegroup.engine.autocast import at_least_float32, without_autocast
from scalegroup.engine.contraction import Term
from scalegroup.engine.point_basis import PointBasis
from scalegroup.engine.point_search import Neighbours, rows_of
from scalegroup.engine.point_set import Points, chunks

DENSITIES = ("source", "target")
FADING = 1e-3  # a mean over points that all but leave the radius goes to zero, not to the last of them


@dataclass(frozen=True, eq=False)
class PointOperator:
    """The sparse matrices of one scale: `A[f]_ij = p_i q_j ψ_f((x_j - x_i) / width)`.

    Args:
        basis: the functions ψ.
        width: their width at this scale.
        points: the sources.
        targets: the points that are written.
        density: what makes a sum an integral. "source": `q_j = G / Σ_k g(x_k - x_j)`, an estimate of the volume around
            each source; "target": `p_i = G / Σ_j g(x_j - x_i)`, which makes each output a weighted mean. g is the
            windowed Gaussian of this width, G its integral. Both have no unit: they are the same for a cloud and for a
            larger copy of it at the larger scale.

    Example:
        >>> basis, pos = PointBasis(order=1, dim=1), torch.tensor([[0.0], [1.0], [3.0]])
        >>> small, large = Points(pos), Points(2 * pos)
        >>> matrices = PointOperator(basis, 1.0, small, small).dense()
        >>> matrices.shape, bool(torch.equal(matrices, PointOperator(basis, 2.0, large, large).dense()))
        (torch.Size([2, 3, 3]), True)
    """

    basis: PointBasis
    width: float
    points: Points
    targets: Points
    density: str = "source"

    @property
    def near(self) -> Neighbours:
        """The sources around each target."""
        return self.points.near(self.basis.support * self.width, self.targets)

    def weights(self) -> tuple[Tensor | None, Tensor | None]:
        """The factors p of the targets and q of the sources, None for ones."""
        if self.density == "source":
            return None, self.basis.mass / self.points.density(self.basis, self.width)
        sums = self.points.density(self.basis, self.width, self.targets)
        return self.basis.mass / sums.clamp(min=FADING), None

    def dense(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """The full matrices `(F, targets, points)`, for tests and small sets."""
        near, (p, q) = self.near, self.weights()
        full = torch.zeros(len(self.basis), len(self.targets), len(self.points), dtype=dtype, device=near.index.device)
        for i, sources in enumerate(near.tolist()):
            u = (self.points.pos[sources] - self.targets.pos[i]).t() / self.width
            weights = torch.ones_like(u[0]) if q is None else q[sources]
            full[:, i, sources] = self.basis.values(u, weights if p is None else weights * p[i]).to(dtype)
        return full


class PointPath(NamedTuple):
    """What leads from a block of the input to one of the output.

    Attributes:
        source: index of the input block.
        target: index of the output block.
        weight: `(O, C, T, F)`.
        terms: which scales feed which, by which operator and tap.
        factors: a number for each operator.

    Example:
        >>> points = Points(torch.tensor([[0.0], [1.0], [3.0]]))
        >>> operator = PointOperator(PointBasis(order=1, dim=1), 1.0, points, points)
        >>> lift = PointPath(0, 0, torch.ones(2, 1, 1, 2), (Term(target=0, source=0, operator=0, tap=0),), [1.0])
        >>> [block.shape for block in contract([torch.ones(3, 1, 1)], [lift], [operator], [(2, 1)])]
        [torch.Size([3, 2, 1])]
    """

    source: int
    target: int
    weight: Tensor
    terms: tuple[Term, ...]
    factors: Sequence[float]


def contract(
    x: Sequence[Tensor],
    paths: Sequence[PointPath],
    operators: Sequence[PointOperator],
    outputs: Sequence[tuple[int, int]],
) -> list[Tensor]:
    """All paths of a layer, operator by operator, so that the numbers of each are computed once.

    Args:
        x: blocks `(points, C, S)`.
        paths: weights and terms.
        operators: one for each scale.
        outputs: channels and scales of each output block.

    Returns:
        Blocks `(targets, O, S')`.
    """
    sums: list[list[Tensor | None]] = [[None] * scales for _, scales in outputs]
    for n, operator in enumerate(operators):
        terms = [(path, term) for path in paths for term in path.terms if term.operator == n]
        if not terms:
            continue
        read = _columns([((path.source, term.source), x[path.source].shape[1]) for path, term in terms])
        written = _columns([((path.target, term.target), outputs[path.target][0]) for path, term in terms])
        size = len(operator.basis), _width(read), _width(written)
        mix = terms[0][0].weight.new_zeros(size)
        for path, term in terms:
            piece = path.weight[:, :, term.tap].permute(2, 1, 0)
            factor = path.factors[n]
            part = mix[:, read[path.source, term.source], written[path.target, term.target]]
            part += piece if factor == 1 else piece * factor
        y = apply(torch.cat([x[block][:, :, scale] for block, scale in read], dim=1), mix, operator)
        for (block, scale), columns in written.items():
            before = sums[block][scale]
            sums[block][scale] = y[:, columns] if before is None else before + y[:, columns]
    stacks = []
    for (channels, _), scales in zip(outputs, sums, strict=True):
        none = x[0].new_zeros(len(operators[0].targets), channels)
        stacks.append(torch.stack([none if y is None else y for y in scales], dim=2))
    return stacks


def _columns(parts: Sequence[tuple[tuple[int, int], int]]) -> dict[tuple[int, int], slice]:
    """A place for the channels of each scale of each block, side by side."""
    places: dict[tuple[int, int], slice] = {}
    for key, channels in parts:
        if key not in places:
            start = _width(places)
            places[key] = slice(start, start + channels)
    return places


def _width(places: dict[tuple[int, int], slice]) -> int:
    return max((place.stop for place in places.values()), default=0)


def apply(x: Tensor, mix: Tensor, operator: PointOperator) -> Tensor:
    """`y_i = Σ_j Σ_f A[f]_ij x_j mix[f]`, differentiable once by `x` and `mix`.

    Args:
        x: `(points, C)`.
        mix: `(F, C, O)`.
        operator: the matrices.

    Returns:
        `(targets, O)`.
    """
    return _Apply.apply(x, mix.to(x.dtype), operator)  # type: ignore[no-any-return, no-untyped-call]


class _Apply(torch.autograd.Function):
    """The contraction with one operator, and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mix: Tensor, operator: PointOperator) -> Tensor:
        ctx.save_for_backward(x, mix)
        ctx.operator = operator
        dtype = at_least_float32(x.dtype)
        y = x.new_zeros((len(operator.targets), mix.shape[2]), dtype=dtype)
        matrix = mix.to(dtype).flatten(0, 1)
        with without_autocast(x.device):
            for targets, responses in _responses(operator, x.to(dtype).contiguous()):
                y[targets] = responses.flatten(1) @ matrix
        return y.to(mix.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, mix = ctx.saved_tensors
        dtype = at_least_float32(x.dtype)
        functions, channels, outputs = mix.shape
        grad_x = torch.zeros_like(x, dtype=dtype) if ctx.needs_input_grad[0] else None
        grad_mix = mix.new_zeros((channels, functions * outputs), dtype=dtype) if ctx.needs_input_grad[1] else None
        matrix = mix.to(dtype).permute(0, 2, 1).reshape(functions * outputs, channels)
        with without_autocast(x.device):
            for sources, responses in _responses(ctx.operator, grad.to(dtype).contiguous(), transposed=True):
                flat = responses.flatten(1)  # (n, F * O)
                if grad_x is not None:
                    grad_x[sources] = flat @ matrix
                if grad_mix is not None:
                    grad_mix += x[sources].to(dtype).t() @ flat
        if grad_mix is not None:
            grad_mix = grad_mix.unflatten(1, (functions, outputs)).transpose(0, 1).to(mix.dtype)
        return None if grad_x is None else grad_x.to(x.dtype), grad_mix, None


def _responses(operator: PointOperator, x: Tensor, transposed: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
    """Some targets and `Σ_j A[f]_ij x_j` there, `(n, F, C)`; transposed, some sources and `Σ_i A[f]_ij x_i`."""
    near_to, (p, q) = operator.near, operator.weights()
    others, own, weigh_others, weigh_own = operator.points, operator.targets, q, p
    if transposed:
        near_to = own.near(operator.basis.support * operator.width, others)
        others, own, weigh_others, weigh_own = own, others, p, q
    width = -operator.width if transposed else operator.width  # the offset runs from the target to the source
    far, here = others.pos.t().div(width).contiguous(), own.pos.t().div(width)
    for rows, count in chunks(near_to, len(operator.basis) + 2 * x.shape[1], x.device):
        index, beyond = near_to.padded(rows, count)
        u = rows_of(far, index).sub_(here[:, rows, None])
        weights = beyond.logical_not().to(x.dtype)
        if weigh_others is not None:
            weights *= rows_of(weigh_others[None], index)[0]
        if weigh_own is not None:
            weights *= weigh_own[rows, None]
        values = operator.basis.values(u.to(x.dtype), weights)  # (F, n, K)
        neighbours = x.index_select(0, index.flatten()).unflatten(0, index.shape)
        yield rows, torch.bmm(values.transpose(0, 1), neighbours)
