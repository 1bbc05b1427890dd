"""Kernel bases: exact in SymPy, compiled to float64 tables, evaluated with numpy alone."""

from __future__ import annotations

from .basis import Basis
from .hermite import HermiteBasis, hermite_function

__all__ = ["Basis", "HermiteBasis", "hermite_function"]
