"""What escnn knows of its groups: the spaces they act on, and the matrices of their elements, made once."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalegroup.interop.escnn.names import EscnnId, order_of

Matrix = NDArray[np.float64]

# escnn has points (x, y, z) and tensors with the axes (-z, -y, x); in the plane (x, y) and (-y, x). Everything outside
# this package is in the order of the tensor's axes.
AXES = {2: np.array([[0.0, -1.0], [1.0, 0.0]]), 3: np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])}
_GENERIC = math.pi * (3 - math.sqrt(5))  # the golden angle: its multiples stay far from full turns


def tensor_axes(matrix: Matrix) -> Matrix:
    """A matrix on escnn's points as one on the tensor's axes; what is zero but for rounding becomes zero."""
    axes = AXES[len(matrix)]
    moved = axes @ matrix @ axes.T
    return np.where(np.abs(moved) < 1e-15, 0.0, moved)


@cache
def space(name: str) -> Any:
    """escnn's `GSpace`."""
    from scalegroup.interop.escnn.library import gspaces, quiet

    builders = {
        "so3": gspaces.rot3dOnR3,
        "o3": gspaces.flipRot3dOnR3,
        "icosahedral": gspaces.icoOnR3,
        "full_icosahedral": gspaces.fullIcoOnR3,
        "octahedral": gspaces.octaOnR3,
        "full_octahedral": gspaces.fullOctaOnR3,
    }
    with quiet():
        if name in builders:
            return builders[name]()
        planar = gspaces.flipRot2dOnR2 if name[0] in "od" else gspaces.rot2dOnR2
        return planar(-1 if name in ("so2", "o2") else int(name[1:]))


def fiber(name: str) -> Any:
    """escnn's group."""
    return space(name).fibergroup


@cache
def places(name: str) -> tuple[int, ...]:
    """The order of escnn's elements here: the identity first."""
    elements = list(fiber(name).elements)
    first = elements.index(fiber(name).identity)
    return (first, *(place for place in range(len(elements)) if place != first))


@cache
def matrices(name: str) -> Matrix:
    """The matrices of all elements of a finite group, ``(order, dim, dim)``."""
    elements = fiber(name).elements
    stack = np.stack([tensor_axes(space(name).basespace_action(elements[place])) for place in places(name)])
    stack[0] = np.eye(stack.shape[-1])
    stack.setflags(write=False)
    return stack


@cache
def irrep_matrices(name: str, identifier: EscnnId) -> Matrix:
    """The matrices of an irreducible representation of a finite group, ``(order, size, size)``."""
    from scalegroup.interop.escnn.library import quiet

    elements = fiber(name).elements
    with quiet():
        irrep = fiber(name).irrep(*identifier)
        return np.stack([np.asarray(irrep(elements[place]), dtype=np.float64) for place in places(name)])


@cache
def generators(name: str) -> tuple[Matrix, ...]:
    """Matrices of elements that generate the group, or a part of it that comes as near as you like to all of it."""
    if order_of(name) is not None:
        return tuple(tensor_axes(space(name).basespace_action(element)) for element in fiber(name).generators)
    c, s = math.cos(_GENERIC), math.sin(_GENERIC)
    turn = np.array([[c, -s], [s, c]])
    if name in ("so2", "o2"):
        return (turn,) if name == "so2" else (turn, np.diag([1.0, -1.0]))
    around_last, around_first = np.eye(3), np.eye(3)
    around_last[:2, :2] = around_first[1:, 1:] = turn
    return (around_last, around_first) if name == "so3" else (around_last, around_first, -np.eye(3))
