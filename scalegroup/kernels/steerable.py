"""The linear constraint that rotations put on the weights of a kernel, solved for any group and any basis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError

Array = npt.NDArray[np.float64]

INDEPENDENT = 1e-6  # of a column that others do not span
SAME = 1e-6  # numbers that differ by rounding: matrices may come from tables in single precision


def steerable(rho_out: Array, rho_in: Array, action: Array, *, every_element: bool) -> Array:
    """The kernels `κ(u) = Σ_f C_f ψ_f(u)` with `κ(k u) = ρ_out(k) κ(u) ρ_in(k)⁻¹` for all k of a compact group.

    With `ψ(k u) = A(k) ψ(u)` that is `ρ_out(k) C_g ρ_in(k)⁻¹ = Σ_f C_f A(k)[f, g]`: the invariants of
    `ρ_out ⊗ ρ_in ⊗ A⁻ᵀ`, a linear problem that needs no table of Clebsch-Gordan coefficients. For a finite group they
    are what its mean projects on; for an infinite one, what two or three elements leave alone that generate a dense
    part of it.

    Args:
        rho_out: matrices of the output's representation, orthogonal, `(elements, d_out, d_out)`.
        rho_in: those of the input's, `(elements, d_in, d_in)`.
        action: how the elements mix the functions of the basis, `(elements, F, F)`.
        every_element: whether the elements are all of a finite group, or generators.

    Returns:
        Orthonormal columns that span the solutions, `(d_out * d_in * F, M)`, the same on every machine: weights of a
        network are learned in this basis. Each is made of functions of one total degree, if the action keeps degrees.

    Raises:
        ScaleGroupError: for matrices that are not orthogonal or, of a finite group, do not multiply as its elements do.

    Source: Weiler et al. 2018, "3D Steerable CNNs", eq. 7; Lang and Weiler 2021, "A Wigner-Eckart theorem for group
        equivariant convolution kernels".

    Example:
        >>> turn = np.array([[[0.0, -1.0], [1.0, 0.0]]])  # by 90 degrees: vectors to vectors by one number each …
        >>> steerable(turn, turn, np.ones((1, 1, 1)), every_element=False).round(3).T.tolist()  # … lengths and turns
        [[0.707, 0.0, 0.0, 0.707], [0.0, 0.707, -0.707, 0.0]]
    """
    for rho in (rho_out, rho_in):
        error = float(np.abs(rho @ rho.transpose(0, 2, 1) - np.eye(rho.shape[1])).max())
        if error > SAME:
            expected, hint = "orthogonal matrices of a representation", "choose components in which lengths stay"
            raise ScaleGroupError(expected, f"matrices that are off by {error:.2g}", hint)
    back = np.linalg.inv(action)  # (elements, F, F)
    length = rho_out.shape[1] * rho_in.shape[1] * back.shape[1]
    if every_element:
        traces = (np.trace(matrices, axis1=1, axis2=2) for matrices in (rho_out, rho_in, back))
        mean = float(reduce(np.multiply, traces).mean())
        if abs(mean - round(mean)) > SAME:
            expected = "matrices that multiply as the elements of the group do"
            raise ScaleGroupError(expected, f"{mean:.3g} kernels", "see testing.RepresentationContract")
        return _independent(_means(rho_out, rho_in, back), round(mean), length)
    space = np.concatenate([_kept(rho_out, rho_in, back, part) for part in _parts(back)])
    return _independent([space.T @ space], len(space), length)


def _kept(rho_out: Array, rho_in: Array, back: Array, part: npt.NDArray[np.int64]) -> Array:
    """Orthonormal rows `(M, length)`: what the elements leave alone among these functions of the basis."""
    own = back[:, part[:, None], part]
    maps = [np.kron(np.kron(one, two), three.T) for one, two, three in zip(rho_out, rho_in, own, strict=True)]
    moved = np.concatenate([matrix - np.eye(len(matrix)) for matrix in maps])
    _, values, rows = np.linalg.svd(moved, full_matrices=False)
    found = rows[int((values > 1e-8).sum()) :]
    pairs, functions = len(rows) // len(part), back.shape[1]
    space = np.zeros((len(found), pairs, functions))
    space[:, :, part] = found.reshape(len(found), pairs, len(part))
    return space.reshape(len(found), pairs * functions)


def _parts(action: Array) -> list[npt.NDArray[np.int64]]:
    """The functions in sets that do not mix, of one total degree say: one large problem becomes several small ones."""
    together = (np.abs(action) > 1e-12 * np.abs(action).max()).any(axis=0)
    together |= together.T
    for _ in range(len(together).bit_length()):
        together = together @ together
    return [np.flatnonzero(row) for row in np.unique(together, axis=0)]


def _means(rho_out: Array, rho_in: Array, back: Array) -> Iterator[Array]:
    """The projections of the unit vectors `(out, in, f)`, as columns in this order, F at a time."""
    for a in range(rho_out.shape[-1]):
        for b in range(rho_in.shape[-1]):
            block = np.einsum("kp,kq,kfr->pqrf", rho_out[:, :, a], rho_in[:, :, b], back, optimize=True)
            yield block.reshape(-1, block.shape[-1]) / len(rho_out)


def _independent(blocks: Iterable[Array], count: int, length: int) -> Array:
    """The first `count` independent ones of some columns, which come in blocks, made orthonormal in their order."""
    basis = np.empty((length, count))
    found = 0
    for block in blocks:
        if found == count:
            break
        start = found
        rest = _without(block, basis[:, :start])
        for column in rest.T:
            column = _without(column, basis[:, start:found])
            size = float(np.linalg.norm(column))
            if size > INDEPENDENT and found < count:
                basis[:, found] = column / size
                found += 1
    basis[np.abs(basis) < 1e-14] = 0.0
    return basis


def _without(columns: Array, known: Array) -> Array:
    """Columns less what orthonormal ones span; twice is enough for orthogonality to rounding."""
    once = columns - known @ (known.T @ columns)
    return once - known @ (known.T @ once)
