"""Kernel bases: exact in SymPy, compiled to float64 tables or numpy code, with proofs of their laws."""

from __future__ import annotations

from scalegroup.symbolic.basis import Basis
from scalegroup.symbolic.dilated import DilatedBasis
from scalegroup.symbolic.discrete_gaussian import DiscreteGaussianBasis, discrete_gaussian
from scalegroup.symbolic.fixed_hermite import FixedHermiteBasis
from scalegroup.symbolic.fourier_bessel import FourierBesselBasis
from scalegroup.symbolic.free import FreeBasis
from scalegroup.symbolic.hermite import HermiteBasis, hermite_function
from scalegroup.symbolic.joint import JointBasis
from scalegroup.symbolic.log_radial import LogRadialBasis
from scalegroup.symbolic.parity import ParityBasis
from scalegroup.symbolic.proofs import Proof, prove_rotation_closure, prove_scale_law
from scalegroup.symbolic.splines import ResizedBasis, SplineBasis, b_spline, scale_splines
from scalegroup.symbolic.symbolic_basis import SymbolicBasis

__all__ = [
    "Basis",
    "DilatedBasis",
    "DiscreteGaussianBasis",
    "FixedHermiteBasis",
    "FourierBesselBasis",
    "FreeBasis",
    "HermiteBasis",
    "JointBasis",
    "LogRadialBasis",
    "ParityBasis",
    "Proof",
    "ResizedBasis",
    "SplineBasis",
    "SymbolicBasis",
    "b_spline",
    "discrete_gaussian",
    "hermite_function",
    "prove_rotation_closure",
    "prove_scale_law",
    "scale_splines",
]
