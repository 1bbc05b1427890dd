"""Finite groups of signed permutation matrices: the symmetries of the voxel grid."""

from __future__ import annotations

from functools import cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_integer
from scalegroup.groups.compact import CompactElement, CompactGroup
from scalegroup.groups.irreps import irreps_of

SignedPermutation = tuple[int, ...]

_GENERATORS: dict[str, tuple[SignedPermutation, ...]] = {
    "reflection": ((-1,),),
    "c4": ((-2, 1),),
    "d4": ((-2, 1), (1, -2)),
    "octahedral": ((-2, 1, 3), (2, 3, 1)),
    "full_octahedral": ((-2, 1, 3), (2, 3, 1), (-1, -2, -3)),
}

GRID_NAMES = ("trivial", *_GENERATORS)


@final
class SignedPermutations(CompactGroup):
    """A finite group of signed permutation matrices, which map the voxel grid to itself.

    The named ones have classmethods: `trivial` (any dim), `reflection` (±1, dim 1), `c4` and `d4` (dim 2),
    `octahedral` (the 24 rotations of the cube) and `full_octahedral` (all its 48 symmetries; dim 3). Any
    other is given by generators: ``SignedPermutations([(-1, 2, 3)])`` mirrors the first axis.

    Args:
        generators: signed permutations; ``(2, -1, 3)`` is the map ``x -> (x_2, -x_1, x_3)``. Groups with the
            same elements are equal, whatever the generators.

    Raises:
        ScaleGroupError: if a generator is not a signed permutation, or they differ in length.

    Example:
        >>> cube = SignedPermutations.octahedral()
        >>> cube.order, cube.irreps
        (24, ('A1', 'A2', 'E', 'T1', 'T2'))
        >>> cube.element((2, -1, 3)).matrix.astype(int).tolist()
        [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    """

    def __init__(self, generators: Any) -> None:
        expected = "generators such as ((2, -1, 3), (-1, 2, 3)), all of one length from 1 to 3"
        hint = "a generator lists the axes 1, 2, … in some order, each with a sign"
        try:
            values = tuple(tuple(as_integer(i, expected, hint) for i in value) for value in generators)
        except TypeError:
            raise ScaleGroupError(expected, repr(generators), hint) from None
        dims = {len(value) for value in values}
        if len(dims) != 1 or not dims <= {1, 2, 3} or not all(map(_is_signed_permutation, values)):
            raise ScaleGroupError(expected, repr(generators), hint)
        self.dim = dims.pop()
        self.values = _closure(values)
        self.order: int = len(self.values)
        self._generators = values

    @classmethod
    def trivial(cls, dim: int) -> SignedPermutations:
        """The group of the identity alone, in `dim` dimensions (1 to 3)."""
        number = as_integer(dim, "dim 1, 2 or 3", "it is the number of spatial axes", minimum=1, maximum=3)
        return cls((tuple(range(1, number + 1)),))

    @classmethod
    def reflection(cls) -> SignedPermutations:
        """The two maps ``x -> ±x`` of the line."""
        return cls(_GENERATORS["reflection"])

    @classmethod
    def c4(cls) -> SignedPermutations:
        """The four rotations of the square."""
        return cls(_GENERATORS["c4"])

    @classmethod
    def d4(cls) -> SignedPermutations:
        """The eight rotations and reflections of the square."""
        return cls(_GENERATORS["d4"])

    @classmethod
    def octahedral(cls) -> SignedPermutations:
        """The 24 rotations of the cube."""
        return cls(_GENERATORS["octahedral"])

    @classmethod
    def full_octahedral(cls) -> SignedPermutations:
        """The 48 rotations and reflections of the cube."""
        return cls(_GENERATORS["full_octahedral"])

    def unit(self) -> Any:
        return tuple(range(1, self.dim + 1))

    def multiply(self, a: Any, b: Any) -> Any:
        return multiply_signed(a, b)

    def invert(self, a: Any) -> Any:
        return tuple(int(row @ np.arange(1, self.dim + 1)) for row in signed_permutation_matrix(a).T)

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(self.order))]

    def matrix(self, a: Any) -> NDArray[np.float64]:
        return signed_permutation_matrix(a)

    def contains(self, a: Any) -> bool:
        return a in self.values

    @property
    def elements(self) -> tuple[CompactElement, ...]:
        """All elements, the identity first."""
        return tuple(CompactElement(self, value) for value in self.values)

    @property
    def generators(self) -> tuple[CompactElement, ...]:
        """The elements that the group was generated from; a linear condition on all needs only these."""
        return tuple(CompactElement(self, value) for value in self._generators)

    def _arguments(self) -> dict[str, Any]:
        return {"generators": self._generators}

    @property
    def name(self) -> str | None:
        """The name of the group if it has one, such as ``"octahedral"``."""
        return _name_of(self.values)

    @property
    def irreps(self) -> tuple[str, ...]:
        """The names of the irreducible real representations, the trivial one first."""
        return tuple(irreps_of(self.values, self.name))

    def irrep_matrices(self, name_or_index: str | int) -> NDArray[np.float64]:
        """The matrices of an irreducible representation for all `elements`: ``(order, size, size)``."""
        stacks = irreps_of(self.values, self.name)
        return stacks[self.irrep_name(name_or_index)]

    def irrep_matrix(self, name_or_index: str | int, k: CompactElement) -> NDArray[np.float64]:
        """The orthogonal matrix of an irreducible representation for the element `k`: ``(size, size)``."""
        index = self.values.index(self.own(k).value)
        return np.asarray(self.irrep_matrices(name_or_index)[index])

    def __eq__(self, other: object) -> bool:
        return self.values == other.values if isinstance(other, SignedPermutations) else NotImplemented

    def __hash__(self) -> int:
        return hash((SignedPermutations, self.values))

    def __repr__(self) -> str:
        if self.is_trivial:
            return f"SignedPermutations.trivial({self.dim})"
        return f"SignedPermutations.{self.name}()" if self.name else f"SignedPermutations({self._generators!r})"


