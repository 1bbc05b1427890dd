"""Representations of the compact group, on every scale of the window or on space alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups.base import Element, Group
from scalegroup.groups.checks import as_finite
from scalegroup.groups.compact import CompactElement, CompactGroup
from scalegroup.groups.irreps import canonical_basis
from scalegroup.groups.registry import register_representation
from scalegroup.groups.signed_permutations import SignedPermutations
from scalegroup.representations.base import Representation, scale_translation, shift_matrix, shift_overlap


class Rotational(Representation):
    """A representation τ of the compact group K, on every scale of the window or with a power of the scale.

    Without a weight it lives on every scale of the truncated window, ``rho(g) = τ(k) ⊗ regular(s)``: size
    ``components * num_scales``, component slower, scale fastest. With a weight it lives on space alone,
    ``rho(g) = s**weight τ(k)``: a displacement field has weight 1, a gradient weight -1.

    A subclass stores its constructor arguments under their own names, calls this constructor last, and writes `tau` and
    `__str__`.

    Args:
        group: a `ScaleTranslationGroup`.
        components: the size of τ.
        weight: ``None`` for the window, or the power of the scale factor.

    Attributes:
        components: the size of τ.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> class Handedness(Rotational):
        ...     def __init__(self, group, weight=None):
        ...         super().__init__(group, components=1, weight=weight)
        ...     def tau(self, k):
        ...         return np.linalg.det(k.matrix).reshape(1, 1)
        ...     def __str__(self):
        ...         return "handedness()"
        >>> group = ScaleTranslationGroup(dim=2, num_scales=3, rotations="d4")
        >>> Handedness(group).size, Handedness(group).rotation((1, -2))
        (3, array([[-1.]]))
    """

    def __init__(self, group: Group, components: int, weight: float | None) -> None:
        checked = scale_translation(group, type(self).__name__.lower())
        self.group = checked
        hint = "give None to let it live on every scale"
        self.weight = None if weight is None else as_finite(weight, "a weight, a finite number, or None", hint)
        self.components = components
        self.num_scales = checked.num_scales if weight is None else 1
        self.size = components * self.num_scales

    @abstractmethod
    def tau(self, k: CompactElement) -> NDArray[np.float64]:
        """The matrix of an element of the compact group: ``(components, components)``."""

    def matrix(self, g: Any) -> NDArray[np.float64]:
        if self.weight is not None:
            return np.asarray(g.scale**self.weight * self.tau(g.k))
        return np.kron(self.tau(g.k), shift_matrix(self.num_scales, g.exponent))

    def overlap(self, g: Element) -> NDArray[np.bool_]:
        if self.weight is not None:
            return super().overlap(g)
        return np.tile(shift_overlap(self.num_scales, self.group.own(g).exponent), self.components)

    def _call(self, name: str, *arguments: object) -> str:
        """How a field type writes it."""
        weight = [] if self.weight is None else [f"weight={self.weight!r}"]
        return f"{name}({', '.join([*map(repr, arguments), *weight])})"


@final
class Irrep(Rotational):
    """An irreducible representation of the compact group, such as vectors that turn with the volume.

    Args:
        group: a `ScaleTranslationGroup`.
        name: its name in ``group.rotations.irreps``, or its index there: the degree l for "so3".
        weight: ``None`` (default) for a copy on every scale, or the power of the scale factor, see `Rotational`.

    Raises:
        ScaleGroupError: if the compact group has no such representation.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=3, base=2.0, num_scales=4, rotations="octahedral")
        >>> group.irrep("T1").size, group.irrep("T1", weight=1.0).size
        (12, 3)
    """

    def __init__(self, group: Group, name: str | int, weight: float | None = None) -> None:
        rotations = scale_translation(group, "irrep").rotations
        self.name = rotations.irrep_name(name)
        super().__init__(group, len(rotations.irrep_matrix(self.name, rotations.generators[0])), weight)

    def tau(self, k: CompactElement) -> NDArray[np.float64]:
        return _rotations(self).irrep_matrix(self.name, k)

    def __str__(self) -> str:
        return self._call("irrep", self.name)


@final
class Quotient(Rotational):
    """Functions on the cosets of a subgroup: a finite group K permutes the components.

    ``(τ(k) v)(k' H) = v(k⁻¹ k' H)``. Without a subgroup it is the regular representation of K, a component for each
    element; with all of K it is a single number. As permutations do, it lets activations act on each component.

    Args:
        group: a `ScaleTranslationGroup` whose compact group is finite.
        subgroup: H, a `CompactGroup` whose elements are in K, its name, or its generators as `SignedPermutations` takes
            them; ``None`` (default) for the identity alone.
        weight: ``None`` (default) for a copy on every scale, or the power of the scale factor, see `Rotational`.

    Raises:
        ScaleGroupError: if K is infinite or `subgroup` is not part of it.

    Source: Cohen and Welling 2016, "Group Equivariant Convolutional Networks"; 2017, "Steerable CNNs" (quotients).

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4, rotations="octahedral")
        >>> turns = SignedPermutations([(-2, 1, 3)])  # about the third axis
        >>> group.quotient().components, group.quotient(turns).components  # elements, faces of the cube
        (24, 6)
    """

    def __init__(self, group: Group, subgroup: CompactGroup | str | None = None, weight: float | None = None) -> None:
        rotations = scale_translation(group, "quotient").rotations
        if rotations.order is None:
            hint = "its functions need infinitely many numbers; use irreps"
            raise ScaleGroupError("a finite compact group", repr(rotations), hint)
        self.subgroup = _group(subgroup, rotations.dim)
        super().__init__(group, int(_cosets(rotations, self.subgroup).max()) + 1, weight)

    def tau(self, k: CompactElement) -> NDArray[np.float64]:
        rotations = _rotations(self)
        cosets = _cosets(rotations, self.subgroup)
        moved = _places(rotations, np.stack([k.matrix @ g.matrix for g in rotations.elements]))
        result = np.zeros((self.components, self.components))
        result[cosets[moved], cosets] = 1.0
        return result

    def __str__(self) -> str:
        inside = self.subgroup
        if inside is None:
            return self._call("quotient")
        named = getattr(inside, "name", None)
        generators = tuple(k.value for k in inside.generators)
        return self._call("quotient", named if named not in (None, "trivial") else generators)


def _group(subgroup: CompactGroup | str | Sequence[Sequence[int]] | None, dim: int) -> CompactGroup | None:
    if subgroup is None or isinstance(subgroup, CompactGroup):
        return subgroup
    return CompactGroup.named(subgroup, dim) if isinstance(subgroup, str) else SignedPermutations(subgroup)


@lru_cache(maxsize=256)
def _cosets(rotations: CompactGroup, subgroup: CompactGroup | None) -> NDArray[np.int64]:
    """For each element of a group the number of its coset ``k H``, in the order of their first elements."""
    matrices = np.stack([k.matrix for k in rotations.elements])
    inside = np.eye(rotations.dim)[None] if subgroup is None else np.stack([h.matrix for h in subgroup.elements])
    expected = f"a subgroup of {rotations!r}"
    if inside.shape[1:] != matrices.shape[1:]:
        raise ScaleGroupError(expected, repr(subgroup), "it acts on another dimension")
    if _distances(rotations, inside).min(axis=1).max() > 1e-9:
        raise ScaleGroupError(expected, repr(subgroup), "it has elements that are not in the group")
    cosets = np.full(len(matrices), -1)
    for i, matrix in enumerate(matrices):
        if cosets[i] < 0:
            cosets[_places(rotations, matrix @ inside)] = cosets.max() + 1
    cosets.setflags(write=False)
    return cosets


def _places(rotations: CompactGroup, matrices: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of each matrix among the elements of a group."""
    return np.asarray(_distances(rotations, matrices).argmin(axis=1))


