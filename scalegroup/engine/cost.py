"""What a contraction costs."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """Work of a method on one sample of the batch, forward.

    Attributes:
        multiply_adds: of real numbers, as many as are carried out.
        bytes: moved between the processor and the memory; what stays in a cache does not count.
        calls: steps that each have a price of their own, whatever the size.

    Example:
        >>> import torch
        >>> from scalegroup.engine import AxisOperator, Contraction, Term, cost_of
        >>> blur = Contraction(((0, 0),), (Term(0, 0, 0, 0),), (1,))
        >>> axis = AxisOperator(torch.ones(1, 3), start=-1, stride=1, n_in=8, n_out=8)
        >>> cost_of("dense", (1, 1, 1, 1), [[axis] * 2], blur)
        Cost(multiply_adds=585, bytes=840, calls=1)
    """

    multiply_adds: int
    bytes: int
    calls: int
