"""Between which blocks of two field types a convolution leads, and on which window of scales."""

from __future__ import annotations

from math import isnan

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.module import group_of, has_scales
from scalegroup.representations import on_scales


def check_blocks(field: FieldType) -> None:
    """Only fields on the scales, or with a power of the scale."""
    for _, rep in field.blocks:
        if rep.weight is not None and isnan(rep.weight):
            hint = "give your representation a `weight`: None for a copy on every scale, or the power of the scale"
            raise FieldTypeError("fields on the scales, or with a power of the scale", str(field), hint)


def paths(in_type: FieldType, out_type: FieldType) -> list[tuple[int, int]]:
    """Pairs of an input and an output block with a convolution between them: one of the two has scales."""
    found = [
        (i, j)
        for j, (_, out_rep) in enumerate(out_type.blocks)
        for i, (_, in_rep) in enumerate(in_type.blocks)
        if on_scales(in_rep) or on_scales(out_rep)
    ]
    if {j for _, j in found} != set(range(len(out_type.blocks))):
        hint = "lift to group.regular first, or use nn.Linear between scalars"
        raise FieldTypeError("fields on the scales on one side at least", f"{in_type} -> {out_type}", hint)
    return found


def out_window(in_type: FieldType, out_type: FieldType, extent: int, scale_padding: str, transposed: bool) -> FieldType:
    """`out_type` on the window that the interaction of scales leaves: narrower (wider, transposed) if "valid"."""
    if not (has_scales(in_type) and has_scales(out_type)):
        return out_type if has_scales(out_type) else out_type.with_group(in_type.group)
    group = group_of(in_type)
    lost = extent - 1 if scale_padding == "valid" else 0
    if lost >= group.num_scales and not transposed:
        hint = "use fewer scale_extent or more num_scales"
        raise FieldTypeError(f"more than {lost} scales for scale_padding='valid'", f"{group.num_scales}", hint)
    window = group.window(num_scales=group.num_scales + (lost if transposed else -lost), first=group.first)
    if out_type.group not in (window, group):
        raise FieldTypeError(f"out_type on {window}", str(out_type.group), "use out_type.with_group(...)")
    return out_type.with_group(window)
