"""One axis in the Fourier domain: a diagonal for each function, on the frequencies where it is not negligible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine.operators import AxisOperator
from scalegroup.engine.response import ideal_transfer, tap_waves
from scalegroup.kernels import fold_index

_MODES = ("zeros", "replicate", "reflect", "circular")
FIELDS = 5  # numbers that describe an axis, see `described`
_POINT = (1, 1, 1, 1, _MODES.index("circular"))  # those of an axis of one sample


def is_ideal(axis: AxisOperator) -> bool:
    """Whether the axis takes the continuous transfer function, or else that of its taps.

    It does if it knows the function, and if the samples hold it or are periodic. A function that reaches beyond the
    Nyquist frequency would ring, as its spectrum is cut there, from the seam of an axis that is not periodic.
    """
    return axis.response is not None and (axis.padding_mode == "circular" or axis.response.resolved)


def period_of(axis: AxisOperator) -> int:
    """Samples of the fine axis once it is periodic: a multiple of the stride that the FFT likes, or that of the volume.

    A periodic axis stays as it is. Others are extended until no tap of an output reads round the seam.
    """
    if axis.padding_mode == "circular":
        return axis.n_in
    left, right = (max(margin, 0) for margin in axis.margins)
    room = max(left, right) * (1 if axis.padding_mode == "zeros" else 2)
    return _fft_length(max(axis.n_in + room, axis.stride * (axis.n_out - 1) + 1), axis.stride)


def _fft_length(room: int, stride: int) -> int:
    """The smallest multiple of the stride that has room and no prime factor above 7 (apart from the stride's)."""
    count = -(-room // stride)
    while True:
        rest = count
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return stride * count
        count += 1


def transfer_of(axis: AxisOperator, eps: float) -> Tensor:
    """The transfer function of an axis over its period, at the frequencies `2πk / period`, `k = 0 … K`.

    Shape `(F1, K + 1, 2)`, real and imaginary parts in float64. Phases count from fine sample 0 to the first output.
    """
    period = period_of(axis)
    if is_ideal(axis) and axis.response is not None:
        response = axis.response
        position = axis.start + response.centre
        table = ideal_transfer(response.name, response.sigma, position, period, eps, axis.taps.device)
    else:
        waves = tap_waves(axis.start, axis.taps.shape[1], period, axis.taps.device)
        table = torch.tensordot(axis.taps.to(waves.dtype), waves, dims=1)
    return table * (axis.factor / period)


def described(axis: AxisOperator) -> list[int]:
    """The geometry of an axis in plain numbers, which `three_axes` reads."""
    return [axis.n_in, axis.n_out, axis.stride, period_of(axis), _MODES.index(axis.padding_mode)]


def three_axes(numbers: Sequence[int], tops: Sequence[int]) -> list[AxisFrequencies]:
    """The axes X, Y and Z that these numbers describe one after the other; missing ones have one sample.

    Args:
        numbers: as `described`, of all axes.
        tops: the highest frequency of each axis that is not negligible.
    """
    missing = 3 - len(tops)
    every, tops = [*numbers, *_POINT * missing], [*tops, *[0] * missing]
    rows = [every[FIELDS * i : FIELDS * (i + 1)] for i in range(3)]
    return [
        AxisFrequencies(fine, coarse, stride, period, mode, tops[i], half=i == 0)
        for i, (fine, coarse, stride, period, mode) in enumerate(rows)
    ]


@dataclass(frozen=True)
class AxisFrequencies:
    """Which frequencies of an axis are mixed, and where they stand in the spectra of both grids.

    The coarse samples are the first ones, every `step`-th, of a grid of `points` samples over the same period.

    Args:
        fine: samples of the fine grid.
        coarse: samples of the coarse grid.
        stride: fine samples between coarse ones.
        period: fine samples over a period, see `period_of`.
        mode: index of the padding mode.
        top: the highest frequency K whose response is not negligible, in waves over the period.
        half: whether the axis holds frequencies from zero on only, the others being their conjugates.
    """

    fine: int
    coarse: int
    stride: int
    period: int
    mode: int
    top: int
    half: bool

    @property
    def points(self) -> int:
        """Points of the coarse grid over a period; of the fine one where the coarse one has no whole number of them.

        On the half axis also where it cannot hold the frequencies: they would have to be folded over zero.
        """
        points, rest = divmod(self.period, self.stride)
        return self.period if rest or (self.half and self.stride > 1 and 2 * self.top >= points) else points

    @property
    def step(self) -> int:
        """Points from one coarse sample to the next."""
        return self.stride * self.points // self.period

    @property
    def box(self) -> list[int]:
        """The mixed frequencies, in the order of an FFT."""
        below = 0 if self.half else min(self.top, self.period - self.top - 1)  # the Nyquist frequency stands once
        return [*range(self.top + 1), *range(-below, 0)]

    @property
    def folds(self) -> bool:
        """Whether several frequencies of the box are one on the coarse grid."""
        return not self.half and len(self.box) > self.points

    @property
    def mixed(self) -> int:
        """How many frequencies are mixed."""
        return self.points if self.folds else len(self.box)

    def in_spectrum(self, size: int, device: torch.device) -> Tensor | None:
        """Where the box stands in the spectrum of a grid of this size; `None` if it is the whole of it."""
        box = self.box
        if len(box) == (size // 2 + 1 if self.half else size):
            return None
        return torch.tensor([k % size for k in box], device=device)

    def extension(self, device: torch.device) -> Tensor | None:
        """The fine sample that each one over the period repeats; `None` if those that are missing are zero, or none."""
        name = _MODES[self.mode]
        if name == "zeros" or self.period == self.fine:
            return None
        places = np.arange(self.period)
        # behind the volume its right margin, and further on the left one, which stands before sample 0
        split = self.fine + (self.period - self.fine) // 2
        places[split:] -= self.period
        return torch.tensor(fold_index(places, self.fine, name), device=device)  # type: ignore[arg-type]

    def samples(self, device: torch.device) -> Tensor | None:
        """Where the coarse samples stand on their grid over the period; `None` if they are all of it, or the first."""
        if self.step == 1 and self.coarse <= self.points:
            return None
        return torch.arange(self.coarse, device=device) * self.step % self.points
