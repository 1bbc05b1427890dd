"""How a number of channels becomes a field type that turns with the volume."""

from __future__ import annotations

from collections.abc import Callable

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup, SignedPermutations
from scalegroup.representations import on_scales

Fields = Callable[[ScaleTranslationGroup, int], FieldType]


def turning_fields(group: ScaleTranslationGroup, count: int) -> FieldType:
    """So many fields on every scale of the window: half of them scalars, the others turn with the volume.

    Without rotations all are `group.regular`. For an infinite group, such as "so3", those that turn are
    `group.irrep(1)` (vectors) and `group.irrep(2)`, in equal parts. For a finite one they are functions that it
    permutes, on which activations act number by number: of the symmetries of the grid, functions on the directions of
    the axes (6 numbers in 3-D for "octahedral", 4 in 2-D for "c4"), of others, functions on the group itself.

    Args:
        group: the group of the network.
        count: number of fields.

    Example:
        >>> print(turning_fields(ScaleTranslationGroup(dim=3, num_scales=3), 8))
        8*regular
        >>> octahedral = ScaleTranslationGroup(dim=3, num_scales=3, rotations="octahedral")
        >>> [(multiplicity, rep.size // rep.num_scales) for multiplicity, rep in turning_fields(octahedral, 8)]
        [(4, 1), (4, 6)]
    """
    turning = 0 if group.rotations.is_trivial else count // 2
    blocks = [(count - turning, group.regular)]
    if group.rotations.order is None:
        blocks += [(turning - turning // 2, group.irrep(1)), (turning // 2, group.irrep(2))]
    elif turning:
        blocks += [(turning, group.quotient(_around_an_axis(group)))]
    return FieldType(group, tuple((multiplicity, rep) for multiplicity, rep in blocks if multiplicity))


def _around_an_axis(group: ScaleTranslationGroup) -> SignedPermutations | None:
    """The elements that keep an axis, the one that turns into most directions; None: the identity alone."""
    rotations = group.rotations
    if not isinstance(rotations, SignedPermutations):
        return None
    axes = range(1, group.dim + 1)
    kept = min(([value for value in rotations.values if value[axis - 1] == axis] for axis in axes), key=len)
    inside = SignedPermutations(kept[:1])  # the identity
    for value in kept:  # as few generators as may be: they are what is printed
        if value not in inside.values:
            known = () if inside.is_trivial else [g.value for g in inside.generators]
            inside = SignedPermutations([*known, value])
    return None if inside.is_trivial else inside


def level_fields(group: ScaleTranslationGroup, count: int, fields: Fields | None) -> FieldType:
    """The field type of a level with so many channels: that of `fields`, or `turning_fields`."""
    if fields is None:
        return turning_fields(group, count)
    if not callable(fields):
        hint = "an example is lambda group, count: count * group.quotient()"
        raise ScaleGroupError("fields, a function of a group and a number of channels", repr(fields), hint)
    made = fields(group, count)
    if not isinstance(made, FieldType) or made.group != group:
        raise ScaleGroupError("fields that returns a FieldType of the group it is given", repr(made), "use its group")
    if not all(on_scales(rep) for _, rep in made):
        hint = "write group.regular for scalars, and irreps and quotients without a weight"
        raise ScaleGroupError("fields that returns representations on the scales", str(made), hint)
    return made


def side_by_side(one: FieldType, other: FieldType) -> FieldType:
    """The fields of both, those of one representation in one block.

    Example:
        >>> group = ScaleTranslationGroup(dim=3, num_scales=3, rotations="octahedral")
        >>> vectors = group.irrep("T1")
        >>> print(side_by_side(2 * group.regular + 1 * vectors, 3 * group.regular + 4 * vectors))
        5*regular + 5*irrep('T1')
    """
    counts = dict.fromkeys((rep for _, rep in (*one, *other)), 0)
    for count, rep in (*one, *other):
        counts[rep] += count
    return FieldType(one.group, tuple((count, rep) for rep, count in counts.items()))
