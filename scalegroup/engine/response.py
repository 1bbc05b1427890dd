"""The continuous functions behind the taps of an axis, and their transfer functions on a periodic grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine.opaque import opaque
from scalegroup.errors import ScaleGroupError
from scalegroup.kernels.taps import SAMPLED_IS_GOOD
from scalegroup.symbolic import Basis
from scalegroup.symbolic.basis import Array, ComplexArray

# Bases by their repr, which evaluates back to them: torch.compile can hand on a text, but not any object.
_BASES: dict[str, Basis] = {}
_PROBE = np.linspace(0, 2 * pi, 65)  # frequencies, times the width, at which bases of one repr are compared


@dataclass(frozen=True)
class Response:
    """What the taps of an axis approximate: the functions of a basis at one width.

    `y_f(p) = ∫ x(p + u) h_f(u / sigma) / sigma du`, on a wave `x(u) = e^{iwu}` the factor `ĥ_f(sigma w) e^{iwp}`.

    Args:
        basis: the functions.
        sigma: their width, in samples of the fine grid.
        centre: where the output point lies, in samples right of the first tap.

    Attributes:
        resolved: whether the grid holds the functions: above its Nyquist frequency they are below 1e-3 of their
            maximum. A Hermite basis of order 2 is resolved from `sigma = 1.4` on.

    Raises:
        ScaleGroupError: for a basis with the `repr` of another one that has other functions.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> [Response(HermiteBasis(order=2), sigma, 9.0).resolved for sigma in (1.0, 2.0)]
        [False, True]
    """

    basis: Basis
    sigma: float
    centre: float
    name: str = field(init=False, repr=False, compare=False)
    resolved: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", repr(self.basis))
        known = _BASES.setdefault(self.name, self.basis)
        # By what is looked up too: copies of a basis that does not define equality are still the same functions.
        if known != self.basis and not np.array_equal(known.transfer(_PROBE), self.basis.transfer(_PROBE)):
            hint = "give the basis a repr that tells it apart from others, with all that its functions depend on"
            raise ScaleGroupError("the same functions from all bases of one repr", self.name, hint)
        object.__setattr__(self, "resolved", _resolved(self.name, self.sigma))

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew where it is unpickled, so that its basis is known there."""
        return Response, (self.basis, self.sigma, self.centre)


@lru_cache(maxsize=1024)
def _resolved(name: str, sigma: float) -> bool:
    """Once for all layers: a network has many, of few widths."""
    sizes = np.abs(_BASES[name].transfer(np.linspace(0, pi, 129) * sigma))
    return bool((sizes[:, -1] <= SAMPLED_IS_GOOD * sizes.max(axis=1)).all())


@opaque
def ideal_transfer(name: str, sigma: float, position: float, period: int, eps: float, device: torch.device) -> Tensor:
    """`ĥ_f(sigma w) e^{iw position}` at `w = 2πk / period` for `k = 0 … K`: shape `(F1, K + 1, 2)`, real and imaginary.

    K is the last frequency where a function exceeds `eps` of the largest value.
    """
    k = np.arange(period // 2 + 1)
    w = 2 * pi / period * k
    turns = np.fmod(k * position, period) / period  # whole turns are left out, which keeps the angles exact
    values = _BASES[name].transfer(sigma * w) * np.exp(2j * pi * turns)
    if period % 2 == 0:
        values[:, -1] = values[:, -1].real  # of the two waves at the Nyquist frequency the mean
    sizes = np.abs(values).max(axis=0)
    top = int(np.flatnonzero(sizes > eps * sizes.max(initial=0.0)).max(initial=0))
    return _as_pairs(values[:, : top + 1], device)


@opaque
def tap_waves(start: int, length: int, period: int, device: torch.device) -> Tensor:
    """`e^{2πi k (start + l) / period}` for the taps `l` and `k = 0 … period // 2`: `(length, K + 1, 2)`."""
    turns = np.outer(np.arange(start, start + length), np.arange(period // 2 + 1)) % period
    return _as_pairs(np.exp(2j * pi / period * turns), device)


def _as_pairs(values: ComplexArray, device: torch.device) -> Tensor:
    pairs: Array = np.stack([values.real, values.imag], axis=-1)
    return torch.tensor(pairs, device=device)
