"""Any representation of escnn's groups as one of ours, and ours as escnn's."""

from __future__ import annotations

import ast
import re
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactElement, Group, ScaleTranslationGroup
from scalegroup.groups.registry import register_representation
from scalegroup.interop.escnn.decomposition import decomposed
from scalegroup.interop.escnn.groups import EscnnGroup
from scalegroup.interop.escnn.library import group as escnn_groups
from scalegroup.interop.escnn.library import quiet
from scalegroup.interop.escnn.spaces import escnn_group, space_of
from scalegroup.representations import Irrep, Representation, Rotational, permutes
from scalegroup.representations.base import scale_translation

Matrix = NDArray[np.float64]
Rows = tuple[tuple[float, ...], ...]

ON_PERMUTATIONS = ("concatenated", "gated", "norm", "pointwise")  # escnn's words for the activations that may act
ON_ALL = ("gated", "norm")
_RECIPE = re.compile(r"regular|quotient\[(?P<id>.*)\]")


@final
class EscnnRepresentation(Rotational):
    """A representation of K as escnn writes it: ``τ(k) = Q (ψ_1(k) ⊕ ψ_2(k) ⊕ …) Qᵀ`` with irreps ψ.

    So it can be any: a direct sum, a tensor product. Those that escnn builds by name are known by their name alone.
    `representation` makes it from escnn's object.

    Args:
        group: a `ScaleTranslationGroup` whose compact group is an `EscnnGroup`.
        name: what escnn calls it. Alone, ``"regular"``, functions on a finite K with the components in the order of
            escnn's elements, or ``"quotient[id]"``, functions on the cosets of the subgroup with this id.
        irreps: names of the irreducible representations, with repetitions; ``None`` (default) for the names above.
        basis: the orthogonal matrix Q, as rows; ``None`` (default) for the identity.
        nonlinearities: escnn's words for the activations that may act on it, in alphabetical order.
        weight: ``None`` (default) for a copy on every scale, or the power of the scale factor.

    Raises:
        ScaleGroupError: if K is not from escnn, escnn builds nothing by the name alone, there are no irreps, or Q is
            not orthogonal or has another size.

    Example:
        >>> from scalegroup.groups import ScaleTranslationGroup
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4, rotations="icosahedral")
        >>> EscnnRepresentation(group, "quotient[(False, 5)]").components  # the corners of the solid
        12
        >>> both = EscnnRepresentation(group, "scalar and vector", ("A", "T1"))
        >>> both.components, both.size
        (4, 16)
    """

    def __init__(
        self,
        group: Group,
        name: str,
        irreps: tuple[str, ...] | None = None,
        basis: Rows | None = None,
        nonlinearities: tuple[str, ...] = ON_ALL,
        weight: float | None = None,
    ) -> None:
        rotations = scale_translation(group, "escnn").rotations
        if not isinstance(rotations, EscnnGroup):
            hint = "with rotations=EscnnGroup('octahedral') the grid's symmetries have escnn's representations"
            raise ScaleGroupError("a group whose rotations come from escnn", repr(rotations), hint)
        self.name = name
        self.nonlinearities = tuple(sorted(nonlinearities))
        if irreps is None:
            self.irreps = self.basis = None
            size = _by_name(rotations, name).size
        else:
            self.irreps = _checked_irreps(rotations, irreps)
            size = sum(len(rotations.irrep_matrix(irrep, rotations.generators[0])) for irrep in self.irreps)
            self.basis = None if basis is None else _as_basis(basis, size)
        super().__init__(group, size, weight)

    def tau(self, k: CompactElement) -> Matrix:
        rotations = k.group
        if not isinstance(rotations, EscnnGroup):
            raise ScaleGroupError("an element of an EscnnGroup", repr(k), "others have no representations of escnn")
        names, basis = self.irreps, None if self.basis is None else np.array(self.basis)
        if names is None:
            built = _by_name(rotations, self.name)
            names, basis = tuple(map(rotations.irrep_name, built.irreps)), built.change_of_basis
        return _conjugated([rotations.irrep_matrix(name, k) for name in names], basis)

    def escnn(self) -> Any:
        """escnn's object."""
        rotations = escnn_group(scale_translation(self.group, "escnn").rotations)
        if self.irreps is None:
            return _by_name(rotations, self.name)
        ids = [rotations.irrep_id(irrep) for irrep in self.irreps]
        basis = np.eye(self.components) if self.basis is None else np.array(self.basis)
        return _built(rotations.space.fibergroup, self.name, ids, basis, self.nonlinearities)

    def __str__(self) -> str:
        if self.irreps is None:
            return self._call("escnn", self.name)
        return self._call("escnn", self.name, self.irreps, self.basis, self.nonlinearities)

    def __repr__(self) -> str:
        return f"{self.group!r}.representation('escnn', {str(self).removeprefix('escnn(')}"


