"""Field types of escnn and ours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup
from scalegroup.interop.escnn.groups import EscnnGroup
from scalegroup.interop.escnn.library import gspaces, nn
from scalegroup.interop.escnn.representations import escnn_representation, representation
from scalegroup.interop.escnn.spaces import space_of
from scalegroup.representations.base import scale_translation


def field_type(
    escnn_type: Any, *, base: float = 2**0.5, num_scales: int = 4, first: int = 0, weight: float | None = None
) -> FieldType:
    """Our type of fields that escnn takes for several fields of one representation: its multiplicity is the scale axis.

    Of n equal neighbours in escnn's type, `num_scales` at a time are the scales of one field of ours. So a layer of
    ours with the translated types can stand where a layer of escnn stood. Channels come in another order, see
    `channel_order`; `as_escnn` takes care of it.

    Args:
        escnn_type: an `escnn.nn.FieldType` on volumes or images, of a group that `EscnnGroup` has.
        base: ratio of neighbouring scales.
        num_scales: number of scales.
        first: exponent of the first scale, as for `ScaleTranslationGroup`.
        weight: ``None`` (default) for fields on every scale; with a number, usually 0.0, the fields are on space
            alone, as the input of a network is, and this is the power of the scale that they are multiplied by.

    Returns:
        The type, of a `ScaleTranslationGroup` whose rotations are an `EscnnGroup`.

    Raises:
        FieldTypeError: if it is no field type of escnn, if we do not have its group, or if the number of equal
            neighbours is no multiple of `num_scales`.

    Example:
        >>> from scalegroup.interop.escnn import EscnnGroup
        >>> space = EscnnGroup("so3").space
        >>> vectors = space.type(*[space.irrep(1)] * 8)
        >>> print(field_type(vectors, num_scales=4), "and", field_type(vectors, weight=0.0))
        2*irrep('1') and 8*irrep('1', weight=0.0)
    """
    if not isinstance(escnn_type, nn.FieldType):
        hint = "for example space.type(space.trivial_repr), with space = escnn.gspaces.rot3dOnR3()"
        raise FieldTypeError("an escnn.nn.FieldType", repr(escnn_type), hint)
    rotations = _rotations(escnn_type.gspace)
    dim = escnn_type.gspace.dimensionality
    group = ScaleTranslationGroup(dim=dim, base=base, num_scales=num_scales, rotations=rotations, first=first)
    copies = num_scales if weight is None else 1
    blocks = []
    for rep, equal in groupby(escnn_type.representations):
        count = len(list(equal))
        if count % copies:
            hint = "the scales of a field are neighbours there; weight=0.0 is for fields without scales"
            raise FieldTypeError(f"a multiple of {copies} equal neighbours in escnn's type", f"{count} of {rep}", hint)
        blocks.append((count // copies, representation(rep, group, weight)))
    return FieldType(group, tuple(blocks))


def escnn_field_type(field: FieldType) -> Any:
    """The `escnn.nn.FieldType` in which each scale is a field of its own.

    Args:
        field: a type of a `ScaleTranslationGroup` in the plane or space whose rotations escnn has.

    Raises:
        ScaleGroupError: if escnn does not have the rotations.

    Example:
        >>> group = ScaleTranslationGroup(dim=3, num_scales=4, rotations="so3")
        >>> escnn_field_type(2 * group.irrep(1) + 1 * group.scalar)
        [SO(3)_on_R3[so3]: {irrep_1 (x8), irrep_0 (x1)}(25)]
    """
    space = space_of(scale_translation(field.group, str(field)).rotations)
    found = {rep: escnn_representation(rep) for _, rep in field.blocks}
    return nn.FieldType(space, [found[rep] for count, rep in field.blocks for _ in range(count * rep.num_scales)])


def channel_order(field: FieldType) -> NDArray[np.int64]:
    """Where escnn's channels are among ours: ``x[:, channel_order(field)]`` is in escnn's order.

    Within a block of ours the multiplicity is slowest, then the component, and the scale fastest; escnn has the
    component fastest, so multiplicity, scale, component.

    Args:
        field: a type of ours.

    Returns:
        Shape ``(field.size,)``; its `argsort` leads back.

    Example:
        >>> group = ScaleTranslationGroup(dim=3, num_scales=2, rotations="so3")
        >>> channel_order(1 * group.irrep(1)).tolist()
        [0, 2, 4, 1, 3, 5]
    """
    parts = [
        np.arange(block.start, block.stop).reshape(count, -1, rep.num_scales).transpose(0, 2, 1).ravel()
        for (count, rep), block in zip(field.blocks, field.slices, strict=True)
    ]
    return np.concatenate(parts)


def _rotations(space: Any) -> CompactGroup | None:
    """The compact group of a `GSpace`, None for the trivial one."""
    if space in (gspaces.trivialOnR2(), gspaces.trivialOnR3()):
        return None
    for name in _candidates(space):
        if EscnnGroup(name).space == space:
            return EscnnGroup(name)
    hint = "such as escnn.gspaces.rot3dOnR3(); subgroups about one axis of space are not among them"
    raise FieldTypeError("the space of a group that EscnnGroup has", str(space), hint)


def _candidates(space: Any) -> Iterator[str]:
    if space.dimensionality == 3:
        yield from ("so3", "o3", "octahedral", "full_octahedral", "icosahedral", "full_icosahedral")
    elif space.dimensionality == 2:
        order = space.fibergroup.order()
        yield from ("so2", "o2") if order < 0 else (f"c{order}", f"d{order // 2}")
