"""Scale-equivariant layers: types on the module, plain tensors in `forward`."""

from scalegroup.engine import Points, cloud_spacing, farthest_points
from scalegroup.nn.conv import GroupConv, GroupConvTranspose
from scalegroup.nn.differential_invariants import DifferentialInvariants
from scalegroup.nn.diffusion_conv import DiffusionGroupConv
from scalegroup.nn.diffusion_pool import DiffusionPool
from scalegroup.nn.diffusion_space import each_q
from scalegroup.nn.downsample import Downsample
from scalegroup.nn.dropout import Dropout
from scalegroup.nn.estimate import Estimate, estimate
from scalegroup.nn.fourier import FourierConv, FourierDownsample, FourierPointwise
from scalegroup.nn.freeze import freeze
from scalegroup.nn.gate import Gate
from scalegroup.nn.haar import HaarLift, ToHaar, ToUniform
from scalegroup.nn.linear import Linear
from scalegroup.nn.module import EquivariantModule, each
from scalegroup.nn.norm import BatchNorm, GroupNorm, InstanceNorm
from scalegroup.nn.norm_activation import NormActivation
from scalegroup.nn.point_conv import PointGroupConv
from scalegroup.nn.point_module import PointModule
from scalegroup.nn.point_pool import CloudPool, FarthestPointPool, PointUpsample
from scalegroup.nn.pointwise import Pointwise
from scalegroup.nn.pool import ScaleBlurPool, ScaleMaxPool
from scalegroup.nn.pyramid import PyramidConv
from scalegroup.nn.riesz import RieszConv
from scalegroup.nn.rotation_pool import RotationPool
from scalegroup.nn.scale_pool import ScalePool
from scalegroup.nn.scale_space import ScaleSpaceLift
from scalegroup.nn.scale_vector import ScaleToVector, VectorToScale
from scalegroup.nn.sequential import Sequential
from scalegroup.nn.upsample import Upsample
from scalegroup.nn.vector import VectorBatchNorm, VectorMagnitude, VectorMaxPool
from scalegroup.nn.window import run_of_scales, with_window

__all__ = [
    "BatchNorm",
    "CloudPool",
    "DifferentialInvariants",
    "DiffusionGroupConv",
    "DiffusionPool",
    "Downsample",
    "Dropout",
    "EquivariantModule",
    "Estimate",
    "FarthestPointPool",
    "FourierConv",
    "FourierDownsample",
    "FourierPointwise",
    "Gate",
    "GroupConv",
    "GroupConvTranspose",
    "GroupNorm",
    "HaarLift",
    "InstanceNorm",
    "Linear",
    "NormActivation",
    "PointGroupConv",
    "PointModule",
    "PointUpsample",
    "Points",
    "Pointwise",
    "PyramidConv",
    "RieszConv",
    "RotationPool",
    "ScaleBlurPool",
    "ScaleMaxPool",
    "ScalePool",
    "ScaleSpaceLift",
    "ScaleToVector",
    "Sequential",
    "ToHaar",
    "ToUniform",
    "Upsample",
    "VectorBatchNorm",
    "VectorMagnitude",
    "VectorMaxPool",
    "VectorToScale",
    "cloud_spacing",
    "each",
    "each_q",
    "estimate",
    "farthest_points",
    "freeze",
    "run_of_scales",
    "with_window",
]
