"""Rotations and representations from escnn, and its modules and ours in one network.

Everything is loaded when it is asked for: looking up the name of a group imports neither torch nor escnn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scalegroup.groups import CompactGroup
from scalegroup.interop.escnn.names import is_known

if TYPE_CHECKING:
    from scalegroup.interop.escnn.fields import channel_order, escnn_field_type, field_type
    from scalegroup.interop.escnn.groups import EscnnGroup
    from scalegroup.interop.escnn.modules import as_escnn, from_escnn
    from scalegroup.interop.escnn.representations import EscnnRepresentation, escnn_representation, representation

__all__ = [
    "EscnnGroup",
    "EscnnRepresentation",
    "as_escnn",
    "channel_order",
    "compact_group",
    "escnn_field_type",
    "escnn_representation",
    "field_type",
    "from_escnn",
    "representation",
]

_HOMES = {
    "EscnnGroup": "groups",
    "EscnnRepresentation": "representations",
    "as_escnn": "modules",
    "channel_order": "fields",
    "escnn_field_type": "fields",
    "escnn_representation": "representations",
    "field_type": "fields",
    "from_escnn": "modules",
    "representation": "representations",
}


def compact_group(name: str, dim: int | None = None) -> CompactGroup | None:
    """The `EscnnGroup` with this name if escnn has it, else None; `CompactGroup.named` asks here for names it lacks.

    Args:
        name: such as ``"so3"``.
        dim: not needed; the names tell it.

    Raises:
        MissingExtraError: if escnn has it, and is not installed.

    Example:
        >>> compact_group("monster") is None
        True
    """
    if not is_known(name):
        return None
    from scalegroup.interop.escnn.groups import EscnnGroup

    return EscnnGroup(name)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