def representation(escnn: Any, group: ScaleTranslationGroup, weight: float | None = None) -> Representation:
    """The representation of `group` that moves components as escnn's `Representation` does.

    The trivial one becomes ``group.regular``, an irreducible one ``group.irrep(...)``, any other, also what escnn calls
    regular, an `EscnnRepresentation`. (Our word *regular* is about the scales.)

    Args:
        escnn: an `escnn.group.Representation` of ``group.rotations.space.fibergroup``.
        group: its `rotations` are an `EscnnGroup`, or trivial.
        weight: ``None`` (default) for a copy on every scale, or the power of the scale factor: the trivial one then
            becomes ``group.scalar`` or ``group.character(weight)``.

    Raises:
        ScaleGroupError: if it belongs to another group.

    Example:
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4, rotations="icosahedral")
        >>> fiber = group.rotations.space.fibergroup
        >>> print(representation(fiber.irrep(2), group), representation(fiber.regular_representation, group))
        irrep('H') escnn('regular')
    """
    fiber = space_of(group.rotations).fibergroup
    if not isinstance(escnn, escnn_groups.Representation) or escnn.group != fiber:
        hint = "take it from group.rotations.space.fibergroup"
        raise ScaleGroupError(f"a representation of escnn's {fiber}", repr(escnn), hint)
    if escnn.is_trivial():
        return _trivial(group, weight)
    rotations = group.rotations
    if not isinstance(rotations, EscnnGroup):
        raise ScaleGroupError("the trivial representation of the trivial group", repr(escnn), "repeat it in the type")
    if escnn.irreducible:
        return group.irrep(rotations.irrep_name(escnn.irreps[0]), weight)  # type: ignore[no-any-return]
    if _RECIPE.fullmatch(escnn.name) and _by_name(rotations, escnn.name) == escnn:
        return EscnnRepresentation(group, escnn.name, weight=weight)
    names = tuple(map(rotations.irrep_name, escnn.irreps))
    basis = None if np.array_equal(escnn.change_of_basis, np.eye(escnn.size)) else escnn.change_of_basis
    return EscnnRepresentation(group, escnn.name, names, basis, tuple(escnn.supported_nonlinearities), weight)


def escnn_representation(rep: Representation) -> Any:
    """escnn's `Representation` that moves the components of one scale as ours does.

    Args:
        rep: a representation of a `ScaleTranslationGroup` whose rotations escnn has.

    Raises:
        ScaleGroupError: if escnn does not have the rotations.

    Example:
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4, rotations="o3")
        >>> escnn_representation(group.irrep("1u")), escnn_representation(group.scalar)
        (O(3)|[irrep_1,1]:3, O(3)|[irrep_0,0]:1)
    """
    rotations = scale_translation(rep.group, str(rep)).rotations
    fiber = space_of(rotations).fibergroup
    components = rep.size // rep.num_scales
    if rotations.is_trivial:
        return fiber.trivial_representation if components == 1 else _sum(fiber, components)
    known = escnn_group(rotations)
    if isinstance(rep, Irrep) and rotations is known:
        return fiber.irrep(*known.irrep_id(rep.name))
    if isinstance(rep, EscnnRepresentation):
        return rep.escnn()
    ids, basis = decomposed(rep, known)
    if len(ids) == 1 and np.allclose(basis, np.eye(components), rtol=0, atol=1e-12):
        return fiber.irrep(*ids[0])
    return _built(fiber, f"scalegroup: {rep}", ids, basis, ON_PERMUTATIONS if permutes(rep) else ON_ALL)


def _trivial(group: ScaleTranslationGroup, weight: float | None) -> Representation:
    if weight is None:
        return group.regular  # type: ignore[no-any-return]
    return group.scalar if weight == 0 else group.character(weight)  # type: ignore[no-any-return]


def _by_name(rotations: EscnnGroup, name: object) -> Any:
    """What escnn builds by name: the regular representation, and those on the cosets of a subgroup."""
    fiber = rotations.space.fibergroup
    match = _RECIPE.fullmatch(name) if isinstance(name, str) and rotations.order is not None else None
    if match is not None:
        try:
            with quiet():
                if match["id"] is None:
                    return fiber.regular_representation
                return fiber.quotient_representation(ast.literal_eval(match["id"]))
        except (ValueError, SyntaxError, TypeError, AssertionError, NotImplementedError):
            pass  # an id that escnn does not know
    hint = "give the irreps for any other; escnn's page on subgroups lists the ids"
    raise ScaleGroupError(f"'regular' or 'quotient[id]' of a finite {rotations!r}", repr(name), hint)


def _checked_irreps(rotations: EscnnGroup, irreps: Any) -> tuple[str, ...]:
    if not isinstance(irreps, tuple | list) or not irreps:
        raise ScaleGroupError("a tuple of irreps, at least one", repr(irreps), f"they are {rotations.irreps}")
    return tuple(map(rotations.irrep_name, irreps))


def _as_basis(basis: Any, size: int) -> Rows:
    matrix = np.array(basis, dtype=np.float64)
    if matrix.shape != (size, size) or not np.allclose(matrix @ matrix.T, np.eye(size), rtol=0, atol=1e-6):
        hint = "lengths of vectors must not depend on the rotation"
        raise ScaleGroupError(f"an orthogonal basis of shape {(size, size)}", f"one of shape {matrix.shape}", hint)
    return tuple(map(tuple, matrix.tolist()))


def _conjugated(blocks: list[Matrix], basis: Matrix | None) -> Matrix:
    size = sum(map(len, blocks))
    whole, start = np.zeros((size, size)), 0
    for block in blocks:
        stop = start + len(block)
        whole[start:stop, start:stop] = block
        start = stop
    return whole if basis is None else basis @ whole @ basis.T


def _built(fiber: Any, name: str, ids: list[Any], basis: Matrix, nonlinearities: tuple[str, ...]) -> Any:
    """The one that escnn has by this name, or a new one."""
    known = fiber.representations.get(name)
    return known or escnn_groups.Representation(fiber, name, ids, basis, nonlinearities, change_of_basis_inv=basis.T)


def _sum(fiber: Any, count: int) -> Any:
    return escnn_groups.directsum([fiber.trivial_representation] * count)


register_representation("escnn", EscnnRepresentation)
