"""Kernels that are no products, as products of spectra: full arrays are too wide for a convolution in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2, prod

import torch
from torch import Tensor

from scalegroup.engine.autocast import at_least_float32, autocasts, without_autocast
from scalegroup.engine.contraction import Contraction
from scalegroup.engine.dense import stacked
from scalegroup.engine.operators import AxisOperator

MOST = 2**29  # bytes that the spectra of one term may take, in float32
WORTH = 3  # times as many multiply-adds in space cost as much as those of spectra, which wait for memory


class _Frame:
    """The extended grid that all operators on one grid read from, and the lengths of the transforms."""

    def __init__(self, operators: Sequence[Sequence[AxisOperator]]) -> None:
        axes = list(zip(*operators, strict=True))
        self.first = [min(op.start for op in axis) for axis in axes]
        self.lengths = [
            max(op.start + op.stride * (op.n_out - 1) + op.taps.shape[1] for op in axis) - first
            for axis, first in zip(axes, self.first, strict=True)
        ]
        self.sizes = [_smooth(length) for length in self.lengths]

    @property
    def points(self) -> int:
        """How many frequencies a real array has."""
        return prod(self.sizes[:-1]) * (self.sizes[-1] // 2 + 1)

    def spectrum(self, x: Tensor, axes: Sequence[AxisOperator]) -> Tensor:
        """Of `(batch, channels, *space)`, extended by its border: `(frequencies, batch, 2 channels)`."""
        for i, (axis, first, length) in enumerate(zip(axes, self.first, self.lengths, strict=True)):
            x = replace(axis, taps=axis.taps[:, :1], start=first, stride=1, n_out=length).pad(x, i + 2)
        return torch.view_as_real(self._transform(x, 2)).flatten(2)

    def functions(self, functions: Tensor) -> Tensor:
        """Of `(F, *K)`, conjugate, for a correlation: real and imaginary parts `(2, frequencies, F)`."""
        spectrum = self._transform(functions, 1)
        return torch.stack([spectrum.real, -spectrum.imag])

    def product(self, x: Tensor, functions: Tensor, weight: Tensor) -> Tensor:
        """The product of a `spectrum` and of `functions` mixed by `(out, in, F)`; the smaller intermediate is made."""
        if not _functions_first(x.shape[1], weight.shape):
            return x @ self.kernels(functions, weight)
        f_real, f_imaginary = functions[:, :, None, None]
        x_real, x_imaginary = (part.unsqueeze(3) for part in x.unflatten(2, (-1, 2)).unbind(3))
        mix = weight.permute(1, 2, 0).flatten(0, 1)
        real = (x_real * f_real - x_imaginary * f_imaginary).flatten(2) @ mix
        imaginary = (x_real * f_imaginary + x_imaginary * f_real).flatten(2) @ mix
        return torch.stack([real, imaginary], dim=-1).flatten(2)

    def kernels(self, functions: Tensor, weight: Tensor) -> Tensor:
        """The spectra of kernels, as real matrices: `functions` and `(out, in, F)` to `(frequencies, 2 in, 2 out)`.

        The complex number a + ib is the matrix [[a, b], [-b, a]]: products of many small complex matrices are slow.
        """
        real, imaginary = (functions @ weight.permute(2, 1, 0).flatten(1)).unflatten(2, weight.shape[1::-1])
        rows = torch.stack([real, imaginary], dim=-1), torch.stack([-imaginary, real], dim=-1)
        return torch.stack(rows, dim=2).flatten(3, 4).flatten(1, 2)

    def _transform(self, x: Tensor, first: int) -> Tensor:
        """The spectrum of the axes of space, from axis `first` on, as the first axis of the result."""
        axes = tuple(range(first, x.ndim))
        spectrum: Tensor = torch.fft.rfftn(x, self.sizes, axes)
        return spectrum.flatten(first).movedim(first, 0)

    def samples(self, spectrum: Tensor, axes: Sequence[AxisOperator]) -> Tensor:
        """The outputs of an operator: `(frequencies, batch, 2 channels)` to `(batch, channels, *coarse)`."""
        shape = [*self.sizes[:-1], self.sizes[-1] // 2 + 1]
        numbers = torch.view_as_complex(spectrum.unflatten(2, (-1, 2))).movedim(0, 2).unflatten(2, shape)
        y: Tensor = torch.fft.irfftn(numbers, self.sizes, tuple(range(2, 2 + len(axes))))
        for i, (axis, first) in enumerate(zip(axes, self.first, strict=True)):
            start = axis.start - first
            y = y[(slice(None),) * (i + 2) + (slice(start, start + axis.stride * (axis.n_out - 1) + 1, axis.stride),)]
        return y


def contract(
    x: Sequence[Tensor],
    weight: Tensor,
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    functions: Sequence[Tensor],
) -> list[Tensor]:
    """`y[:, :, out] += (W[:, :, t] · Ψ[op]) x[:, :, in]` over all terms, in the Fourier domain.

    Correlation is a product of spectra, and the sum over terms and basis functions commutes with the transform: each
    scale is transformed once, each output back once, and the functions are constants.

    Args:
        x: stacks `(batch, channels, scales, *space)`.
        weight: `(out, in, taps, F)`.
        operators: for each operator its axes, not transposed; of their taps the number counts.
        contraction: what is computed.
        functions: for each operator the functions on its grid, `(F, *K)`.
    """
    device, dtype = x[0].device, at_least_float32(x[0].dtype)
    out_dtype = torch.get_autocast_dtype(device.type) if autocasts(device) else x[0].dtype
    sources = [scale.to(dtype) for stack in x for scale in stack.unbind(2)]
    weight = weight.to(dtype)
    frames = _frames(operators)
    spectra: dict[int, Tensor] = {}
    outputs: dict[tuple[int, int], Tensor] = {}
    with without_autocast(device):
        for op, axes in enumerate(operators):
            terms = [term for term in contraction.terms if term.operator == op]
            if not terms:
                continue
            frame = frames[op]
            basis = frame.functions(functions[op].to(weight))
            for term in terms:
                if term.source not in spectra:
                    spectra[term.source] = frame.spectrum(sources[term.source], axes)
                y = frame.product(spectra[term.source], basis, weight[:, :, term.tap])
                key = term.target, op
                outputs[key] = outputs[key] + y if key in outputs else y
    scales: dict[int, Tensor] = {}
    for (target, op), spectrum in outputs.items():
        y = frames[op].samples(spectrum, operators[op])
        scales[target] = scales[target] + y if target in scales else y
    return [stack.to(out_dtype) for stack in stacked(scales, contraction)]


def pays(
    batch: int, weight_shape: Sequence[int], operators: Sequence[Sequence[AxisOperator]], contraction: Contraction
) -> bool:
    """Whether spectra are expected to be faster than full kernels in space, and small enough.

    Transposed operators stay in space, and so does what is compiled: the compiler makes no code for complex numbers.
    """
    if operators[0][0].transposed or torch.compiler.is_compiling():
        return False
    out_channels, in_channels, _, functions = weight_shape
    pairs = out_channels * in_channels
    if _functions_first(batch, weight_shape):
        numbers, mixing = 2 * batch * in_channels * functions, 2 * batch * functions * pairs
    else:
        numbers, mixing = 4 * pairs, 4 * pairs * (batch + functions)
    frames = _frames(operators)
    space = spectral = 0.0
    for term in contraction.terms:
        axes = operators[term.operator]
        points = frames[term.operator].points
        if 4 * numbers * points > MOST:
            return False
        space += pairs * batch * prod([axis.n_out * axis.taps.shape[1] for axis in axes])
        transforms = 5 * points * log2(2 * points) * batch * (in_channels + out_channels)
        spectral += mixing * points + transforms
    return space > WORTH * spectral


def _functions_first(batch: int, weight_shape: Sequence[int]) -> bool:
    """Whether samples times functions are far fewer numbers than kernels as matrices of two by two.

    A quarter of them: they are made one by one, and the matrices by a product of matrices, which is faster.
    """
    return 2 * batch * weight_shape[-1] < weight_shape[0]


def _frames(operators: Sequence[Sequence[AxisOperator]]) -> list[_Frame]:
    """For each operator the frame that it shares with all others on its grid, so that a scale has one spectrum."""
    grids: dict[tuple[int, ...], list[Sequence[AxisOperator]]] = {}
    for axes in operators:
        grids.setdefault(tuple(axis.n_in for axis in axes), []).append(axes)
    frames = {space: _Frame(group) for space, group in grids.items()}
    return [frames[tuple(axis.n_in for axis in axes)] for axes in operators]


def _smooth(length: int) -> int:
    """The next even number without prime factors above 5, whose transforms are fast.

    Example:
        >>> [_smooth(n) for n in (7, 38, 49)]
        [8, 40, 50]
    """
    n = length + length % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
