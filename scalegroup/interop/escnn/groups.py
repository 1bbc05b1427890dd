"""Rotations of space and plane from escnn, as compact groups."""

from __future__ import annotations

import math
import re
from functools import cache
from importlib.util import find_spec
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError, missing_extra
from scalegroup.groups import CompactElement, CompactGroup
from scalegroup.groups.checks import as_integer
from scalegroup.groups.signed_permutations import GRID_NAMES
from scalegroup.interop.escnn.names import EscnnId, irrep_ids, is_known

if find_spec("escnn") is None:  # a group imports it only for its representations and tables
    raise missing_extra("escnn", "escnn")

Matrix = NDArray[np.float64]

# escnn has points (x, y, z) and tensors with the axes (-z, -y, x); in the plane (x, y) and (-y, x). Everything outside
# this package is in the order of the tensor's axes.
_AXES = {2: np.array([[0.0, -1.0], [1.0, 0.0]]), 3: np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])}
_ORDERS = {"icosahedral": 60, "full_icosahedral": 120, "octahedral": 24, "full_octahedral": 48}
_GENERIC = math.pi * (3 - math.sqrt(5))  # the golden angle: its multiples stay far from full turns


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
        self.dim = 3 if name in _ORDERS or name.endswith("o3") else 2
        self.order: int | None = _order(name)

    def unit(self) -> Any:
        return _value(np.eye(self.dim))

    def multiply(self, a: Any, b: Any) -> Any:
        return self._snapped(np.array(a) @ np.array(b))

    def invert(self, a: Any) -> Any:
        return self._snapped(np.array(a).T)

    def draw(self, rng: np.random.Generator) -> Any:
        if self.order is not None:
            return _value(_table(self.name)[int(rng.integers(self.order))])
        q, r = np.linalg.qr(rng.standard_normal((self.dim, self.dim)))
        q *= np.sign(np.diag(r))  # now uniform over all orthogonal matrices
        if not self._has_reflections:
            q[:, 0] *= np.linalg.det(q)
        return _value(q)

    def contains(self, a: Any) -> bool:
        matrix = np.array(a)
        if self.order is not None:
            return bool(np.abs(_table(self.name) - matrix).max(axis=(1, 2)).min() < 1e-8)
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
        return tuple(CompactElement(self, _value(matrix)) for matrix in _table(self.name))

    @property
    def generators(self) -> tuple[CompactElement, ...]:
        """Elements that generate the group; for an infinite one, a part that comes as near as you like to all of it."""
        return tuple(CompactElement(self, _value(matrix)) for matrix in _generators(self.name))

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
            return np.array(_stack(self.name, identifier)[self._index(matrix)])
        return np.asarray(_fiber(self.name).irrep(*identifier)(self.to_escnn(k)), dtype=np.float64)

    # What other modules of this package need

    def irrep_id(self, name_or_index: str | int) -> EscnnId:
        """escnn's identifier of an irreducible representation: ``space.fibergroup.irrep(*identifier)``."""
        name = self.irrep_name(name_or_index)
        return irrep_ids(self.name, _degree(name))[name]

    @property
    def space(self) -> Any:
        """escnn's `GSpace`: this group, acting on the space or plane."""
        return _space(self.name)

    def to_escnn(self, k: CompactElement) -> Any:
        """escnn's `GroupElement` that moves points as `k` does.

        Example:
            >>> group = EscnnGroup("so3")
            >>> k = group.sample(0)
            >>> group.from_escnn(group.to_escnn(k)) == k
            True
        """
        matrix = np.array(self.own(k).value)
        fiber = _fiber(self.name)
        if self.order is not None:
            return fiber.elements[_places(self.name)[self._index(matrix)]]
        points = _AXES[self.dim].T @ matrix @ _AXES[self.dim]
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
        return CompactElement(self, self._snapped(_tensor_axes(self.space.basespace_action(element))))

    @property
    def _has_reflections(self) -> bool:
        return self.name in ("o2", "o3")

    def _snapped(self, matrix: Matrix) -> Any:
        """The value of a matrix; in a finite group rounding errors are taken away."""
        return _value(matrix if self.order is None else _table(self.name)[self._index(matrix)])

    def _index(self, matrix: Matrix) -> int:
        return int(np.abs(_table(self.name) - matrix).sum(axis=(1, 2)).argmin())

    def __repr__(self) -> str:
        # Names of the grid's symmetries belong to the signed permutations, which have irreps in another basis.
        return f"EscnnGroup({self.name!r})" if self.name in GRID_NAMES else f"CompactGroup.named({self.name!r})"


