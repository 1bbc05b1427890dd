"""The part of a Hermite basis that reflections leave alone, and the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic.basis import Array, Basis, ComplexArray
from scalegroup.symbolic.hermite import HermiteBasis, Truncation


@final
@dataclass(frozen=True)
class ParityBasis(Basis):
    """The products of a Hermite basis that are even along every axis, or all the others.

    `ψ_{ij…}(u) = h_i(u_x) h_j(u_y) …` with all degrees even: smooth responses, the mean among them. With some degree
    odd: edges and saddles, all of zero mean.

    Args:
        even: whether the kernels are even along every axis; False for all others.
        order, dim, truncation: as in `HermiteBasis`.

    Raises:
        ScaleGroupError: as `HermiteBasis`, and for odd kernels of order 0, of which there are none.

    Source: Cho et al. 2024, "Scale-Equivariant Object Perception for Autonomous Driving".

    Example:
        >>> ParityBasis(True, order=2, dim=2).degrees
        ((0, 0), (0, 2), (2, 0))
        >>> ParityBasis(False, order=2, dim=2).degrees
        ((0, 1), (1, 0), (1, 1))
    """

    even: bool
    order: int | tuple[int, ...] = 2
    dim: int = 3
    truncation: Truncation = "total"

    def __post_init__(self) -> None:
        whole = self._whole
        object.__setattr__(self, "even", bool(self.even))
        object.__setattr__(self, "order", whole.order)
        object.__setattr__(self, "dim", whole.dim)
        if not self.degrees:
            raise ScaleGroupError("an order >= 1 for odd kernels", self.order, "the kernel of order 0 is even")

    @property
    def _whole(self) -> HermiteBasis:
        return HermiteBasis(self.order, self.dim, self.truncation)

    @property
    def degrees(self) -> tuple[tuple[int, ...], ...]:
        """The degrees on each axis, for every product kernel."""
        products = self._whole.products
        return tuple(p for p in products if all(degree % 2 == 0 for degree in p) == self.even)

    @property
    def _used(self) -> list[int]:
        return sorted({degree for product in self.degrees for degree in product})

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The index of the function on each axis, among those that some kernel has, for every product kernel."""
        used = self._used
        return tuple(tuple(used.index(degree) for degree in product) for product in self.degrees)

    def functions(self, u: npt.ArrayLike) -> Array:
        """The Hermite functions that some kernel has: shape `S` -> `(F1, *S)`."""
        return np.ascontiguousarray(self._whole.functions(u)[self._used])

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """Their transfer functions: shape `S` -> `(F1, *S)`."""
        return np.ascontiguousarray(self._whole.transfer(w)[self._used])