def grid_group(name: str, dim: int | None) -> SignedPermutations | None:
    """The group of this name, or None; "trivial" needs a dimension."""
    if name == "trivial" and dim is not None:
        return SignedPermutations.trivial(dim)
    return SignedPermutations(_GENERATORS[name]) if name in _GENERATORS else None


def signed_permutation_matrix(value: SignedPermutation) -> NDArray[np.float64]:
    """The matrix of a signed permutation.

    Example:
        >>> signed_permutation_matrix((-2, 1)).astype(int).tolist()
        [[0, -1], [1, 0]]
    """
    indices = np.array(value)
    return np.asarray(np.sign(indices)[:, None] * np.eye(len(value))[np.abs(indices) - 1], dtype=np.float64)


def multiply_signed(a: SignedPermutation, b: SignedPermutation) -> SignedPermutation:
    """The product of two signed permutations, in exact integers.

    Example:
        >>> multiply_signed((-2, 1), (-2, 1))
        (-1, -2)
    """
    return tuple(b[i - 1] if i > 0 else -b[-i - 1] for i in a)


def _is_signed_permutation(value: SignedPermutation) -> bool:
    return sorted(map(abs, value)) == list(range(1, len(value) + 1))


@cache
def _closure(generators: tuple[SignedPermutation, ...]) -> tuple[SignedPermutation, ...]:
    """All products of the generators, the identity first, the others in a fixed order."""
    identity = tuple(range(1, len(generators[0]) + 1))
    found = {identity}
    new = found
    while new:
        new = {multiply_signed(a, b) for a in new for b in generators} - found
        found = found | new
    return (identity, *sorted(found - {identity}, reverse=True))


@cache
def _name_of(values: tuple[SignedPermutation, ...]) -> str | None:
    if len(values) == 1:
        return "trivial"
    return next((name for name, generators in _GENERATORS.items() if _closure(generators) == values), None)
