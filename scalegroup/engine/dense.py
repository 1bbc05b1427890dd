"""The oracle: full `k × k × k` kernels, applied by torch's own convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from scalegroup.engine.contraction import Contraction
from scalegroup.engine.cost import Cost
from scalegroup.engine.operators import AxisOperator

_AXES = "xyz"


def kernel(weight: Tensor, taps: Sequence[Tensor], products: Sequence[Sequence[int]]) -> Tensor:
    """The kernel `Σ_f W[o,c,f] a_f1 ⊗ a_f2 ⊗ …` of shape `(O, C, *k)`; `weight` is `(O, C, F)`."""
    factors = [axis[[product[i] for product in products]].to(weight) for i, axis in enumerate(taps)]
    names = _AXES[: len(taps)]
    return torch.einsum(f"ocf,{','.join('f' + n for n in names)}->oc{names}", weight, *factors)


def convolve(x: Tensor, kernels: Tensor, axes: Sequence[AxisOperator]) -> Tensor:
    """Apply `(O, C, *k)` kernels to `x` of shape `(B, C, *space)` with the geometry of `axes`."""
    stride = [axis.stride for axis in axes]
    margins = [axis.margins for axis in axes]
    before = [left for left, _ in margins]
    around = axes[0].padding_mode == "zeros" and min(before) >= 0  # torch pads with zeros without a copy
    if axes[0].transposed:
        conv_transpose = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(axes) - 1]
        surplus = [left - right for left, right in margins]
        y: Tensor
        if around and all(0 <= n < q for n, q in zip(surplus, stride, strict=True)):
            y = conv_transpose(x, kernels.transpose(0, 1), stride=stride, padding=before, output_padding=surplus)
            return y
        y = conv_transpose(x, kernels.transpose(0, 1), stride=stride)
        for i, axis in enumerate(axes):
            y = axis.unpad(y, i + 2)
        return y
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(axes) - 1]
    if around and all(left == right for left, right in margins):
        return conv(x, kernels, stride=stride, padding=before)
    return conv(_padded(x, axes), kernels, stride=stride)


_TORCH_MODE = {"zeros": "constant", "replicate": "replicate", "reflect": "reflect", "circular": "circular"}


def _padded(x: Tensor, axes: Sequence[AxisOperator]) -> Tensor:
    """All samples that the taps read: by torch's padding, which is fast, where it can."""
    margins = [axis.margins for axis in axes]
    widest = max(max(pair) - axis.n_in for pair, axis in zip(margins, axes, strict=True))
    if min(min(pair) for pair in margins) >= 0 and widest < 0:  # torch folds once, and does not crop
        flat = [margin for pair in reversed(margins) for margin in pair]
        return F.pad(x, flat, mode=_TORCH_MODE[axes[0].padding_mode])
    for i, axis in enumerate(axes):
        x = axis.pad(x, i + 2)
    return x


def contract(
    x: Sequence[Tensor],
    weight: Tensor,
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    kernels: Mapping[tuple[int, int], Tensor] | None = None,
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · A[op]) x[:, :, in]` over all terms, with dense kernels.

    `kernels` may hold them ready made, by operator and tap.
    """
    sources = [scale for stack in x for scale in stack.unbind(2)]
    outputs: dict[int, Tensor] = {}
    for term in contraction.terms:
        axes = operators[term.operator]
        if kernels is None:
            full = kernel(weight[:, :, term.tap], [axis.weighted_taps for axis in axes], contraction.products)
        else:
            full = kernels[term.operator, term.tap]
        y = convolve(sources[term.source], full, axes)
        outputs[term.target] = outputs[term.target] + y if term.target in outputs else y
    return stacked(outputs, contraction)


def stacked(scales: Mapping[int, Tensor], contraction: Contraction) -> list[Tensor]:
    """Outputs `(batch, channels, *space)` by their number, as the stacks that the contraction asks for."""
    stops = accumulate(contraction.outputs)
    stacks = [range(stop - count, stop) for stop, count in zip(stops, contraction.outputs, strict=True)]
    return [torch.stack([scales[scale] for scale in stack], dim=2) for stack in stacks]


def cost(
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int = 4,
) -> Cost:
    """Multiply-adds of the full kernels and of making them, and the bytes of inputs, kernels and outputs.

    Args:
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number. Default 4.
    """
    out_channels, in_channels = weight_shape[:2]
    work = numbers = 0
    for term in contraction.terms:
        axes = operators[term.operator]
        coarse, fine = prod([axis.n_out for axis in axes]), prod([axis.n_in for axis in axes])
        inner, outer = (coarse, fine) if axes[0].transposed else (fine, coarse)
        kernels = in_channels * out_channels * prod([axis.taps.shape[1] for axis in axes])
        work += kernels * (coarse + weight_shape[3])
        numbers += in_channels * inner + 2 * out_channels * outer + 2 * kernels  # the outputs are stacked afterwards
    return Cost(work, numbers * itemsize, len(contraction.terms))
