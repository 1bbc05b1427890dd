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
the scales that one output reads and of that output, each as large as its scale, and the responses of `_SLAB_BYTES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import log2, prod

import torch
from torch import Tensor

from scalegroup.engine.autocast import without_autocast
from scalegroup.engine.contraction import Contraction, Term
from scalegroup.engine.cost import Cost
from scalegroup.engine.frequencies import FIELDS, AxisFrequencies, described, transfer_of
from scalegroup.engine.operators import AxisOperator
from scalegroup.errors import ScaleGroupError

_SLAB_BYTES = 1 << 22  # the responses of one slab, unless one X frequency has more
_SPACE = (1, 2, 3)  # X, Y, Z of one sample (C, X, Y, Z)
_PRECISE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}  # a Fourier transform has no half precision


@dataclass(frozen=True)
class _Layout:
    """The functions along Y and Z that occur together, and the place of each product among them."""

    pairs: tuple[tuple[int, int], ...]
    slots: tuple[tuple[int, int], ...]  # per product: the function along X and the index of its pair

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, products: tuple[tuple[int, ...], ...]) -> _Layout:
        full = [(*p, 0, 0)[:3] for p in products]
        pairs = tuple(sorted({(y, z) for _, y, z in full}))
        return cls(pairs, tuple((x, pairs.index((y, z))) for x, y, z in full))

    @property
    def functions(self) -> int:
        """How many functions there are along X."""
        return 1 + max(x for x, _ in self.slots)

    def mixing(self, weight: Tensor) -> Tensor:
        """Weights `(O, C, T, F)` as `(T, X functions, O, pairs * C)`."""
        mix = weight.new_zeros(weight.shape[2], self.functions, weight.shape[0], len(self.pairs), weight.shape[1])
        for f, (x, pair) in enumerate(self.slots):
            mix[:, x, :, pair] = weight[..., f].permute(2, 0, 1)
        return mix.flatten(3)

    def unmixing(self, mix: Tensor) -> Tensor:
        """The adjoint of `mixing`."""
        mix = mix.unflatten(3, (len(self.pairs), -1))
        return torch.stack([mix[:, x, :, pair] for x, pair in self.slots], dim=-1).permute(1, 2, 0, 3)


class _Operator:
    """The operators of one scale along all axes, between spectra `(X, channels, Y, Z)` of the fine and the coarse grid.

    Those of the fine grid hold the box of mixed frequencies, those of the coarse grid the folded ones.
    """

    def __init__(self, axes: Sequence[AxisFrequencies], tables: Sequence[Tensor], layout: _Layout) -> None:
        self.axes, self.layout = axes, layout
        self.x = tables[0][: layout.functions]
        self.y, self.z = (
            torch.cat([table, table[:, 1 : len(axis.box) - axis.top].flip(1).conj()], dim=1)
            for axis, table in zip(axes[1:], tables[1:], strict=True)
        )
        self.device = self.x.device
        self.folds = [axis.in_spectrum(axis.points, self.device) if axis.folds else None for axis in axes]
        alone = [k == 0 or 2 * k == axes[0].period for k in axes[0].box]  # the others stand for their negatives too
        self.doubled = torch.tensor([1.0 if k else 2.0 for k in alone], dtype=self.x.dtype, device=self.device)

    # Between samples and spectra

    def source(self, fine: bool) -> tuple[object, ...]:
        """What the whole spectrum of a volume depends on."""
        if fine:
            return (True, *((axis.period, axis.mode) for axis in self.axes))
        return (False, *((axis.points, axis.step) for axis in self.axes))

    def whole_spectrum(self, x: Tensor, fine: bool) -> Tensor:
        """The spectrum of samples `(C, X, Y, Z)` on the fine or the coarse grid."""
        for axis, geometry in zip(_SPACE, self.axes, strict=True):
            if fine:
                places = geometry.extension(self.device)
                x = x if places is None else x.index_select(axis, places)
            elif (places := geometry.samples(self.device)) is not None:
                x = _put(x, axis, places, geometry.points)
        sizes = self._sizes(fine)
        return torch.fft.rfftn(x, s=[sizes[1], sizes[2], sizes[0]], dim=(2, 3, 1)).movedim(1, 0)

    def cropped(self, spectrum: Tensor, fine: bool) -> Tensor:
        """The part of a whole spectrum that is mixed."""
        for dim, places, _ in self._places(fine):
            spectrum = spectrum.index_select(dim, places)
        return spectrum.contiguous()

    def samples(self, spectrum: Tensor, fine: bool) -> Tensor:
        """The samples `(C, X, Y, Z)` that a spectrum, zero outside of what is mixed, stands for."""
        for dim, places, size in self._places(fine):
            spectrum = _put(spectrum, dim, places, size)
        sizes = self._sizes(fine)
        whole = torch.fft.irfftn(spectrum, s=[sizes[1], sizes[2], sizes[0]], dim=(2, 3, 0), norm="forward")
        x: Tensor = whole.movedim(0, 1)
        for axis, geometry in zip(_SPACE, self.axes, strict=True):
            if fine:
                places = geometry.extension(self.device)
                x = x.narrow(axis, 0, geometry.fine) if places is None else _put(x, axis, places, geometry.fine)
            else:
                places = geometry.samples(self.device)
                x = x.narrow(axis, 0, geometry.coarse) if places is None else x.index_select(axis, places)
        return x

    def _sizes(self, fine: bool) -> list[int]:
        return [axis.period if fine else axis.points for axis in self.axes]

    def _places(self, fine: bool) -> Iterator[tuple[int, Tensor, int]]:
        """For each axis of a spectrum that is a part of the whole one: where it stands there, and the size of that."""
        for dim, axis, size in zip((0, 2, 3), self.axes, self._sizes(fine), strict=True):
            places = None if axis.folds and not fine else axis.in_spectrum(size, self.device)
            if places is not None:
                yield dim, places, size // 2 + 1 if axis.half else size

    # Between spectra

    def kernels(self, mix: Tensor) -> Tensor:
        """The matrix `(X, O, pairs * C)` of each frequency along X, for the mix of one tap."""
        return torch.tensordot(self.x.t(), mix.to(self.x.dtype), dims=1)

    def kernels_adjoint(self, grad: Tensor) -> Tensor:
        """The mix `(X functions, O, pairs * C)` that a gradient by `kernels` comes to, over all frequencies."""
        return torch.tensordot((self.x * self.doubled).conj(), grad, dims=1).real

    def to_coarse(self, fine: Tensor, kernels: Tensor) -> Tensor:
        """The fine spectrum's responses, mixed."""
        parts = [kernels[slab] @ self._responses(fine[slab]).flatten(2) for slab in self._slabs(fine)]
        return torch.cat(parts).unflatten(2, (self.axes[1].mixed, self.axes[2].mixed))

    def to_fine(self, coarse: Tensor, kernels: Tensor) -> Tensor:
        """The adjoint of `to_coarse`."""
        parts = []
        for slab in self._slabs(coarse, kernels.shape[2] // len(self.layout.pairs)):
            flow = kernels[slab].mH @ coarse[slab].flatten(2)
            parts.append(self._responses_adjoint(flow.unflatten(2, coarse.shape[2:])))
        return torch.cat(parts)

    def correlation(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """The gradient `(X, O, pairs * C)` of `<coarse, to_coarse(fine)>` by the kernels."""
        slabs = self._slabs(fine)
        return torch.cat([coarse[slab].flatten(2) @ self._responses(fine[slab]).flatten(2).mH for slab in slabs])

    def _slabs(self, spectrum: Tensor, channels: int | None = None) -> Iterator[slice]:
        channels = spectrum.shape[1] if channels is None else channels
        area = self.axes[1].mixed * self.axes[2].mixed
        per_slice = len(self.layout.pairs) * channels * area * spectrum.element_size()
        thickness = max(1, _SLAB_BYTES // per_slice)
        for first in range(0, spectrum.shape[0], thickness):
            yield slice(first, first + thickness)

    def _responses(self, fine: Tensor) -> Tensor:
        """`(X, C, Y, Z)` to `(X, pairs * C, Y', Z')`."""
        along_z = {z: _folded(fine * self.z[z], 3, self.folds[2], self.axes[2].points) for z in self._zs}
        shape = (fine.shape[0], len(self.layout.pairs), *fine.shape[1:3], self.axes[2].mixed)
        responses = fine.new_empty(shape)
        for pair, (y, z) in enumerate(self.layout.pairs):
            torch.mul(along_z[z], self.y[y][:, None], out=responses[:, pair])
        return _folded(responses, 3, self.folds[1], self.axes[1].points).flatten(1, 2)

    def _responses_adjoint(self, responses: Tensor) -> Tensor:
        responses = _unfolded(responses.unflatten(1, (len(self.layout.pairs), -1)), 3, self.folds[1])
        total = None
        for z in self._zs:
            pairs = [(pair, y) for pair, (y, other) in enumerate(self.layout.pairs) if other == z]
            along_z = sum(responses[:, pair] * self.y[y].conj()[:, None] for pair, y in pairs)
            part = _unfolded(along_z, 3, self.folds[2]) * self.z[z].conj()
            total = part if total is None else total.add_(part)
        return total

    @property
    def _zs(self) -> list[int]:
        return sorted({z for _, z in self.layout.pairs})


def _put(x: Tensor, axis: int, places: Tensor, size: int) -> Tensor:
    """The adjoint of `index_select`: what stands at each place, added up."""
    shape = list(x.shape)
    shape[axis] = size
    return x.new_zeros(shape).index_add_(axis, places, x)


def _folded(x: Tensor, axis: int, places: Tensor | None, size: int) -> Tensor:
    return x if places is None else _put(x, axis, places, size)


def _unfolded(x: Tensor, axis: int, places: Tensor | None) -> Tensor:
    return x if places is None else x.index_select(axis, places)


@dataclass(frozen=True)
class _Plan:
    """The arguments of the operators below, unpacked."""

    layout: _Layout
    operators: list[_Operator]
    groups: list[list[Term]]  # with the same target and operator
    transposed: list[bool]

    @classmethod
    def of(
        cls, tables: Sequence[Tensor], geometry: Sequence[int], products: Sequence[int], terms: Sequence[int], dim: int
    ) -> _Plan:
        layout = _Layout.of(tuple(tuple(products[i : i + dim]) for i in range(0, len(products), dim)))
        operators, transposed = [], []
        step = FIELDS * dim + 1
        for n, first in enumerate(range(0, len(geometry), step)):
            own = [torch.view_as_complex(table) for table in tables[n * dim : (n + 1) * dim]]
            own += [own[0].new_ones(1, 1)] * (3 - dim)
            numbers = [*geometry[first : first + step - 1], *_POINT * (3 - dim)]
            axes = [
                AxisFrequencies(*numbers[FIELDS * i : FIELDS * (i + 1)], top=table.shape[1] - 1, half=i == 0)
                for i, table in enumerate(own)
            ]
            operators.append(_Operator(axes, own, layout))
            transposed.append(bool(geometry[first + step - 1]))
        unpacked = sorted((Term(*terms[i : i + 4]) for i in range(0, len(terms), 4)), key=_target_and_operator)
        groups = [list(group) for _, group in groupby(unpacked, key=_target_and_operator)]
        return cls(layout, operators, groups, transposed)


_POINT = [1, 1, 1, 1, 3]  # an axis of one sample, as `described`


def _target_and_operator(term: Term) -> tuple[int, int]:
    return term.target, term.operator


class _Spectra:
    """The whole spectra of the scales of one sample, kept from one group of terms to the next."""

    def __init__(self, scales: Sequence[Tensor]) -> None:
        self.scales = scales
        self.kept: dict[tuple[object, ...], Tensor] = {}
        self.used: dict[tuple[object, ...], Tensor] = {}

    def of(self, scale: int, operator: _Operator, fine: bool) -> Tensor:
        key = scale, operator.source(fine)
        spectrum = self.kept.get(key, self.used.get(key))
        if spectrum is None:
            spectrum = operator.whole_spectrum(self.scales[scale], fine)
        self.used[key] = spectrum
        return operator.cropped(spectrum, fine)

    def next_group(self) -> None:
        self.kept, self.used = self.used, {}


def _scales(stacks: Sequence[Tensor], sample: int) -> list[Tensor]:
    """A view `(C, X, Y, Z)` of each scale of one sample of the stacks `(B, C, S, *space)`."""
    return [
        scale.reshape(*scale.shape, *[1] * (4 - scale.ndim)) for stack in stacks for scale in stack[sample].unbind(1)
    ]


def _mixes(weight: Tensor, plan: _Plan) -> dict[bool, Tensor]:
    """The mixing weights from the fine to the coarse grid, for straight and for transposed operators."""
    real = plan.operators[0].doubled.real.dtype
    return {
        turned: plan.layout.mixing((weight.transpose(0, 1) if turned else weight).to(real))
        for turned in sorted(set(plan.transposed))
    }


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
    plan = _Plan.of(tables, geometry, products, terms, xs[0].ndim - 3)
    ys = [y.zero_() for y in _empty_outputs(xs, weight, geometry, terms, outputs)]
    with without_autocast(weight.device):
        mixes = _mixes(weight, plan)
        for sample in range(xs[0].shape[0]):
            real = plan.operators[0].doubled.real.dtype
            sources, targets = _Spectra([x.to(real) for x in _scales(xs, sample)]), _scales(ys, sample)
            for group in plan.groups:
                operator, turned = plan.operators[group[0].operator], plan.transposed[group[0].operator]
                apply = operator.to_fine if turned else operator.to_coarse
                total = None
                for term in group:
                    spectrum = sources.of(term.source, operator, fine=not turned)
                    part = apply(spectrum, operator.kernels(mixes[turned][term.tap]))
                    total = part if total is None else total.add_(part)
                targets[group[0].target] += operator.samples(total, fine=turned)
                sources.next_group()
    return ys


@torch.library.custom_op("scalegroup::spectral_backward", mutates_args=())
def _spectral_backward(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    tables: list[Tensor],
    geometry: list[int],
    products: list[int],
    terms: list[int],
) -> tuple[list[Tensor], Tensor]:
    plan = _Plan.of(tables, geometry, products, terms, xs[0].ndim - 3)
    grad_xs = [torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in xs]
    with without_autocast(weight.device):
        mixes = _mixes(weight, plan)
        slopes = {turned: torch.zeros_like(mix) for turned, mix in mixes.items()}
        for sample in range(xs[0].shape[0]):
            real = plan.operators[0].doubled.real.dtype
            sources, arriving = (_Spectra([x.to(real) for x in _scales(stack, sample)]) for stack in (xs, grads))
            leaving = _scales(grad_xs, sample)
            for group in plan.groups:
                operator, turned = plan.operators[group[0].operator], plan.transposed[group[0].operator]
                apply = operator.to_coarse if turned else operator.to_fine
                slope = arriving.of(group[0].target, operator, fine=turned)
                for term in group:
                    spectrum = sources.of(term.source, operator, fine=not turned)
                    back = apply(slope, operator.kernels(mixes[turned][term.tap]))
                    leaving[term.source] += operator.samples(back, fine=not turned)
                    pair = (slope, spectrum) if turned else (spectrum, slope)
                    slopes[turned][term.tap] += operator.kernels_adjoint(operator.correlation(*pair))
                sources.next_group()
                arriving.next_group()
    grad_weight = torch.zeros_like(weight)
    for turned, mix in slopes.items():
        slope = plan.layout.unmixing(mix)
        grad_weight += slope.transpose(0, 1) if turned else slope
    return grad_xs, grad_weight


def _empty_outputs(
    xs: Sequence[Tensor], weight: Tensor, geometry: Sequence[int], terms: Sequence[int], outputs: Sequence[int]
) -> list[Tensor]:
    """The output stacks: as large as what the operators of their first scales write."""
    dim = xs[0].ndim - 3
    step = FIELDS * dim + 1
    operator = {terms[i]: terms[i + 2] for i in range(0, len(terms), 4)}
    ys = []
    for stack, count in enumerate(outputs):
        own = geometry[step * operator[sum(outputs[:stack])] :][:step]
        space = own[0 : step - 1 : FIELDS] if own[-1] else own[1 : step - 1 : FIELDS]
        ys.append(xs[0].new_empty(xs[0].shape[0], weight.shape[0], count, *space))
    return ys


@_spectral.register_fake
def _(
    xs: list[Tensor],
    weight: Tensor,
    tables: list[Tensor],
    geometry: list[int],
    products: list[int],
    terms: list[int],
    outputs: list[int],
) -> list[Tensor]:
    return _empty_outputs(xs, weight, geometry, terms, outputs)


@_spectral_backward.register_fake
def _(
    grads: list[Tensor],
    xs: list[Tensor],
    weight: Tensor,
    tables: list[Tensor],
    geometry: list[int],
    products: list[int],
    terms: list[int],
) -> tuple[list[Tensor], Tensor]:
    return [x.new_empty(x.shape) for x in xs], torch.empty_like(weight)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    xs, weight, tables, ctx.geometry, ctx.products, ctx.terms, _ = inputs
    ctx.stacks = len(xs)
    ctx.save_for_backward(*xs, weight, *tables)


def _backward(ctx, grads):  # type: ignore[no-untyped-def]
    xs, (weight, *tables) = ctx.saved_tensors[: ctx.stacks], ctx.saved_tensors[ctx.stacks :]
    given = list(xs), weight, tables, ctx.geometry, ctx.products, ctx.terms
    grad_xs, grad_weight = torch.ops.scalegroup.spectral_backward(list(grads), *given)
    return grad_xs, grad_weight, [None] * len(tables), None, None, None, None


_spectral.register_autograd(_backward, setup_context=_setup_context)


def contract(
    x: Sequence[Tensor], weight: Tensor, operators: Sequence[Sequence[AxisOperator]], contraction: Contraction
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · A[op]) x[:, :, in]` over all terms, in the Fourier domain.

    Half precision is computed in float32. Frequencies count where a function is above the dtype's epsilon, 1.2e-7 in
    float32 and 2.2e-16 in float64, of its largest value.

    Raises:
        ScaleGroupError: for dtypes and devices without Fourier transforms.
    """
    dtype = _PRECISE.get(weight.dtype, weight.dtype)
    if dtype not in (torch.float32, torch.float64) or weight.device.type not in ("cpu", "cuda", "meta"):
        hint = "methods 'dense' and 'separable' work wherever torch's convolutions and matrix products do"
        received = f"{weight.dtype} on {weight.device.type}"
        raise ScaleGroupError("a floating-point dtype on cpu or cuda for method 'spectral'", received, hint)
    axes = [axis for own in operators for axis in own]
    eps = torch.finfo(dtype).eps
    tables = [transfer_of(axis, eps).to(dtype) for axis in axes]
    geometry = [n for own in operators for n in (*(n for axis in own for n in described(axis)), own[0].transposed)]
    products = [i for product in contraction.products for i in product]
    terms = [i for term in contraction.terms for i in term]
    outputs = list(contraction.outputs)
    arguments = list(x), weight, tables, [int(n) for n in geometry], products, terms, outputs
    ys: list[Tensor] = torch.ops.scalegroup.spectral(*arguments)
    return ys


def cost(
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int = 4,
) -> Cost:
    """What one sample of the batch costs, forward.

    Args:
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number, 4 (default) or 8.
    """
    out_channels, in_channels = weight_shape[:2]
    layout = _Layout.of(contraction.products)
    pairs, zs = len(layout.pairs), len({z for _, z in layout.pairs})
    eps = torch.finfo(torch.float32 if itemsize == 4 else torch.float64).eps
    total = moved = 0
    transformed = set()
    for term in contraction.terms:
        axes = _frequencies(operators[term.operator], eps)
        transposed = operators[term.operator][0].transposed
        fine_channels, coarse_channels = (out_channels, in_channels) if transposed else (in_channels, out_channels)
        fine, coarse = prod(axis.period for axis in axes), prod(axis.points for axis in axes)
        whence, whither = (coarse, fine) if transposed else (fine, coarse)
        transforms = {("from", term.source, whence, in_channels), ("to", term.target, term.operator, whither)}
        for transform in transforms - transformed:
            size, channels = (whence, in_channels) if transform[0] == "from" else (whither, out_channels)
            total += round(2.5 * channels * size * log2(max(size, 2)))
            moved += 4 * itemsize * channels * size
        transformed |= transforms
        box = prod(len(axis.box) for axis in axes)
        partly = len(axes[0].box) * len(axes[1].box) * axes[2].mixed
        mixed = prod(axis.mixed for axis in axes)
        responses = zs * fine_channels * box + pairs * fine_channels * partly
        total += 4 * (responses + pairs * in_channels * out_channels * mixed)  # of complex numbers
        total += 2 * layout.functions * pairs * in_channels * out_channels * len(axes[0].box)
        moved += 2 * itemsize * (2 * responses + 2 * coarse_channels * mixed + fine_channels * box)
    return Cost(total, moved)


def _frequencies(own: Sequence[AxisOperator], eps: float) -> list[AxisFrequencies]:
    tops = [transfer_of(axis, eps).shape[1] - 1 for axis in own] + [0] * (3 - len(own))
    numbers = [n for axis in own for n in described(axis)] + _POINT * (3 - len(own))
    return [
        AxisFrequencies(*numbers[FIELDS * i : FIELDS * (i + 1)], top=top, half=i == 0) for i, top in enumerate(tops)
    ]
