"""The testing kit: how equivariant is a module, and contracts that new groups, bases and layers keep.

Nothing in scalegroup needs this package; it is for your tests and your experiments. `scalegroup.testing.strategies`
needs the package hypothesis and is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scalegroup.errors import missing_extra
from scalegroup.testing.algebra import GroupContract, RepresentationContract, check_group, check_representation
from scalegroup.testing.bases import BasisContract, check_basis
from scalegroup.testing.check import EquivarianceReport, check_equivariance
from scalegroup.testing.contract import BrokenLaw, Contract, assert_rejected
from scalegroup.testing.diffusion import Tissue, diffusion_error, gradients
from scalegroup.testing.errors import EquivarianceErrors, equivariance_error
from scalegroup.testing.inputs import AnalyticField, Blobs, Waves, centred
from scalegroup.testing.kernels import kernel_spectrum_error
from scalegroup.testing.layers import LayerContract
from scalegroup.testing.point_errors import PointErrors, point_error
from scalegroup.testing.point_layers import PointLayerContract
from scalegroup.testing.rotations import RotationErrors, rotation_error
from scalegroup.testing.sampling import circular

if TYPE_CHECKING:
    from scalegroup.testing import strategies

__all__ = [
    "AnalyticField",
    "BasisContract",
    "Blobs",
    "BrokenLaw",
    "Contract",
    "EquivarianceErrors",
    "EquivarianceReport",
    "GroupContract",
    "LayerContract",
    "PointErrors",
    "PointLayerContract",
    "RepresentationContract",
    "RotationErrors",
    "Tissue",
    "Waves",
    "assert_rejected",
    "centred",
    "check_basis",
    "check_equivariance",
    "check_group",
    "check_representation",
    "circular",
    "diffusion_error",
    "equivariance_error",
    "gradients",
    "kernel_spectrum_error",
    "point_error",
    "rotation_error",
    "strategies",
]


def __getattr__(name: str) -> Any:
    if name != "strategies":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"{__name__}.strategies")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise missing_extra("hypothesis", "test") from error
