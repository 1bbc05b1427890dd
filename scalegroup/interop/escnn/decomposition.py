"""A representation of ours as a sum of escnn's irreducible ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import CompactElement, CompactGroup
from scalegroup.interop.escnn.groups import EscnnGroup
from scalegroup.interop.escnn.names import irrep_ids
from scalegroup.representations import Representation
from scalegroup.representations.base import scale_translation

Matrix = NDArray[np.float64]


def _pairs(known: EscnnGroup, rotations: CompactGroup) -> list[tuple[CompactElement, CompactElement]]:
    """The generators of a group as escnn has it, and the same rotations in the group of our representation."""
    if known is rotations:
        return [(k, k) for k in known.generators]
    return [(CompactElement(known, known.element(own.matrix).value), own) for own in rotations.generators]


def decomposed(rep: Representation, known: EscnnGroup) -> tuple[list[Any], Matrix]:
    """escnn's irreps in a representation, and the orthogonal Q that takes their direct sum to it.

    For each irrep ψ the matrices X with ``τ(k) X = X ψ(k)`` are found; by Schur's lemma ``XᵀX`` is a multiple of one.
    """
    pairs = _pairs(known, scale_translation(rep.group, str(rep)).rotations)
    taus = [rep.rotation(own) for _, own in pairs]
    size = len(taus[0])
    basis = np.zeros((size, 0))
    ids: list[Any] = []
    for name, identifier in irrep_ids(known.name, size).items():
        psis = [known.irrep_matrix(name, k) for k, _ in pairs]
        rows = [
            np.kron(tau, np.eye(len(psi))) - np.kron(np.eye(size), psi.T) for tau, psi in zip(taus, psis, strict=True)
        ]
        _, values, vectors = np.linalg.svd(np.concatenate(rows))
        for vector in vectors[values < 1e-9]:
            x = vector.reshape(size, -1)
            x = x - basis @ (basis.T @ x)
            norm = np.linalg.norm(x) / np.sqrt(x.shape[1])
            if norm > 1e-6:
                basis = np.column_stack([basis, x / norm])
                ids.append(identifier)
        if basis.shape[1] == size:
            return ids, basis
    raise ScaleGroupError("a representation of the rotations", str(rep), "its matrices do not multiply as theirs")
