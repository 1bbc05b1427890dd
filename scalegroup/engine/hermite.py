"""Hermite polynomials as tensors, for functions that are evaluated at any place and not sampled beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def polynomials(u: Tensor, ahead: Sequence[float], back: Sequence[float]) -> list[Tensor]:
    """The polynomials of degree 1, 2, … with `p_{k+1}(u) = ahead[k] u p_k(u) - back[k] p_{k-1}(u)` and `p_0 = 1`.

    The three-term recurrence stays accurate at every degree. Its numbers choose the norm: those of a
    `symbolic.hermite.hermite_table` give `h_k / h_0`, and `1 / sqrt(k + 1)` with `sqrt(k / (k + 1))` the ones that are
    orthonormal for the Gaussian of width and mass 1.

    Args:
        u: places, of any shape.
        ahead: as many numbers as degrees.
        back: the same; the first is not used.

    Returns:
        One tensor like `u` for each degree from 1 on.

    Example:
        >>> [p.item() for p in polynomials(torch.tensor(2.0), ahead=[1, 1, 1], back=[0, 1, 2])]  # He_1, He_2, He_3
        [2.0, 3.0, 2.0]
    """
    found: list[Tensor] = []
    for n, (forward, backward) in enumerate(zip(ahead, back, strict=True)):
        if n == 0:
            found.append(u * forward)
        else:
            before = u.new_full((), -backward) if n == 1 else found[n - 2] * -backward
            found.append(torch.addcmul(before, u, found[n - 1], value=forward))
    return found
