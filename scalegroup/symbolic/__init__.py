"""Kernel bases: exact in SymPy, compiled to float64 tables, evaluated with numpy alone."""

from __future__ import annotations

from scalegroup.symbolic.basis import Basis
from scalegroup.symbolic.hermite import HermiteBasis, hermite_function

__all__ = ["Basis", "HermiteBasis", "hermite_function"]
