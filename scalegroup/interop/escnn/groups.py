"""Rotations of space and plane from escnn, as compact groups."""

from __future__ import annotations

import math
import re
from importlib.util import find_spec
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactElement, CompactGroup
from scalegroup.groups.checks import as_integer
from scalegroup.groups.signed_permutations import GRID_NAMES
from scalegroup.interop.escnn import tables
from scalegroup.interop.escnn.names import EscnnId, irrep_ids, is_known, is_polyhedral, missing_escnn, order_of

if find_spec("escnn") is None:  # a group imports it only for its representations and tables
    raise missing_escnn()

Matrix = NDArray[np.float64]


@final
class EscnnGroup(CompactGroup):
    """A group of rotations, with or without reflections, whose representations are those of escnn.

    In space: ``"so3"`` and ``"o3"``, all rotations, and all with reflections; ``"icosahedral"`` and ``"octahedral"``,
    the rotations of a solid, and with ``"full_"`` in front all its symmetries. In the plane: ``"so2"``, ``"o2"``,
    and for any N from 2 on ``"cN"`` (N rotations) and ``"dN"`` (with N reflections). A value is the orthogonal matrix,
    as rows of floats; it acts on coordinates in the order of the tensor's spatial axes, as everywhere in this library.

    Irreducible representations are in escnn's basis. They are named by the degree l for ``so3`` (``"0"``, ``"1"``, …),
    with the parity under inversion for ``o3`` (``"1u"`` is odd: vectors; ``"1g"`` is even: axes of rotation), else by
    Mulliken symbols (``"A"``, ``"E1"``, ``"T1u"``, …). A number stands for the place in `irreps`; for the four infinite
    groups it is the degree l or the frequency, any number from 0 on, and means the representation that functions on
    space have: ``1`` are vectors, also for ``o3`` and ``o2``. escnn's identifiers, such as ``(1, 2)``, are read too.

    Args:
        name: one of the names above.

    Attributes:
        name: the name.
        order: number of elements; None for the four infinite groups.

    Raises:
        ScaleGroupError: for another name.

    Source:
        Cesa, Lang, Weiler, "A Program to Build E(N)-Equivariant Steerable CNNs", ICLR 2022.

    Example:
        >>> group = EscnnGroup("so3")
        >>> group.irrep_name(2), group.irrep_matrix(2, group.identity).shape
        ('2', (5, 5))
        >>> EscnnGroup("icosahedral").irreps
        ('A', 'T1', 'H', 'T2', 'G')
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not is_known(name):
            known = "so2, o2, so3, o3, icosahedral, octahedral, c8, d8, …"
            hint = "write it in small letters; 'full_icosahedral' and 'full_octahedral' have reflections too"
            raise ScaleGroupError(f"the name of a group that escnn has ({known})", repr(name), hint)
        self.name = name
        self.dim = 3 if is_polyhedral(name) or name.endswith("o3") else 2
        self.order: int | None = order_of(name)

    def unit(self) -> Any:
        return _value(np.eye(self.dim))

    def multiply(self, a: Any, b: Any) -> Any:
        return self._snapped(np.array(a) @ np.array(b))

    def invert(self, a: Any) -> Any:
        return self._snapped(np.array(a).T)

    def draw(self, rng: np.random.Generator) -> Any:
        if self.order is not None:
            return _value(tables.matrices(self.name)[int(rng.integers(self.order))])
        q, r = np.linalg.qr(rng.standard_normal((self.dim, self.dim)))
        q *= np.sign(np.diag(r))  # now uniform over all orthogonal matrices
        if not self._has_reflections:
            q[:, 0] *= np.linalg.det(q)
        return _value(q)

    def contains(self, a: Any) -> bool:
        matrix = np.array(a)
        if self.order is not None:
            return bool(np.abs(tables.matrices(self.name) - matrix).max(axis=(1, 2)).min() < 1e-8)
        orthogonal = np.allclose(matrix @ matrix.T, np.eye(self.dim), rtol=0, atol=1e-8)
        return bool(orthogonal and (self._has_reflections or np.linalg.det(matrix) > 0))

    def matrix(self, a: Any) -> Matrix:
        return np.array(a)

    @property
    def elements(self) -> tuple[CompactElement, ...]:
        """All elements, the identity first.

        Raises:
            ScaleGroupError: if there are infinitely many.
        """
        if self.order is None:
            hint = "use sample() for random ones, or generators for a linear condition"
            raise ScaleGroupError("a finite group to list the elements of", repr(self), hint)
        return tuple(CompactElement(self, _value(matrix)) for matrix in tables.matrices(self.name))

    @property
    def generators(self) -> tuple[CompactElement, ...]:
        """Elements that generate the group; for an infinite one, a part that comes as near as you like to all of it."""
        return tuple(CompactElement(self, _value(matrix)) for matrix in tables.generators(self.name))

    @property
    def irreps(self) -> tuple[str, ...]:
        """The names of the irreducible real representations, the trivial one first; of infinitely many up to degree 4,
        those of functions on space first."""
        return tuple(irrep_ids(self.name))

    def irrep_name(self, name_or_index: object) -> str:
        """The name of an irreducible representation given by name, by number, or by escnn's identifier."""
        infinite = self.order is None
        expected = f"an irreducible representation of {self!r}: {', '.join(self.irreps)}{', …' if infinite else ''}"
        if isinstance(name_or_index, str | tuple):
            key = "name" if isinstance(name_or_index, str) else "id"
            for name, identifier in irrep_ids(self.name, _degree(name_or_index)).items():
                if name_or_index == (name if key == "name" else identifier):
                    return name
            raise ScaleGroupError(expected, repr(name_or_index), "use one of these names, or a number")
        last = None if infinite else len(self.irreps) - 1
        number = as_integer(name_or_index, expected, "or a number", minimum=0, maximum=last)
        return tuple(irrep_ids(self.name, number))[number]

    def irrep_matrix(self, name_or_index: str | int, k: CompactElement) -> Matrix:
        """The orthogonal matrix of an irreducible representation for the element `k`, in escnn's basis."""
        matrix = np.array(self.own(k).value)
        identifier = self.irrep_id(name_or_index)
        if self.order is not None:
            return np.array(tables.irrep_matrices(self.name, identifier)[self._index(matrix)])
        return np.asarray(tables.fiber(self.name).irrep(*identifier)(self.to_escnn(k)), dtype=np.float64)

    # What other modules of this package need

    def irrep_id(self, name_or_index: str | int) -> EscnnId:
        """escnn's identifier of an irreducible representation: ``space.fibergroup.irrep(*identifier)``."""
        name = self.irrep_name(name_or_index)
        return irrep_ids(self.name, _degree(name))[name]

    @property
    def space(self) -> Any:
        """escnn's `GSpace`: this group, acting on the space or plane."""
        return tables.space(self.name)

    def to_escnn(self, k: CompactElement) -> Any:
        """escnn's `GroupElement` that moves points as `k` does.

        Example:
            >>> group = EscnnGroup("so3")
            >>> k = group.sample(0)
            >>> group.from_escnn(group.to_escnn(k)) == k
            True
        """
        matrix = np.array(self.own(k).value)
        fiber = tables.fiber(self.name)
        if self.order is not None:
            return fiber.elements[tables.places(self.name)[self._index(matrix)]]
        points = tables.AXES[self.dim].T @ matrix @ tables.AXES[self.dim]
        reflects = int(np.linalg.det(points) < 0)
        if self.dim == 3:
            proper = points * (1 - 2 * reflects)  # the inversion is minus one
            return fiber.element((reflects, proper) if self._has_reflections else proper, "MAT")
        if reflects:
            points = points @ self.space.basespace_action(fiber.element((1, 0.0), "radians")).T
        angle = math.atan2(points[1, 0], points[0, 0])
        return fiber.element((reflects, angle) if self._has_reflections else angle, "radians")

    def from_escnn(self, element: Any) -> CompactElement:
        """The element of this group for one of escnn's `space.fibergroup`."""
        return CompactElement(self, self._snapped(tables.tensor_axes(self.space.basespace_action(element))))

    @property
    def _has_reflections(self) -> bool:
        return self.name in ("o2", "o3")

    def _snapped(self, matrix: Matrix) -> Any:
        """The value of a matrix; in a finite group rounding errors are taken away."""
        return _value(matrix if self.order is None else tables.matrices(self.name)[self._index(matrix)])

    def _index(self, matrix: Matrix) -> int:
        return int(np.abs(tables.matrices(self.name) - matrix).sum(axis=(1, 2)).argmin())

    def __repr__(self) -> str:
        # Names of the grid's symmetries belong to the signed permutations, which have irreps in another basis.
        return f"EscnnGroup({self.name!r})" if self.name in GRID_NAMES else f"CompactGroup.named({self.name!r})"


def _degree(name_or_id: object) -> int:
    """The largest number in a name or identifier: a list of irreps up to this degree has it, if any has."""
    return max(map(int, re.findall(r"\d{1,3}", str(name_or_id))), default=0)


def _value(matrix: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
