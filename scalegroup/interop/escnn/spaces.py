"""The group and the space in escnn for any rotations of ours."""

from __future__ import annotations

from typing import Any

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactGroup
from scalegroup.interop.escnn.groups import EscnnGroup
from scalegroup.interop.escnn.library import gspaces
from scalegroup.interop.escnn.names import is_known


def escnn_group(rotations: CompactGroup) -> EscnnGroup:
    """The compact group as escnn has it; the octahedral ones and ``c4``, ``d4`` are known here and there by one name.

    Example:
        >>> escnn_group(CompactGroup.named("octahedral"))
        EscnnGroup('octahedral')
    """
    if isinstance(rotations, EscnnGroup):
        return rotations
    name = getattr(rotations, "name", None)
    if not isinstance(name, str) or not is_known(name):
        hint = "name one: octahedral, full_octahedral, icosahedral, so3, o3; in the plane cN, dN, so2, o2"
        raise ScaleGroupError("rotations that escnn has", repr(rotations), hint)
    return EscnnGroup(name)


def space_of(rotations: CompactGroup) -> Any:
    """escnn's `GSpace` for these rotations, also for none."""
    if rotations.is_trivial and rotations.dim in (2, 3):
        return gspaces.trivialOnR2() if rotations.dim == 2 else gspaces.trivialOnR3()
    return escnn_group(rotations).space
