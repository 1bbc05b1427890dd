"""What layers without a scale axis share."""

from __future__ import annotations

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.nn.module import EquivariantModule, group_of
from scalegroup.representations import Scalar


class ScalarModule(EquivariantModule):
    """Base of the layers that need no scale axis: maps from scalar fields to scalar fields.

    Args:
        in_type: type of the input field, scalars.
        out_type: type of the output field, scalars of the same group.

    Raises:
        FieldTypeError: for other fields, or a group with rotations, which such layers do not know.
    """

    def __init__(self, in_type: FieldType, out_type: FieldType) -> None:
        super().__init__(in_type, out_type)
        name = type(self).__name__
        for field in (in_type, out_type):
            if not all(isinstance(rep, Scalar) for _, rep in field.blocks):
                hint = "the layer has no scale axis; write for example 16 * group.scalar"
                raise FieldTypeError(f"scalar fields for {name}", str(field), hint)
        if not group_of(in_type).rotations.is_trivial:
            hint = "leave the rotations out of the group"
            raise FieldTypeError(f"a group without rotations for {name}", repr(in_type.group), hint)
