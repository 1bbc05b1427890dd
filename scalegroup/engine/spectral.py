"""The contraction in the Fourier domain: along each axis a function is a diagonal, whatever its width.

The volume is seen as `(X, Y, Z)`; missing axes have length one. The Fourier transform of the input (half of it: along X
the frequencies from zero on) is cropped to the box in which the functions of a scale are not negligible, above the
rounding error of the dtype; so coarse scales cost less. There the functions along Z and Y are applied to the channels
of the fine grid, and for each X frequency one matrix, the weights times the functions along X, mixes the channels. The
spectrum of a strided grid is folded, or cropped where it fits, so that outputs are samples of what stride 1 computes.

Transfer functions are the continuous ones where `frequencies.is_ideal` says so: then a periodic layer is equivariant to
rounding error on band-limited input, and differs from the other methods by the error that its taps declare. Otherwise
they are those of the taps, and the result is that of the other methods. Axes that are not periodic are extended by the
reach of the kernel.

The backward pass is the adjoint. It keeps the input only, and both passes hold the spectra of one sample at a time: of
the scales that one output reads and of that output, each as large as its scale, and the responses of one slab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log2, prod

import torch
from torch import Tensor

from scalegroup.engine.autocast import at_least_float32, without_autocast
from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.cost import Cost
from scalegroup.engine.frequencies import FIELDS, described, three_axes, transfer_of
from scalegroup.engine.layout import Layout
from scalegroup.engine.operators import AxisOperator
from scalegroup.engine.packing import empty_stacks, packed, plain, products_of, register_gradient, terms_of, writers
from scalegroup.engine.spectra import Spectra, SpectralOperator, backwards
from scalegroup.errors import ScaleGroupError


@dataclass(frozen=True)
class _Plan:
    """The arguments of the operators below, unpacked.

    Attributes:
        order: of the functions.
        operators: for each scale.
        transposed: whether each of them leads from the coarse to the fine grid.
        groups: the terms, in groups of one target and one operator.
        dtype: of the samples while they are computed with.
    """

    order: Layout
    operators: list[SpectralOperator]
    transposed: list[bool]
    groups: list[list[Term]]
    dtype: torch.dtype

    @classmethod
    def of(
        cls, tables: Sequence[Tensor], geometry: Sequence[int], products: Sequence[int], terms: Sequence[int], dim: int
    ) -> _Plan:
        order = backwards(products_of(products, dim))
        operators, transposed = [], []
        for n, numbers in enumerate(_per_operator(geometry, dim)):
            own = [torch.view_as_complex(table) for table in tables[n * dim : (n + 1) * dim]]
            axes = three_axes(numbers[:-1], [table.shape[1] - 1 for table in own])
            own += [own[0].new_ones(1, 1)] * (3 - dim)
            operators.append(SpectralOperator(axes, own, order))
            transposed.append(bool(numbers[-1]))
        groups = [list(group) for _, group in groupby(terms_of(terms), key=_target_and_operator)]
        return cls(order, operators, transposed, groups, tables[0].dtype)

    def mixes(self, weight: Tensor) -> dict[bool, Tensor]:
        """The mixing weights from the fine to the coarse grid, for straight and for transposed operators."""
        turns = ((turned, weight.transpose(0, 1) if turned else weight) for turned in set(self.transposed))
        return {turned: self.order.mix(own.to(self.dtype)) for turned, own in turns}

    def spectra(self, stacks: Sequence[Tensor], sample: int) -> Spectra:
        """Those of the scales of one sample."""
        return Spectra([scale.to(self.dtype) for scale in _scales(stacks, sample)])


def _per_operator(geometry: Sequence[int], dim: int) -> list[Sequence[int]]:
    """For each operator the numbers of its axes, and whether it is transposed."""
    step = FIELDS * dim + 1
    return [geometry[first : first + step] for first in range(0, len(geometry), step)]


def _target_and_operator(term: Term) -> tuple[int, int]:
    return term.target, term.operator


def _scales(stacks: Sequence[Tensor], sample: int) -> list[Tensor]:
    """A view `(C, X, Y, Z)` of each scale of one sample of the stacks `(B, C, S, *space)`."""
    scales = [scale for stack in stacks for scale in stack[sample].unbind(1)]
    return [scale.reshape(*scale.shape, *[1] * (4 - scale.ndim)) for scale in scales]


@torch.library.custom_op("scalegroup::spectral", mutates_args=())
def _spectral(
    xs: list[Tensor],
    weight: Tensor,
    tables: list[Tensor],
    geometry: list[int],
    products: list[int],
    terms: list[int],
    outputs: list[int],
) -> list[Tensor]:
    xs, (weight,) = plain(xs), plain([weight])
    plan = _Plan.of(tables, geometry, products, terms, xs[0].ndim - 3)
    empty = _empty_outputs(xs, weight, geometry, terms, outputs)
    ys = [torch.zeros_like(y, dtype=plan.dtype) for y in empty]
    with without_autocast(weight.device):
        mixes = plan.mixes(weight)
        for sample in range(len(xs[0])):
            sources, targets = plan.spectra(xs, sample), _scales(ys, sample)
            for first, *others in plan.groups:
                operator, turned = plan.operators[first.operator], plan.transposed[first.operator]
                apply = operator.to_fine if turned else operator.to_coarse
                spectrum = sources.of(first.source, operator, not turned)
                total = apply(spectrum, operator.kernels(mixes[turned][first.tap]))
                for term in others:
                    spectrum = sources.of(term.source, operator, not turned)
                    total += apply(spectrum, operator.kernels(mixes[turned][term.tap]))
                operator.add_samples(total, turned, targets[first.target])
                sources.next_group()
    return [y.to(xs[0].dtype) for y in ys]


@torch.library.custom_op("scalegroup::spectral_backward", mutates_args=())
def _spectral_backward(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    tables: list[Tensor],
    geometry: list[int],
    products: list[int],
    terms: list[int],
    needs_xs: bool,
    needs_weight: bool,
) -> tuple[list[Tensor], Tensor]:
    xs, grads, (weight,) = plain(xs), plain(grads), plain([weight])
    plan = _Plan.of(tables, geometry, products, terms, xs[0].ndim - 3)
    grad_xs = [x.new_zeros(x.shape if needs_xs else 0, dtype=plan.dtype) for x in xs]
    with without_autocast(weight.device):
        mixes = plan.mixes(weight)
        slopes = {turned: torch.zeros_like(mix) for turned, mix in mixes.items()}
        for sample in range(len(xs[0])):
            sources, arriving = plan.spectra(xs, sample), plan.spectra(grads, sample)
            leaving = _scales(grad_xs, sample) if needs_xs else []
            for group in plan.groups:
                operator, turned = plan.operators[group[0].operator], plan.transposed[group[0].operator]
                apply = operator.to_coarse if turned else operator.to_fine
                slope = arriving.of(group[0].target, operator, turned)
                for term in group:
                    kernels = operator.kernels(mixes[turned][term.tap])
                    if needs_xs:
                        operator.add_samples(apply(slope, kernels), not turned, leaving[term.source])
                    if needs_weight:
                        spectrum = sources.of(term.source, operator, not turned)
                        fine, coarse = (slope, spectrum) if turned else (spectrum, slope)
                        grad = operator.correlation(fine, coarse, kernels)
                        slopes[turned][term.tap] += operator.kernels_adjoint(grad)
                sources.next_group()
                arriving.next_group()
    grad_xs = [grad.to(xs[0].dtype) for grad in grad_xs]
    if not needs_weight:
        return grad_xs, weight.new_empty(0)
    grad_weight = torch.zeros_like(weight)
    for turned, slope in slopes.items():
        grad_weight += plan.order.unmix(slope, weight.shape[0 if turned else 1]).transpose(0, int(turned))
    return grad_xs, grad_weight


def _empty_outputs(
    xs: Sequence[Tensor], weight: Tensor, geometry: Sequence[int], terms: Sequence[int], outputs: Sequence[int]
) -> list[Tensor]:
    operators = _per_operator(geometry, xs[0].ndim - 3)
    numbers = [operators[n] for n in writers(terms, outputs)]
    spaces = [own[0 if own[-1] else 1 : -1 : FIELDS] for own in numbers]
    return empty_stacks(xs[0], weight.shape[0], outputs, spaces, xs[0].dtype)


@_spectral.register_fake
def _(xs: list[Tensor], weight: Tensor, tables: list[Tensor], geometry: list[int], *others: list[int]) -> list[Tensor]:
    terms, outputs = others[-2:]
    return _empty_outputs(xs, weight, geometry, terms, outputs)


register_gradient(_spectral, _spectral_backward)


def contract(
    x: Sequence[Tensor], weight: Tensor, operators: Sequence[Sequence[AxisOperator]], contraction: Contraction
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · A[op]) x[:, :, in]` over all terms, in the Fourier domain.

    Half precision is computed in float32. Frequencies count where a function is above the dtype's epsilon, 1.2e-7 in
    float32 and 2.2e-16 in float64, of its largest value.

    Raises:
        ScaleGroupError: for dtypes and devices without Fourier transforms.
    """
    dtype = at_least_float32(weight.dtype)  # a Fourier transform has no half precision
    if dtype not in (torch.float32, torch.float64) or weight.device.type not in ("cpu", "cuda", "meta"):
        hint = "methods 'dense' and 'separable' work wherever torch's convolutions and matrix products do"
        received = f"{weight.dtype} on {weight.device.type}"
        raise ScaleGroupError("a floating-point dtype on cpu or cuda for method 'spectral'", received, hint)
    axes = [axis for own in operators for axis in own]
    eps = torch.finfo(dtype).eps
    tables = [transfer_of(axis, eps).to(dtype) for axis in axes]
    geometry = [n for own in operators for n in (*(n for axis in own for n in described(axis)), own[0].transposed)]
    numbers = [int(n) for n in geometry]
    ys: list[Tensor] = torch.ops.scalegroup.spectral(list(x), weight, tables, numbers, *packed(contraction))
    return ys