def _order(name: str) -> int | None:
    if name in ("so2", "o2", "so3", "o3"):
        return None
    return _ORDERS[name] if name in _ORDERS else int(name[1:]) * (1 if name[0] == "c" else 2)


def _degree(name_or_id: object) -> int:
    """The largest number in a name or identifier: a list of irreps up to this degree has it, if any has."""
    return max(map(int, re.findall(r"\d{1,3}", str(name_or_id))), default=0)


def _value(matrix: Matrix) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def _tensor_axes(matrix: Matrix) -> Matrix:
    """A matrix on escnn's points as one on the tensor's axes; what is zero but for rounding becomes zero."""
    axes = _AXES[len(matrix)]
    moved = axes @ matrix @ axes.T
    return np.where(np.abs(moved) < 1e-15, 0.0, moved)


@cache
def _space(name: str) -> Any:
    from scalegroup.interop.escnn.library import gspaces, quiet

    builders = {
        "so3": gspaces.rot3dOnR3,
        "o3": gspaces.flipRot3dOnR3,
        "icosahedral": gspaces.icoOnR3,
        "full_icosahedral": gspaces.fullIcoOnR3,
        "octahedral": gspaces.octaOnR3,
        "full_octahedral": gspaces.fullOctaOnR3,
    }
    with quiet():
        if name in builders:
            return builders[name]()
        planar = gspaces.flipRot2dOnR2 if name[0] in "od" else gspaces.rot2dOnR2
        return planar(-1 if name in ("so2", "o2") else int(name[1:]))


def _fiber(name: str) -> Any:
    return _space(name).fibergroup


@cache
def _places(name: str) -> tuple[int, ...]:
    """The order of escnn's elements here: the identity first."""
    elements = list(_fiber(name).elements)
    first = elements.index(_fiber(name).identity)
    return (first, *(place for place in range(len(elements)) if place != first))


@cache
def _table(name: str) -> Matrix:
    """The matrices of all elements of a finite group, ``(order, dim, dim)``."""
    elements = _fiber(name).elements
    stack = np.stack([_tensor_axes(_space(name).basespace_action(elements[place])) for place in _places(name)])
    stack[0] = np.eye(stack.shape[-1])
    stack.setflags(write=False)
    return stack


@cache
def _stack(name: str, identifier: EscnnId) -> Matrix:
    """The matrices of an irreducible representation of a finite group, ``(order, size, size)``."""
    from scalegroup.interop.escnn.library import quiet

    elements = _fiber(name).elements
    with quiet():
        irrep = _fiber(name).irrep(*identifier)
        return np.stack([np.asarray(irrep(elements[place]), dtype=np.float64) for place in _places(name)])


@cache
def _generators(name: str) -> tuple[Matrix, ...]:
    space = _space(name)
    if _order(name) is not None:
        return tuple(_tensor_axes(space.basespace_action(element)) for element in space.fibergroup.generators)
    c, s = math.cos(_GENERIC), math.sin(_GENERIC)
    turn = np.array([[c, -s], [s, c]])
    if space.dimensionality == 2:
        return (turn,) if name == "so2" else (turn, np.diag([1.0, -1.0]))
    around_last, around_first = np.eye(3), np.eye(3)
    around_last[:2, :2] = around_first[1:, 1:] = turn
    return (around_last, around_first) if name == "so3" else (around_last, around_first, -np.eye(3))
