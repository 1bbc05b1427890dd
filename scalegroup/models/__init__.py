"""Networks: U-Net and classifier, and any other network made scale-equivariant."""

from scalegroup.models.classifier import Classifier
from scalegroup.models.diffusion_unet import DiffusionUNet
from scalegroup.models.fields import turning_fields
from scalegroup.models.point_classifier import PointClassifier
from scalegroup.models.point_unet import PointUNet
from scalegroup.models.projection import Projection
from scalegroup.models.scale_channels import ScaleChannels
from scalegroup.models.shared_norm import SharedBatchNorm, convert_shared_norm
from scalegroup.models.unet import UNet

__all__ = [
    "Classifier",
    "DiffusionUNet",
    "PointClassifier",
    "PointUNet",
    "Projection",
    "ScaleChannels",
    "SharedBatchNorm",
    "UNet",
    "convert_shared_norm",
    "turning_fields",
]