def cost(
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int = 4,
) -> Cost:
    """What one sample of the batch costs, forward: transforms, responses, matrices of the frequencies, and the mix.

    A transform of n points counts `2.5 n log2 n` multiply-adds, a product of complex numbers four.

    Args:
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number. Default 4; what has less is computed with four.
    """
    out_channels, in_channels = weight_shape[:2]
    order = backwards(contraction.products)
    pairs, zs = len(order.pairs), len(order.functions[0])
    eps = torch.finfo(torch.float64 if itemsize == 8 else torch.float32).eps
    total = numbers = 0
    transforms: dict[tuple[object, ...], tuple[int, int]] = {}  # channels and points of each
    for term in contraction.terms:
        own = operators[term.operator]
        tops = [transfer_of(axis, eps).shape[1] - 1 for axis in own]
        axes = three_axes([n for axis in own for n in described(axis)], tops)
        along_x, along_y, along_z = (len(axis.box) for axis in axes)
        fine, coarse = (prod(axis.period for axis in axes), prod(axis.points for axis in axes))
        transposed = own[0].transposed
        transforms["from", term.source, coarse if transposed else fine, *tops] = (
            in_channels,
            coarse if transposed else fine,
        )
        transforms["to", term.target, term.operator] = out_channels, fine if transposed else coarse
        fine_channels, coarse_channels = (out_channels, in_channels) if transposed else (in_channels, out_channels)
        mixed = along_x * axes[1].mixed * axes[2].mixed
        responses = fine_channels * along_x * along_y * (zs * along_z + pairs * axes[2].mixed)
        matrices = pairs * in_channels * out_channels * along_x
        total += 4 * (responses + pairs * in_channels * out_channels * mixed) + 2 * len(order.prefix) * matrices
        numbers += 2 * (matrices + 2 * fine_channels * along_x * along_y * along_z + 2 * coarse_channels * mixed)
    for channels, points in transforms.values():
        total += channels * round(2.5 * points * log2(points))
        numbers += channels * points
    return Cost(total, max(itemsize, 4) * numbers, len(contraction.terms))
