"""Irreducible real representations of finite groups of signed permutations, as stacks of orthogonal matrices.

The named groups need four building blocks: the sign of the permutation (p), the determinant (d), the matrices
themselves (V), and the two-dimensional representation of the permutations of three axes (E). Every
irreducible representation is a product of them. Any other group gets its own by splitting its regular
representation.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Stack = NDArray[np.float64]  # (order, size, size)

_RECIPES: dict[str, dict[str, str]] = {
    "trivial": {"A": ""},
    "reflection": {"Ag": "", "Au": "d"},
    "c4": {"A": "", "B": "p", "E": "V"},
    "d4": {"A1": "", "A2": "d", "B1": "p", "B2": "pd", "E": "V"},
    "octahedral": {"A1": "", "A2": "p", "E": "E", "T1": "V", "T2": "pV"},
    "full_octahedral": {
        "A1g": "",
        "A2g": "p",
        "Eg": "E",
        "T1g": "dV",
        "T2g": "pdV",
        "A1u": "d",
        "A2u": "pd",
        "Eu": "dE",
        "T1u": "V",
        "T2u": "pV",
    },
}


@cache
def irreps_of(values: tuple[tuple[int, ...], ...], name: str | None) -> dict[str, Stack]:
    """The irreducible representations of a group, by name.

    Args:
        values: all elements as signed permutations, the identity first.
        name: the name of the group, if it has one.

    Returns:
        name of the representation -> matrices of shape ``(order, size, size)``, the trivial one first.
    """
    matrices = np.stack([np.sign(v)[:, None] * np.eye(len(v))[np.abs(v) - 1] for v in np.array(values)])
    if name is None:
        irreps = {f"R{i}": stack for i, stack in enumerate(_split_regular(matrices))}
    else:
        irreps = {key: _product(recipe, matrices) for key, recipe in _RECIPES[name].items()}
    for stack in irreps.values():
        stack.setflags(write=False)  # they are shared by all who ask
    return irreps


def _product(recipe: str, matrices: Stack) -> Stack:
    result = np.ones((len(matrices), 1, 1))
    for symbol in recipe:
        if symbol == "p":
            factor = np.rint(np.linalg.det(np.abs(matrices)))[:, None, None]
        elif symbol == "d":
            factor = np.rint(np.linalg.det(matrices))[:, None, None]
        elif symbol == "V":
            factor = matrices
        else:  # the permutations of three axes on the plane x + y + z = 0
            plane = np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, -2.0]]) / np.sqrt([2.0, 6.0])
            factor = plane.T @ np.abs(matrices) @ plane
        result = result * factor  # one of the two is always one-dimensional
    return result


def _split_regular(matrices: Stack) -> list[Stack]:
    """Split the regular representation: eigenspaces of an arbitrary symmetric matrix that commutes with it."""
    order = len(matrices)
    products = np.einsum("gij,hjk->ghik", matrices, matrices)
    table = np.abs(products[:, :, None] - matrices).sum((-1, -2)).argmin(-1)  # table[g, h]: index of g h
    regular = np.eye(order)[table].transpose(0, 2, 1)  # (g, table[g, h], h) = 1
    arbitrary = np.cos(np.arange(order**2.0)).reshape(order, order)  # the same on every machine
    commuting = np.mean(regular @ (arbitrary + arbitrary.T) @ regular.transpose(0, 2, 1), axis=0)
    eigenvalues, vectors = np.linalg.eigh(commuting)
    spaces = np.split(vectors, np.flatnonzero(np.diff(eigenvalues) > 1e-8) + 1, axis=1)
    found: list[Stack] = []
    for basis in map(canonical_basis, spaces):
        stack = basis.T @ regular @ basis
        characters = np.trace(stack, axis1=1, axis2=2)
        if not any(np.allclose(characters, np.trace(other, axis1=1, axis2=2)) for other in found):
            found.append(stack)
    # The trivial one first (its characters are the largest), then by size, then by characters.
    return sorted(found, key=lambda stack: (len(stack[0]), [-round(float(np.trace(m)), 6) for m in stack]))


def canonical_basis(space: Stack) -> Stack:
    """An orthonormal basis that depends on the span of the columns only, not on how LAPACK chose them.

    Weights of a network are learned in this basis, so it must be the same on every machine.
    """
    basis = np.empty((len(space), 0))
    for column in space @ space.T:  # the rows (and columns) of the projector on the span
        rest = column - basis @ (basis.T @ column)
        if np.linalg.norm(rest) > 1e-6:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return basis
