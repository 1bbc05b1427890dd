"""Choice of a method for a contraction."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from scalegroup.engine import dense, separable, spectral
from scalegroup.engine.autocast import autocasts
from scalegroup.engine.contraction import Contraction
from scalegroup.engine.operators import AxisOperator
from scalegroup.errors import ScaleGroupError

METHODS = ("auto", "dense", "separable", "spectral")

# torch's convolutions run this many times more multiply-adds in a second than the short matrix products of
# the separable method (2 cores, float32, C = O = 16, 48³, 9×9×9 kernels: 229 against 62 billion).
_SEPARABLE_PRICE = 4


def multiply_adds(
    method: str,
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
) -> int:
    """Multiply-adds that `method` spends on one sample of the batch.

    Args:
        method: dense, separable or spectral.
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
    """
    if method == "spectral":
        return spectral.cost(weight_shape, operators, contraction).multiply_adds
    out_channels, in_channels = weight_shape[:2]
    total = 0
    for term in contraction.terms:
        axes = operators[term.operator]
        rows = [a.n_in if a.transposed else a.n_out for a in axes]
        columns = [a.n_out if a.transposed else a.n_in for a in axes]
        if method == "dense":
            total += in_channels * out_channels * prod([a.n_out * a.taps.shape[1] for a in axes])
            continue
        full = [(0,) * (3 - len(axes)) + p for p in contraction.products]
        rows, columns = [1] * (3 - len(axes)) + rows, [1] * (3 - len(axes)) + columns
        zs, pairs, xs = len({p[2] for p in full}), len({p[1:] for p in full}), len({p[0] for p in full})
        total += zs * in_channels * columns[0] * columns[1] * rows[2] * columns[2]
        total += pairs * in_channels * columns[0] * rows[1] * columns[1] * rows[2]
        total += len(full) * in_channels * out_channels * columns[0] * rows[1] * rows[2]
        total += xs * out_channels * rows[0] * columns[0] * rows[1] * rows[2]
    return total


def contract(
    x: Sequence[Tensor],
    weight: Tensor,
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    method: str = "auto",
) -> list[Tensor]:
    """Execute `y[o,s] = Σ W[o,c,t,f] (A_1[f_1] ⊗ A_2[f_2] ⊗ …) x[c,s']`.

    Args:
        x: stacks `(B, C, S, *space)`, one for each grid.
        weight: `(O, C, T, F)`.
        operators: per operator index of the terms, one `AxisOperator` per axis of space.
        contraction: products of the basis, terms over the scales, scales of each output stack.
        method: "dense" (torch's convolutions with full kernels), "separable" (axis by axis), "spectral" (in the
            Fourier domain), or "auto": of the first two the cheaper one by multiply-adds.

    Returns:
        Stacks `(B, O, S', *space')`, one for each output grid.
    """
    if method not in METHODS:
        raise ScaleGroupError(f"a method out of {METHODS}", repr(method), "'auto' chooses by cost")
    if autocasts(weight.device):
        dtype = torch.get_autocast_dtype(weight.device.type)
        x, weight = [stack.to(dtype) for stack in x], weight.to(dtype)
    if method == "auto":
        full = multiply_adds("dense", weight.shape, operators, contraction)
        factored = multiply_adds("separable", weight.shape, operators, contraction)
        method = "dense" if full <= _SEPARABLE_PRICE * factored else "separable"
    run = {"dense": dense.contract, "separable": separable.contract, "spectral": spectral.contract}[method]
    return run(x, weight, operators, contraction)
