"""The one entry to the engine: checks, mixed precision, choice of a method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from scalegroup.engine import planner
from scalegroup.engine.autocast import autocasts
from scalegroup.engine.contraction import Contraction
from scalegroup.engine.operators import AxisOperator
from scalegroup.errors import ScaleGroupError

METHODS = ("auto", *planner.ENGINES)

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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
            Fourier domain), or "auto": of the first two the one that `engine.planner` expects to be faster.

    Returns:
        Stacks `(B, O, S', *space')`, one for each output grid.

    Raises:
        ScaleGroupError: for an unknown method, for numbers that no method computes with, and where forward-mode
            derivatives (`torch.func.jvp`) are asked of a method other than dense; "auto" is dense there.

    Source: `docs/engine.md`.

    Example:
        >>> import torch
        >>> from scalegroup.engine import AxisOperator, Contraction, Term
        >>> mean = AxisOperator(torch.ones(1, 3) / 3, start=-1, stride=1, n_in=6, n_out=6, padding_mode="circular")
        >>> lifting = Contraction(products=((0, 0),), terms=(Term(0, 0, 0, 0),), outputs=(1,))
        >>> x, weight = torch.randn(1, 2, 1, 6, 6), torch.ones(3, 2, 1, 1)
        >>> dense, separable = (contract([x], weight, [[mean] * 2], lifting, way)[0] for way in ("dense", "separable"))
        >>> dense.shape, torch.allclose(dense, separable, atol=1e-5)
        (torch.Size([1, 3, 1, 6, 6]), True)
    """
    if method not in METHODS:
        raise ScaleGroupError(f"a method out of {METHODS}", repr(method), "'auto' chooses by cost")
    if autocasts(weight.device):
        dtype = torch.get_autocast_dtype(weight.device.type)
        x, weight = [stack.to(dtype) for stack in x], weight.to(dtype)
    _check(x, weight)
    if not torch.compiler.is_compiling() and any(unpack_dual(t).tangent is not None for t in (*x, weight)):
        if method not in ("auto", "dense"):  # custom operators of torch have no forward mode: it would be zero
            hint = "choose method='dense' or 'auto'"
            raise ScaleGroupError("method 'dense' for forward-mode derivatives", repr(method), hint)
        method = "dense"
    if method == "auto":
        batch, size = x[0].shape[0], weight.dtype.itemsize
        if weight.device.type == "cpu":
            size = max(size, 4)  # half precision is computed in float32 there
        method = planner.choose(weight.shape, operators, contraction, size, batch, weight.device)
    y: list[Tensor] = planner.ENGINES[method].contract(x, weight, operators, contraction)
    return y


def _check(x: Sequence[Tensor], weight: Tensor) -> None:
    if weight.dtype not in _DTYPES:
        expected = f"weights out of {[str(dtype) for dtype in _DTYPES]}, for which all of {METHODS} work"
        raise ScaleGroupError(expected, str(weight.dtype), "convert the layer, as by layer.float()")
    for stack in x:
        if stack.dtype != weight.dtype or stack.device != weight.device:
            expected = f"an input of {weight.dtype} on {weight.device}, like the weights"
            hint = "convert the input, or the layer by layer.to(...)"
            raise ScaleGroupError(expected, f"{stack.dtype} on {stack.device}", hint)
