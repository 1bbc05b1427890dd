"""Kernels that are no products of one-dimensional functions, such as those in polar coordinates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from math import floor, prod

import numpy as np
import numpy.typing as npt

from scalegroup.symbolic.basis import Array, ComplexArray, zero_mean_columns
from scalegroup.symbolic.rotation import action_by_points

EDGE = 1 + 1e-9  # a support of 3 voxels that is rounded down is one of 3
NODES = {1: 512, 2: 160, 3: 48}  # of the quadrature along each axis, by the number of axes


class JointBasis(ABC):
    """A basis of kernels that are functions of all axes together, each zero beyond a radius.

    `ψ_f(u)` for points `u` in widths; on a grid `ψ_f(m / sigma) / sigma^dim`. Kernels of this kind are full
    arrays: they cost as a dense convolution of their size does. Where products will do, take a `Basis`.

    A joint basis is a value, as a `Basis` is: it never changes, compares by content, pickles, and its `repr` evaluates
    back to it. A new one needs `dim`, `support`, `functions` and `__len__`; the rest follows from them.

    Attributes:
        dim: number of axes.
        support: radius in widths; beyond it, along some axis, all functions are zero.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Ball(JointBasis):
        ...     dim: int = 2
        ...     support: float = 1.0
        ...     def functions(self, u):
        ...         return (np.linalg.norm(np.asarray(u), axis=0) <= 1)[None] * 1.0
        ...     def __len__(self):
        ...         return 1
        >>> Ball().sample([1.0, 1.0], [0.0, 0.0])
        array([[[0., 1., 0.],
                [1., 1., 1.],
                [0., 1., 0.]]])
    """

    dim: int
    support: float

    @abstractmethod
    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions `ψ_f(u)`: points `(dim, *S)` in widths -> `(F, *S)`."""

    @abstractmethod
    def __len__(self) -> int:
        """The number F of functions."""

    def at(self, u: npt.ArrayLike) -> Array:
        """The same as `functions`: so a `Basis` calls the values of its products."""
        return self.functions(u)

    def action(self, matrix: npt.ArrayLike) -> Array:
        """How a rotation or reflection k mixes the kernels, as `Basis.action`: the matrix A with `ψ(k u) = A ψ(u)`."""
        return action_by_points(self, matrix, radius=self.support)

    def reach(self, width: float) -> int:
        """The half-width of the sampled kernels in voxels: of the last voxel inside the support."""
        return floor(self.support * width * EDGE)

    def sample(self, widths: Sequence[float], phases: Sequence[float]) -> Array:
        """The functions on the grid: `ψ_f((m - phase) / width) / Π width`.

        Args:
            widths: along each axis in voxels.
            phases: for each axis the position of the output point, in voxels right of input voxel 0, in [0, 1).

        Returns:
            Shape `(F, *K)`; the first sample of each axis is that of voxel `-reach(width)`, and the last that of voxel
            `reach(width)`, or one more where the phase is not 0.
        """
        axes = []
        for width, phase in zip(widths, phases, strict=True):
            reach = self.reach(width)
            axes.append((np.arange(-reach, reach + 1 + (phase > 0)) - phase) / width)
        return np.asarray(self.functions(np.stack(np.meshgrid(*axes, indexing="ij"))) / prod(widths))

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions `∫ ψ_f(u) e^{i w·u} du`, by quadrature: `(dim, *S)` -> `(F, *S)`."""
        frequencies = np.asarray(w, dtype=np.float64)
        points, weights = _cube(self.dim, self.support)
        values = self.functions(points) * weights
        flat = frequencies.reshape(self.dim, -1)
        spectrum = np.stack([values @ np.exp(1j * (points.T @ one)) for one in flat.T], axis=1)
        return np.asarray(spectrum.reshape(len(self), *frequencies.shape[1:]))

    @property
    def means(self) -> Array:
        """The integrals `∫ ψ_f(u) du`, shape `(F,)`."""
        return np.ascontiguousarray(self.transfer(np.zeros(self.dim)).real)

    def zero_mean_constraint(self) -> Array:
        """The kernels of zero mean, as `Basis.zero_mean_constraint` gives them: `(F, F - 1)`, or the identity."""
        return zero_mean_columns(self.means)


@lru_cache(maxsize=8)
def _cube(dim: int, support: float) -> tuple[Array, Array]:
    """Midpoints of small cubes that fill the support, `(dim, N)`, and their volumes, `(N,)`."""
    count = NODES[dim]
    axis = support * ((2 * np.arange(count) + 1) / count - 1)
    points = np.stack(np.meshgrid(*[axis] * dim, indexing="ij")).reshape(dim, -1)
    return points, np.full(points.shape[1], (2 * support / count) ** dim)
