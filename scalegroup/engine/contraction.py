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

    Attributes:
        target: scale of the output.
        source: scale of the input.
        operator: which operators are applied, one for each axis.
        tap: which of the weights over neighbouring scales.

    Example:
        >>> [Term(target=s, source=s + t, operator=s, tap=t) for s in range(2) for t in range(2) if s + t < 2]
        [Term(target=0, source=0, operator=0, tap=0), Term(target=0, source=1, operator=0, tap=1), ...]
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

    Raises:
        ScaleGroupError: for an output scale that no term writes.

    Example:
        >>> lifting = Contraction(products=((0, 0), (0, 1)), terms=(Term(0, 0, 0, 0), Term(1, 0, 1, 0)), outputs=(2,))
        >>> [(term.source, term.target) for term in lifting.terms]
        [(0, 0), (0, 1)]
        >>> Contraction(((0, 0),), (Term(0, 0, 0, 0),), outputs=(2,))
        Traceback (most recent call last):
        scalegroup.errors.ScaleGroupError: expected a term for each of 2 output scales, received none for [1]; ...
    """

    products: tuple[tuple[int, ...], ...]
    terms: tuple[Term, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        bare = sorted(set(range(sum(self.outputs))) - {term.target for term in self.terms})
        if bare:
            hint = "an output without a term would not be written"
            raise ScaleGroupError(f"a term for each of {sum(self.outputs)} output scales", f"none for {bare}", hint)
