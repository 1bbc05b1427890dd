"""Feature fields: their types, and the action of the group on sampled ones."""

from __future__ import annotations

from scalegroup.fields.action import act
from scalegroup.fields.field_type import FieldType

__all__ = ["FieldType", "act"]
