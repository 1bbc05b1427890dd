"""What is to be computed, apart from how: the terms of a contraction over scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from scalegroup.errors import ScaleGroupError


class Term(NamedTuple):
    """One summand `y[target] += W[:, :, tap] · A[operator] x[source]`; all four are indices.

    Scales are counted through all stacks, see `Contraction`.

    Lifting has the terms `(s, 0, s, 0)`, group convolution `(s, s+t, s, t)`, the sum over scales
    `(0, s, s, 0)`, a transposed group convolution `(s+t, s, s, t)`.
    """

    target: int
    source: int
    operator: int
    tap: int


@dataclass(frozen=True)
class Contraction:
    """A contraction `y[o,s] = Σ_{c,t,f} W[o,c,t,f] (A_1[f_1] ⊗ A_2[f_2] ⊗ …) x[c,s']`.

    Inputs and outputs are sequences of *stacks* `(batch, channels, scales, *space)`: the scales that share a grid are
    one tensor. A field with all scales on one grid is one stack, a field with a grid for each scale a stack of one
    scale each.

    Args:
        products: for each basis function `f` the indices of its one-dimensional factors, one per axis.
        terms: which scales feed which.
        outputs: number of scales in each output stack; every scale is the target of a term.
    """

    products: tuple[tuple[int, ...], ...]
    terms: tuple[Term, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        bare = sorted(set(range(sum(self.outputs))) - {term.target for term in self.terms})
        if bare:
            hint = "an output without a term would not be written"
            raise ScaleGroupError(f"a term for each of {sum(self.outputs)} output scales", f"none for {bare}", hint)
