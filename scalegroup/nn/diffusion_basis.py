"""The kernels of six dimensions: products of Hermite-Gaussians of positions and of q-space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.symbolic import Basis, HermiteBasis
from scalegroup.symbolic.basis import Array, ComplexArray


class Share(NamedTuple):
    """Some functions of q-space, and those of positions that each of them is multiplied by.

    Attributes:
        of_q: degrees of each function of q-space.
        of_p: degrees of each function of positions.
        places: index of each product in the basis, `(len(of_q), len(of_p))`.
    """

    of_q: tuple[tuple[int, ...], ...]
    of_p: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class DiffusionBasis(Basis):
    """Products `ψ_α(u) ψ_β(v)` of Hermite-Gaussians of positions u and of q-space v, of total degree up to `order`.

    Both spaces turn together, and the products of one degree in p and one in q stay among themselves.

    Args:
        order: the largest total degree `|α| + |β|`.
        space: number of axes of each of the two spaces. Default 3.
        even: keep the functions with `ψ_β(-v) = ψ_β(v)` alone, as signals of diffusion are. Default True.
        p_order: the largest degree `|α|` in p. Default None: `order`.

    Raises:
        ScaleGroupError: as `HermiteBasis`.

    Example:
        >>> basis = DiffusionBasis(order=2, space=1)
        >>> basis.products  # degrees in p and q
        ((0, 0), (1, 0), (0, 2), (2, 0))
        >>> len(DiffusionBasis(order=2)), len(DiffusionBasis(order=2, even=False))
        (16, 28)
    """

    order: int = 2
    space: int = 3
    even: bool = True
    p_order: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.order, tuple | list):
            hint = "rotations need one for all axes"
            raise ScaleGroupError("order to be one integer ≥ 0 for all axes", repr(self.order), hint)
        object.__setattr__(self, "order", self._all.orders[0])  # checked there

    @property
    def _all(self) -> HermiteBasis:
        return HermiteBasis(self.order, 2 * self.space)

    @property
    def dim(self) -> int:  # type: ignore[override]
        """Axes of both spaces."""
        return 2 * self.space

    @property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The degrees on the axes of positions, then on those of q-space, for every kernel."""
        return tuple(self._all.products[n] for n in self._kept)

    @property
    def _kept(self) -> list[int]:
        """Places of the kernels among all products of this order."""
        highest = self.order if self.p_order is None else self.p_order
        return [
            n
            for n, degrees in enumerate(self._all.products)
            if sum(degrees[: self.space]) <= highest and not (self.even and sum(degrees[self.space :]) % 2)
        ]

    def functions(self, u: npt.ArrayLike) -> Array:
        """The functions `h_0 … h_order` of one axis: shape `S` -> `(order + 1, *S)`."""
        return self._all.functions(u)

    def transfer(self, w: npt.ArrayLike) -> ComplexArray:
        """Their transfer functions: shape `S` -> `(order + 1, *S)`."""
        return self._all.transfer(w)

    def action(self, matrix: npt.ArrayLike) -> Array:
        """The matrix A with `ψ(k u, k v) = A ψ(u, v)` for a rotation or reflection k of `space` axes: `(F, F)`."""
        k = np.kron(np.eye(2), np.asarray(matrix, dtype=np.float64))
        return self._all.action(k)[np.ix_(self._kept, self._kept)]

    def shares(self) -> list[Share]:
        """The basis, cut into parts in which each function of q-space is multiplied by the same ones of positions.

        Example:
            >>> [(len(share.of_q), len(share.of_p)) for share in DiffusionBasis(order=2).shares()]
            [(1, 10), (6, 1)]
        """
        places = {degrees: n for n, degrees in enumerate(self.products)}
        partners: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for degrees in self.products:
            partners.setdefault(degrees[self.space :], []).append(degrees[: self.space])
        alike: dict[tuple[tuple[int, ...], ...], list[tuple[int, ...]]] = {}
        for of_q, of_p in partners.items():
            alike.setdefault(tuple(of_p), []).append(of_q)
        return [
            Share(tuple(of_q), of_p, tuple(tuple(places[p + q] for p in of_p) for q in of_q))
            for of_p, of_q in alike.items()
        ]
