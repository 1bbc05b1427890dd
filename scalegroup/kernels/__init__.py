"""One-dimensional operators on grids: taps, positions, boundaries, and the error each one can have."""

from __future__ import annotations

from .taps import Taps, sample_taps

__all__ = ["Taps", "sample_taps"]
