"""What a contraction costs."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """Work of a method on one sample of the batch.

    Attributes:
        multiply_adds: of real numbers.
        bytes: read from and written to memory.
    """

    multiply_adds: int
    bytes: int