def _distances(rotations: CompactGroup, matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each matrix is from each element of a group: ``(matrices, elements)``."""
    own = np.stack([k.matrix for k in rotations.elements])
    return np.asarray(np.abs(matrices[:, None] - own).max(axis=(2, 3)))


def permutes(representation: Representation) -> bool:
    """Whether rotations permute the numbers of a field and dilations leave them as they are.

    Then a function may act on each number alone.

    Args:
        representation: of a group with scales, and perhaps rotations.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=3, rotations="octahedral")
        >>> permutes(group.quotient()), permutes(group.irrep("T1")), permutes(group.irrep("T1", weight=1.0))
        (True, False, False)
    """
    if representation.weight not in (None, 0.0):
        return False
    matrices = _generators(representation)
    return bool(np.isin(matrices.round(9), (0.0, 1.0)).all())  # those that are orthogonal, too, are permutations


def invariants(representation: Representation) -> NDArray[np.float64]:
    """The vectors of components that no rotation changes, as orthogonal columns whose largest entry is 1.

    A constant may be added along them. There are none if the representation multiplies by a power of the scale.

    Args:
        representation: of a group with scales, and perhaps rotations.

    Returns:
        Shape ``(components, n)``.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=3, rotations="octahedral")
        >>> [invariants(rep).shape for rep in (group.regular, group.irrep("T1"), group.quotient())]
        [(1, 1), (3, 0), (24, 1)]
    """
    matrices = _generators(representation)
    components = matrices.shape[-1]
    if representation.weight not in (None, 0.0):
        return np.zeros((components, 0))
    moved = (matrices - np.eye(components)).reshape(-1, components)
    _, values, rows = np.linalg.svd(moved, full_matrices=True)
    columns = canonical_basis(rows[int((values > 1e-9).sum()) :].T)
    if not columns.shape[1]:
        return columns
    largest = np.abs(columns).argmax(axis=0, keepdims=True)
    return np.asarray(columns / np.take_along_axis(columns, largest, axis=0))


def _generators(representation: Representation) -> NDArray[np.float64]:
    """The matrices of the generators of the compact group on the components: ``(generators, d, d)``."""
    return np.stack([representation.rotation(k) for k in _rotations(representation).generators])


def _rotations(representation: Representation) -> CompactGroup:
    return scale_translation(representation.group, str(representation)).rotations


register_representation("irrep", Irrep)
register_representation("quotient", Quotient)
