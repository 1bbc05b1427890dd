"""The abstract compact group of rotations and reflections, and where its named instances are found."""

from __future__ import annotations

from abc import abstractmethod
from importlib.metadata import entry_points
from itertools import chain
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.checks import as_integer

PLUGINS = "scalegroup.compact_groups"  # the entry points of packages that know more names


@final
class CompactElement(Element):
    """A rotation or reflection; its value is that of its group.

    Example:
        >>> quarter = CompactGroup.named("c4").generators[0]
        >>> quarter.matrix.astype(int).tolist()
        [[0, -1], [1, 0]]
        >>> quarter @ quarter == ~(quarter @ quarter)
        True
    """

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The orthogonal matrix, of shape ``(dim, dim)``."""
        group = self.group
        if not isinstance(group, CompactGroup):
            raise ScaleGroupError("an element of a CompactGroup", repr(group), "other elements have no matrix")
        return group.matrix(self.value)


class CompactGroup(Group):
    """A compact group K of rotations and reflections of R^dim that leave the origin where it is.

    A subclass writes the methods of a `Group` on values (but for `transform`, which follows from `matrix`), and the
    members that stand first here. `SignedPermutations` are the symmetries of the grid; the others, such as
    ``CompactGroup.named("so3")``, come from escnn by way of `scalegroup.interop.escnn`. A package may announce more
    names by an entry point of the group ``scalegroup.compact_groups``: a function of a name and a dimension that
    returns the group, or None for names that it does not know.

    Attributes:
        dim: dimension of the space.
        order: number of elements, None if there are infinitely many.

    Example:
        >>> cube = CompactGroup.named("octahedral")
        >>> cube.order, cube.irreps
        (24, ('A1', 'A2', 'E', 'T1', 'T2'))
    """

    element_type = CompactElement
    order: int | None

    @abstractmethod
    def matrix(self, a: Any) -> NDArray[np.float64]:
        """The orthogonal matrix ``(dim, dim)`` of the element with this value."""

    @property
    @abstractmethod
    def elements(self) -> tuple[CompactElement, ...]:
        """All elements, the identity first; an error where there are infinitely many."""

    @property
    @abstractmethod
    def generators(self) -> tuple[CompactElement, ...]:
        """Elements that generate the group, or a dense part of it: a linear condition on all needs only these."""

    @property
    @abstractmethod
    def irreps(self) -> tuple[str, ...]:
        """The names of the irreducible real representations, the trivial one first; the first few of infinitely
        many."""

    @abstractmethod
    def irrep_matrix(self, name_or_index: str | int, k: CompactElement) -> NDArray[np.float64]:
        """The orthogonal matrix of an irreducible representation for the element `k`: ``(size, size)``."""

    # What follows from these

    def irrep_name(self, name_or_index: object) -> str:
        """The name of an irreducible representation given by name or by its place in `irreps`."""
        if isinstance(name_or_index, str) and name_or_index in self.irreps:
            return name_or_index
        expected = f"an irreducible representation of {self!r}: {', '.join(self.irreps)}"
        if isinstance(name_or_index, str):
            raise ScaleGroupError(expected, repr(name_or_index), "use one of these names, or its index")
        return self.irreps[as_integer(name_or_index, expected, "or an index", minimum=0, maximum=len(self.irreps) - 1)]

    def transform(self, a: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The images of points of shape ``(..., dim)``."""
        return points @ self.matrix(a).T

    @property
    def is_trivial(self) -> bool:
        """Whether the identity is the only element."""
        return self.order == 1

    @staticmethod
    def named(name: str, dim: int | None = None) -> CompactGroup:
        """The group with this name: ``"trivial"`` (which needs `dim`), ``"octahedral"``, ``"so3"``, …

        The symmetries of the grid are part of this library; for other names escnn must be installed.

        Args:
            name: in any case, with spaces, hyphens or underscores.
            dim: number of spatial axes, where the name does not tell it.

        Raises:
            ScaleGroupError: for a name that nobody knows.

        Example:
            >>> CompactGroup.named("d4").order
            8
        """
        from scalegroup.groups.signed_permutations import GRID_NAMES, grid_group  # which is built on this class

        if isinstance(name, str):
            key = name.replace(" ", "_").replace("-", "_").lower()
            others = (entry.load() for entry in sorted(entry_points(group=PLUGINS), key=lambda entry: entry.name))
            for find in chain([grid_group], others):
                if (group := find(key, dim)) is not None:
                    return group  # type: ignore[no-any-return]
        hint = "or give a CompactGroup; more names, such as 'so3' and 'icosahedral', need escnn"
        raise ScaleGroupError(f"the name of a compact group ({', '.join(GRID_NAMES)})", repr(name), hint)
