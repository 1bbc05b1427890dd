"""Networks: U-Net and classifier."""

from scalegroup.models.classifier import Classifier
from scalegroup.models.unet import UNet

__all__ = ["Classifier", "UNet"]
