"""The contraction over positions with q-space as one more axis, in the order of work that makes fewer numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scalegroup.engine import AxisOperator, Contraction, Term, contract

SLAB_BYTES = 1 << 28  # of what a part of the samples makes on the way; more samples are worked off one after the other


class Work(NamedTuple):
    """What is computed: `y[o,s,i] = Σ W[o,c,t,f,g] A_q[s,f,i,j] A_p[s,g] x[c,s+t,j]`, sums over c, t, f, g and j.

    Attributes:
        matrices: `A_q` of each operator: `(1 or batch, functions of q, out samples, samples)`.
        operators: `A_p` of each operator: one for each axis of positions.
        products: the functions g of positions, see `Contraction`.
        terms: which scales feed which, by which operator and tap.
        scales: of the output.
        method: of the engine.
    """

    matrices: Sequence[Tensor]
    operators: Sequence[Sequence[AxisOperator]]
    products: tuple[tuple[int, ...], ...]
    terms: Sequence[Term]
    scales: int
    method: str


def contract_samples(x: Tensor, coefficients: Tensor, work: Work) -> Tensor:
    """`(batch, in, scales, samples, *space)` to `(batch, out, work.scales, out samples, *space')`.

    Args:
        x: the field.
        coefficients: W, `(out, in, taps, functions of q, functions of p)`.
        work: the rest.
    """
    outputs, inputs, _, functions, _ = coefficients.shape
    samples, out_samples = x.shape[3], work.matrices[0].shape[2]
    # What comes first makes `functions` numbers of each: it should be what has fewer.
    first = q_first if out_samples * inputs * functions <= samples * outputs else p_first
    return first(x, coefficients, work)


def q_first(x: Tensor, coefficients: Tensor, work: Work) -> Tensor:
    """Functions of q are more input channels of a contraction over positions, at each output sample."""
    weight = coefficients.permute(0, 1, 3, 2, 4).flatten(1, 2)
    terms = tuple(term._replace(source=n) for n, term in enumerate(work.terms))
    plan = Contraction(work.products, terms, (work.scales,))
    pieces = []
    for slab in _slabs(work.matrices[0].shape[2], len(terms) * weight.shape[1] * _bytes(x)):
        sources = [_mixed(x[:, :, term.source], work.matrices[term.operator][:, :, slab]) for term in work.terms]
        y = contract([torch.stack(sources, dim=2)], weight, work.operators, plan, work.method)[0]
        pieces.append(y.unflatten(0, (x.shape[0], -1)).movedim(1, 3))
    return torch.cat(pieces, dim=3) if len(pieces) > 1 else pieces[0]


def _mixed(x: Tensor, matrix: Tensor) -> Tensor:
    """`(batch, in, samples, *space)` to `(batch * out samples, in * functions, *space)`."""
    rows = matrix.transpose(1, 2).flatten(1, 2).unsqueeze(1)  # (batch, 1, out samples * functions, samples)
    y = (rows @ x.flatten(3)).reshape(*x.shape[:2], matrix.shape[2], matrix.shape[1], -1)
    return y.transpose(1, 2).reshape(-1, x.shape[1] * matrix.shape[1], *x.shape[3:])


def p_first(x: Tensor, coefficients: Tensor, work: Work) -> Tensor:
    """Functions of q are more output channels, whose samples are mixed afterwards; autograd need not keep them."""
    outputs, _, _, functions, _ = coefficients.shape
    weight = coefficients.permute(0, 3, 1, 2, 4).flatten(0, 1)
    targets = {term.operator: term.target for term in work.terms}
    terms = tuple(term._replace(target=term.operator) for term in work.terms)
    plan = Contraction(work.products, terms, (len(targets),))
    results: dict[int, Tensor] = {}
    for slab in _slabs(x.shape[3], len(targets) * weight.shape[0] * _bytes(x)):
        part = x[:, :, :, slab].movedim(3, 1)
        y = contract([part.flatten(0, 1)], weight, work.operators, plan, work.method)[0]
        space = y.shape[3:]
        y = y.reshape(*part.shape[:2], outputs, functions, len(targets), -1).permute(4, 0, 2, 3, 1, 5).flatten(3, 4)
        for operator, target in targets.items():
            columns = work.matrices[operator][..., slab].transpose(1, 2).flatten(2).unsqueeze(1)
            mixed = (columns @ y[operator]).unflatten(3, space)  # sums over functions and samples
            results[target] = results[target].add_(mixed) if target in results else mixed
    return torch.stack([results[n] for n in range(work.scales)], dim=2)


def _bytes(x: Tensor) -> int:
    """Of one channel and sample at one scale, for the whole batch."""
    return x[:, 0, 0, 0].numel() * x.element_size()


def _slabs(count: int, size: int) -> list[slice]:
    """Parts of so many samples, each of which makes `size` bytes."""
    step = max(1, SLAB_BYTES // max(1, size))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
