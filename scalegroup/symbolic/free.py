"""Free-form kernels as a basis: one function for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.checks import check_dim, is_integer


@final
@dataclass(frozen=True)
class FreeBasis(Basis):
    """The kernels of an ordinary convolution: a number for each sample.

    `h_f(u) = 1 for |u - (f - (kernel_size - 1) / 2)| < 1/2`, else 0: boxes as wide as the distance of the samples.
    They are no functions of a continuous position that could be sampled at another scale, and therefore of use only
    where every scale has a grid of its own (`sampling="haar"`).

    Args:
        kernel_size: samples along each axis, odd. Default 3.
        dim: number of axes. Default 3.

    Raises:
        ScaleGroupError: for an even or non-positive size, or a `dim` other than 1, 2 or 3.

    Example:
        >>> basis = FreeBasis(kernel_size=3, dim=2)
        >>> len(basis), basis.functions([-1.0, 0.0, 1.0]).astype(int).tolist()
        (9, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    """

    kernel_size: int = 3
    dim: int = 3

    def __post_init__(self) -> None:
        size = self.kernel_size
        if not is_integer(size, 1) or size % 2 == 0:
            hint = "an odd kernel has a sample in its middle, as centred grids need"
            raise ScaleGroupError("kernel_size, an odd integer >= 1", repr(size), hint)
        check_dim(self.dim)

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        return tuple(product(range(self.kernel_size), repeat=self.dim))

    def functions(self, u: npt.ArrayLike) -> Array:
        return np.asarray(np.abs(np.asarray(u) - self._centres(np.ndim(u))) < 0.5, dtype=np.float64)

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        frequencies = np.asarray(w, dtype=np.float64)
        box = np.sinc(frequencies / (2 * np.pi))
        return np.asarray(box * np.exp(1j * frequencies * self._centres(frequencies.ndim)))

    def taps(self, sigma: float, phase: float) -> tuple[Array, int]:
        """One tap for each function, whatever the width: with nothing between them, a phase is that of voxel 0."""
        return np.eye(self.kernel_size), -(self.kernel_size // 2)

    def _centres(self, ndim: int) -> Array:
        centres = np.arange(self.kernel_size, dtype=np.float64) - (self.kernel_size - 1) / 2
        return centres.reshape(-1, *[1] * ndim)
