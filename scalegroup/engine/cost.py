"""What a contraction costs."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """Work of a method on one sample of the batch, forward.

    Attributes:
        multiply_adds: of real numbers, as many as are carried out.
        bytes: moved between the processor and the memory; what stays in a cache does not count.
        calls: steps that each have a price of their own, whatever the size.
    """

    multiply_adds: int
    bytes: int
    calls: int
