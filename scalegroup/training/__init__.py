"""Training and testing of networks that segment or classify: Lightning modules, data module, command line, demo."""

from __future__ import annotations

from importlib import import_module

from scalegroup.errors import missing_extra

for _package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    try:
        import_module(_package)
    except ImportError as _error:
        raise missing_extra(_package, "train") from _error

from scalegroup.training.classification import Classification, fit_classifier, plain_classifier, probabilities
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.datamodule import SegmentationData
from scalegroup.training.equivariance import EquivarianceError
from scalegroup.training.evaluate import TEST_SCALES, dice_at_scales, summarise
from scalegroup.training.metrics import hard_dice
from scalegroup.training.models import build_model, match_parameters, parameter_count
from scalegroup.training.module import Segmentation
from scalegroup.training.run import fit

__all__ = [
    "TEST_SCALES",
    "Classification",
    "DataConfig",
    "EquivarianceError",
    "ModelConfig",
    "Segmentation",
    "SegmentationData",
    "TrainerConfig",
    "build_model",
    "dice_at_scales",
    "fit",
    "fit_classifier",
    "hard_dice",
    "match_parameters",
    "parameter_count",
    "plain_classifier",
    "probabilities",
    "summarise",
]
