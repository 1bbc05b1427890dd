"""What every kernel basis offers: one-dimensional functions, their transfer functions, their products."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce

import numpy as np
import numpy.typing as npt

from scalegroup.symbolic.rotation import action_by_points

Array = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

MEAN_TOLERANCE = 1e-12  # a mean below this share of the largest one is rounding noise of an exact zero


def zero_mean_columns(means: Array) -> Array:
    """An orthonormal basis, as columns, of the coefficients `a` with `Σ_p a_p means_p = 0`."""
    row = np.array(means, dtype=np.float64)
    row[np.abs(row) <= MEAN_TOLERANCE * max(1.0, float(np.abs(row).max()))] = 0.0
    carriers = np.flatnonzero(row)
    if len(carriers) <= 1:
        return np.delete(np.eye(len(row)), carriers, axis=1)
    return np.ascontiguousarray(np.linalg.svd(row[None])[2][1:].T)


class Basis(ABC):
    """A basis of separable kernels: products of one-dimensional functions, one per axis.

    `ψ_p(u) = h_{p_1}(u_1) h_{p_2}(u_2) … h_{p_dim}(u_dim)` for each index tuple `p` in `products`.

    A basis is a value: it never changes, compares by content, can be a dictionary key, pickles, and its
    `repr` evaluates back to it. Points are measured in widths (`u = x / sigma`), so one basis serves all
    scales. A new basis needs `dim`, `products`, `functions` and `transfer`; the rest follows from them.

    Attributes:
        dim: number of axes.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Box(Basis):
        ...     dim: int = 2
        ...     products = ((0, 0),)
        ...     def functions(self, u):
        ...         return (np.abs(np.asarray(u)) <= 0.5)[None] * 1.0
        ...     def transfer(self, w):
        ...         return np.sinc(np.asarray(w) / (2 * np.pi))[None] + 0j
        >>> Box().at([[0.2, 0.7], [0.2, 0.2]]), Box().means
        (array([[1., 0.]]), array([1.]))
    """

    dim: int

    @property
    @abstractmethod
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The index of the one-dimensional function on each axis, for every product kernel."""

    @abstractmethod
    def functions(self, u: npt.ArrayLike) -> Array:
        """The one-dimensional functions `h_f(u)`: points of any shape `S` (in widths) -> `(F1, *S)`."""

    @abstractmethod
    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """The transfer functions `ĥ_f(w) = ∫ h_f(u) e^{iwu} du`: any shape `S` -> `(F1, *S)`."""

    def taps(self, sigma: float, phase: float) -> tuple[Array, int] | None:
        """The basis's own taps `(F1, L)` on a grid, and the index of the input voxel that the first one weighs.

        None (default): the functions are sampled, or fitted where that aliases. A basis overrides it if its functions
        are known on grids only, or to discretise them in its own way, by the law that the taps are those of
        `h_f(u / sigma) / sigma`.

        Args:
            sigma: width in voxels.
            phase: position of the output point in voxels right of input voxel 0, in [0, 1).
        """
        return None

    @property
    def num_functions(self) -> int:
        """The number F1 of one-dimensional functions; every one is part of some product."""
        return 1 + max(index for product in self.products for index in product)

    @property
    def means(self) -> Array:
        """The integrals `∫ h_f(u) du`, shape `(F1,)`."""
        return np.ascontiguousarray(self.transfer(np.zeros(())).real)

    def zero_mean_constraint(self) -> Array:
        """The zero-mean kernels of the basis, as a matrix whose columns span their coefficient vectors.

        A kernel `Σ_p a_p ψ_p` has mean `Σ_p a_p Π_axis ∫h_{p_axis}`; the columns are an orthonormal basis of
        the `a` for which this vanishes. Where only one product has a mean (Hermite), this is the selection of
        all others.

        Returns:
            Shape `(F, F - 1)`, or the identity `(F, F)` where every product has zero mean already.
        """
        means = self.means
        return zero_mean_columns(np.array([np.prod(means[list(product)]) for product in self.products]))

    def at(self, u: npt.ArrayLike) -> Array:
        """The product kernels `ψ_p(u)` at any points in widths: `(dim, *S)` -> `(F, *S)`."""
        axes = [self.functions(axis) for axis in np.asarray(u, dtype=np.float64)]
        factors = (axis[list(index)] for axis, index in zip(axes, zip(*self.products, strict=True), strict=True))
        return np.asarray(reduce(np.multiply, factors))

    def action(self, matrix: npt.ArrayLike) -> Array:
        """How a rotation or reflection k mixes the kernels: the matrix A with `ψ(k u) = A ψ(u)`.

        Args:
            matrix: k, orthogonal, `(dim, dim)`.

        Returns:
            Shape `(F, F)`.

        Raises:
            ScaleGroupError: if the rotated kernels are no sums of the kernels of the basis.
        """
        return action_by_points(self, matrix, radius=1 + self.num_functions / 2)

    def __len__(self) -> int:
        """The number F of product kernels."""
        return len(self.products)
