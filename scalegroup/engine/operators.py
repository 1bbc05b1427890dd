"""One axis of one scale: a banded matrix per one-dimensional function, kept as taps and geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine.opaque import opaque
from scalegroup.engine.response import Response
from scalegroup.kernels import OUTSIDE, fold_index


@opaque
def _folded(start: int, length: int, size: int, padding_mode: str, device: torch.device) -> Tensor:
    """The sample that each position from `start` on reads, or `OUTSIDE`."""
    index = fold_index(np.arange(start, start + length), size, padding_mode)  # type: ignore[arg-type]
    return torch.tensor(index, device=device)


@opaque
def _band(start: int, taps: int, stride: int, n_in: int, n_out: int, padding_mode: str, transposed: bool) -> Tensor:
    """From which column to which the rows of the matrices are not zero."""
    outputs = np.arange(n_out)
    index = fold_index(start + stride * outputs[:, None] + np.arange(taps), n_in, padding_mode)  # type: ignore[arg-type]
    rows, columns, count = np.repeat(outputs, taps), index.ravel(), n_out
    if transposed:
        rows, columns, count = columns, rows, n_in
    inside = index.ravel() != OUTSIDE
    first, end = np.full(count, max(n_in, n_out)), np.zeros(count, dtype=np.int64)
    np.minimum.at(first, rows[inside], columns[inside])
    np.maximum.at(end, rows[inside], columns[inside] + 1)
    return torch.tensor(np.stack([np.minimum(first, end), end]), device="cpu")


@dataclass(frozen=True)
class AxisOperator:
    """The functions of a basis along one axis, from a grid of `n_in` to a grid of `n_out` samples.

    The output sample `o` is the sum over `l` of `taps[:, l] * x[start + stride * o + l]`, samples outside
    the grid being read as `padding_mode` says. The transposed operator is the exact adjoint of this one:
    it maps `n_out` samples to `n_in`.

    Args:
        taps: `(F1, L)`, one row per one-dimensional function.
        start: input index that the first tap of the first output reads (negative: outside).
        stride: input samples between neighbouring outputs.
        n_in: samples on the fine grid.
        n_out: samples on the coarse grid.
        padding_mode: zeros, replicate, reflect or circular.
        transposed: apply the adjoint.
        response: the continuous functions that the taps approximate, if they do.
        factor: a number that multiplies all taps, or the response.

    Shape:
        As a matrix `(F1, n_out, n_in)`, see `matrix`; `(F1, n_in, n_out)` if transposed.

    Example:
        >>> import torch
        >>> AxisOperator(torch.tensor([[1.0, 2.0, 1.0]]), start=-1, stride=2, n_in=5, n_out=3).matrix()
        tensor([[[2., 1., 0., 0., 0.],
                 [0., 1., 2., 1., 0.],
                 [0., 0., 0., 1., 2.]]])
    """

    taps: Tensor
    start: int
    stride: int
    n_in: int
    n_out: int
    padding_mode: str = "zeros"
    transposed: bool = False
    response: Response | None = None
    factor: float = 1.0

    @property
    def weighted_taps(self) -> Tensor:
        """The taps times the factor."""
        return self.taps if self.factor == 1 else self.taps * self.factor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrices."""
        return (self.n_in, self.n_out) if self.transposed else (self.n_out, self.n_in)

    @property
    def width(self) -> int:
        """Samples that an output reads, in the middle of a long axis."""
        reads = -(-self.taps.shape[1] // self.stride) if self.transposed else self.taps.shape[1]
        return min(reads, self.shape[1])

    @property
    def _geometry(self) -> tuple[object, ...]:
        return self.start, self.stride, self.n_in, self.n_out, self.padding_mode, self.transposed, self.factor

    @property
    def _length(self) -> int:
        """How many samples the taps of all outputs read, from the first to the last one."""
        return self.stride * (self.n_out - 1) + self.taps.shape[1]

    def reads(self) -> tuple[Tensor, Tensor]:
        """Which fine samples the padded axis holds, the first one at `start`, and whether it holds one at all."""
        index = _folded(self.start, self._length, self.n_in, self.padding_mode, self.taps.device)
        return index.clamp(min=0), index != OUTSIDE

    @property
    def margins(self) -> tuple[int, int]:
        """How many samples before the first and behind the last one the taps read (negative: are not read)."""
        return -self.start, self._length + self.start - self.n_in

    def matrix(self) -> Tensor:
        """The operator as `(F1, rows, columns)`: `n_out × n_in`, or its transpose."""
        taps = self.weighted_taps
        index, inside = (part.unfold(0, taps.shape[1], self.stride) for part in self.reads())  # (n_out, L)
        values = taps[:, None, :] * inside  # (F1, n_out, L)
        matrix = taps.new_zeros(taps.shape[0], self.n_out, self.n_in)
        matrix = matrix.scatter_add(2, index.expand(values.shape), values)
        return matrix.transpose(1, 2) if self.transposed else matrix

    def equals(self, other: AxisOperator) -> bool:
        """Whether the other operator has the same taps, being one tensor, and the same geometry."""
        return self.taps is other.taps and self._geometry == other._geometry

    def band(self, adjoint: bool = False) -> Tensor:
        """From which column to which each row of `matrix` (or of its transpose) is not zero: `(2, rows)` on the CPU."""
        length, transposed = self.taps.shape[1], self.transposed != adjoint
        return _band(self.start, length, self.stride, self.n_in, self.n_out, self.padding_mode, transposed)

    def pad(self, x: Tensor, axis: int) -> Tensor:
        """The fine axis of `x`, extended to all samples that the taps read."""
        index, inside = self.reads()
        return self._masked(x.index_select(axis, index), inside, axis)

    def unpad(self, x: Tensor, axis: int) -> Tensor:
        """The adjoint of `pad`."""
        index, inside = self.reads()
        folded = list(x.shape)
        folded[axis] = self.n_in
        return x.new_zeros(folded).index_add(axis, index, self._masked(x, inside, axis))

    def _masked(self, x: Tensor, inside: Tensor, axis: int) -> Tensor:
        if self.padding_mode != "zeros":
            return x
        return x * inside.view([-1 if i == axis else 1 for i in range(x.ndim)]).to(x.dtype)
