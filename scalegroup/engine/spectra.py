"""From the spectrum of a fine grid to that of a coarse one and back, for one scale.

A spectrum has the shape `(X, channels, Y, Z)`: along X half of the frequencies, since samples are real, and that axis
first, so that the mix of the channels is one matrix product for each of its frequencies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from scalegroup.engine.frequencies import AxisFrequencies
from scalegroup.engine.layout import Layout, layout

# The responses of one slab, and the spectra of one block of channels, unless one frequency or channel has more.
# Measured flat to 2^21 on a 2-core CPU; larger tensors leave the cache, and are mapped anew each time.
_SLAB_BYTES = 1 << 20
_SPACE = (1, 2, 3)  # X, Y, Z of samples (C, X, Y, Z)
_DIMS = (0, 2, 3)  # X, Y, Z of a spectrum


def backwards(products: Sequence[Sequence[int]]) -> Layout:
    """Z and Y before the mix, X after it: the layout of the products read from behind."""
    return layout(tuple(tuple(reversed(product)) for product in products))


class SpectralOperator:
    """The operators of one scale along all axes, between spectra of the fine and the coarse grid.

    Those of the fine grid hold the box of mixed frequencies, those of the coarse grid the same, or, where these are
    more than it can tell apart, all of its own, with those that are one on it added up ("folded").

    Args:
        axes: the frequencies along X, Y and Z.
        tables: the transfer functions along each axis, complex, `(F1, K + 1)`.
        order: `backwards` of the products.
    """

    def __init__(self, axes: Sequence[AxisFrequencies], tables: Sequence[Tensor], order: Layout) -> None:
        along_z, along_y, along_x = order.functions
        self.axes = axes
        self.pairs = [(along_y[y], along_z[z]) for z, y in order.pairs]
        self.x = torch.stack([tables[0][f] for f in along_x])
        self.y, self.z = (
            torch.cat([table, table[:, 1 : len(axis.box) - axis.top].flip(1).conj()], dim=1)
            for axis, table in zip(axes[1:], tables[1:], strict=True)
        )
        self.device = self.x.device
        self.folds = [axis.in_spectrum(axis.points, self.device) if axis.folds else None for axis in axes]
        alone = [k == 0 or 2 * k == axes[0].period for k in axes[0].box]  # the others stand for their negatives too
        self.counts = torch.tensor([1.0 if k else 2.0 for k in alone], dtype=self.x.dtype, device=self.device)

    # Between samples and spectra

    def kind(self, fine: bool) -> tuple[object, ...]:
        """What the spectrum depends on, besides the samples."""
        if fine:
            return fine, *((axis.period, axis.mode, axis.top) for axis in self.axes)
        return fine, *((axis.points, axis.step, axis.top, axis.folds) for axis in self.axes)

    def spectrum(self, x: Tensor, fine: bool) -> Tensor:
        """The mixed frequencies of samples `(C, X, Y, Z)` on the fine or the coarse grid."""
        space = [axis.mixed if not fine else len(axis.box) for axis in self.axes]
        spectrum = self.x.new_empty(space[0], len(x), *space[1:])
        nx, ny, nz = self._sizes(fine)
        for block in self._blocks(len(x), fine):
            part = x[block]
            for dim, axis, places in self._extended(fine):
                if places is not None:
                    part = part.index_select(dim, places) if fine else _put(part, dim, places, axis.points)
            whole = torch.fft.rfftn(part, s=[ny, nz, nx], dim=(2, 3, 1)).movedim(1, 0)
            for dim, box, _ in self._boxes(fine):
                whole = whole.index_select(dim, box)
            spectrum[:, block] = whole
        return spectrum

    def add_samples(self, spectrum: Tensor, fine: bool, into: Tensor) -> None:
        """Add the samples of a spectrum, zero outside of what is mixed, to `into`, of shape `(C, X, Y, Z)`."""
        nx, ny, nz = self._sizes(fine)
        for block in self._blocks(len(into), fine):
            whole = spectrum[:, block]
            for dim, box, size in self._boxes(fine):
                whole = _put(whole, dim, box, size)
            part = torch.fft.irfftn(whole, s=[ny, nz, nx], dim=(2, 3, 0), norm="forward").movedim(0, 1)
            for dim, axis, places in self._extended(fine):
                if places is None:
                    part = part.narrow(dim, 0, axis.fine if fine else axis.coarse)
                else:
                    part = _put(part, dim, places, axis.fine) if fine else part.index_select(dim, places)
            into[block] += part

    def _blocks(self, channels: int, fine: bool) -> Iterator[slice]:
        """Channels whose transforms stay in the cache, where one does."""
        count = max(1, _SLAB_BYTES // (prod(self._sizes(fine)) * self.x.element_size()))
        for first in range(0, channels, count):
            yield slice(first, first + count)

    def _extended(self, fine: bool) -> Iterator[tuple[int, AxisFrequencies, Tensor | None]]:
        """For each axis of samples: which ones fill the period; of the coarse grid, where they stand in it."""
        for dim, axis in zip(_SPACE, self.axes, strict=True):
            yield dim, axis, axis.extension(self.device) if fine else axis.samples(self.device)

    def _sizes(self, fine: bool) -> list[int]:
        return [axis.period if fine else axis.points for axis in self.axes]

    def _boxes(self, fine: bool) -> Iterator[tuple[int, Tensor, int]]:
        """For each axis of a spectrum that is a part of the whole one: where it stands there, and the size of that."""
        for dim, axis, size in zip(_DIMS, self.axes, self._sizes(fine), strict=True):
            box = None if axis.folds and not fine else axis.in_spectrum(size, self.device)
            if box is not None:
                yield dim, box, size // 2 + 1 if axis.half else size

    # Between spectra

    def kernels(self, mix: Tensor) -> Tensor:
        """The matrix `(X, O, pairs * C)` of each frequency along X, for the mix of one tap."""
        kernels: Tensor = torch.tensordot(self.x.t(), mix.to(self.x.dtype), dims=1)
        return kernels

    def kernels_adjoint(self, grad: Tensor) -> Tensor:
        """The mix `(X functions, O, pairs * C)` that a gradient by `kernels` comes to, over all frequencies."""
        mix: Tensor = torch.tensordot((self.x * self.counts).conj(), grad, dims=1)
        return mix.real

    def to_coarse(self, fine: Tensor, kernels: Tensor) -> Tensor:
        """The responses of the channels of the fine grid, mixed."""
        coarse = fine.new_empty(len(kernels), kernels.shape[1], *self._area)
        for slab in self._slabs(fine, kernels):
            torch.bmm(kernels[slab], self._responses(fine[slab]).flatten(2), out=coarse[slab].flatten(2))
        return coarse

    def to_fine(self, coarse: Tensor, kernels: Tensor) -> Tensor:
        """The adjoint of `to_coarse`."""
        channels = kernels.shape[2] // len(self.pairs)
        fine = coarse.new_empty(len(kernels), channels, *(len(axis.box) for axis in self.axes[1:]))
        for slab in self._slabs(coarse, kernels):
            flow = torch.bmm(kernels[slab].mH, coarse[slab].flatten(2))
            self._responses_adjoint(flow.view(len(flow), len(self.pairs), channels, *self._area), fine[slab])
        return fine

    def correlation(self, fine: Tensor, coarse: Tensor, like: Tensor) -> Tensor:
        """The gradient of `<coarse, to_coarse(fine, kernels)>` by the kernels, which are as large as `like`."""
        grad = torch.empty_like(like)
        for slab in self._slabs(fine, like):
            torch.bmm(coarse[slab].flatten(2), self._responses(fine[slab]).flatten(2).mH, out=grad[slab])
        return grad

    @property
    def _area(self) -> tuple[int, int]:
        return self.axes[1].mixed, self.axes[2].mixed

    def _slabs(self, spectrum: Tensor, kernels: Tensor) -> Iterator[slice]:
        per_slice = kernels.shape[2] * prod(self._area) * spectrum.element_size()
        thickness = max(1, _SLAB_BYTES // per_slice)
        for first in range(0, len(spectrum), thickness):
            yield slice(first, first + thickness)

    def _responses(self, fine: Tensor) -> Tensor:
        """`(X, C, Y, Z)` to `(X, pairs * C, Y', Z')`."""
        along_z = {z: _folded(fine * self.z[z], 3, self.folds[2], self.axes[2].points) for z in self._zs}
        shape = (len(fine), len(self.pairs), *fine.shape[1:3], self.axes[2].mixed)
        responses = fine.new_empty(shape)
        for pair, (y, z) in enumerate(self.pairs):
            torch.mul(along_z[z], self.y[y][:, None], out=responses[:, pair])
        return _folded(responses, 3, self.folds[1], self.axes[1].points).flatten(1, 2)

    def _responses_adjoint(self, responses: Tensor, fine: Tensor) -> None:
        """`(X, pairs, C, Y', Z')` to `fine`, of shape `(X, C, Y, Z)`."""
        responses = _unfolded(responses, 3, self.folds[1])
        for i, z in enumerate(self._zs):
            (pair, y), *others = [(pair, y) for pair, (y, other) in enumerate(self.pairs) if other == z]
            along_z = responses[:, pair] * self.y[y].conj()[:, None]
            for pair, y in others:
                along_z.addcmul_(responses[:, pair], self.y[y].conj()[:, None])
            along_z = _unfolded(along_z, 3, self.folds[2])
            if i == 0:
                torch.mul(along_z, self.z[z].conj(), out=fine)
            else:
                fine.addcmul_(along_z, self.z[z].conj())

    @property
    def _zs(self) -> list[int]:
        return sorted({z for _, z in self.pairs})


def _put(x: Tensor, dim: int, places: Tensor, size: int) -> Tensor:
    """The adjoint of `index_select`: what stands at each place, added up."""
    shape = list(x.shape)
    shape[dim] = size
    return x.new_zeros(shape).index_add_(dim, places, x)


def _folded(x: Tensor, dim: int, places: Tensor | None, size: int) -> Tensor:
    return x if places is None else _put(x, dim, places, size)


def _unfolded(x: Tensor, dim: int, places: Tensor | None) -> Tensor:
    return x if places is None else x.index_select(dim, places)


class Spectra:
    """The spectra of the scales of one sample, kept from one group of terms to the next.

    Args:
        scales: samples `(C, X, Y, Z)` of each scale.
    """

    def __init__(self, scales: Sequence[Tensor]) -> None:
        self.scales = scales
        self.kept: dict[tuple[object, ...], Tensor] = {}
        self.used: dict[tuple[object, ...], Tensor] = {}

    def of(self, scale: int, operator: SpectralOperator, fine: bool) -> Tensor:
        """What an operator mixes of a scale."""
        key = scale, operator.kind(fine)
        if key not in self.used:
            self.used[key] = self.kept[key] if key in self.kept else operator.spectrum(self.scales[scale], fine)
        return self.used[key]

    def next_group(self) -> None:
        """Forget the spectra that the last group did not use."""
        self.kept, self.used = self.used, {}
