"""Labelled scans: made up (phantoms), read (BraTS and Decathlon layouts), normalised, rescaled."""

from __future__ import annotations

from importlib import import_module

from scalegroup.errors import missing_extra

for _package in ("nibabel", "scipy"):
    try:
        import_module(_package)
    except ImportError as _error:
        raise missing_extra(_package, "train") from _error

from scalegroup.data.brats import BRATS_CLASSES, BRATS_MODALITIES, Brats, write_brats_case
from scalegroup.data.decathlon import Decathlon
from scalegroup.data.medmnist import LabelledImages, MedMnist3D
from scalegroup.data.mnist_scale import MnistScale
from scalegroup.data.normalise import normalise
from scalegroup.data.phantoms import head_phantom, write_phantoms
from scalegroup.data.rescale import rescale, rescale_image, rescale_label, rescaled_shape
from scalegroup.data.scans import Case, DataError, Scan, Split, load, split

__all__ = [
    "BRATS_CLASSES",
    "BRATS_MODALITIES",
    "Brats",
    "Case",
    "DataError",
    "Decathlon",
    "LabelledImages",
    "MedMnist3D",
    "MnistScale",
    "Scan",
    "Split",
    "head_phantom",
    "load",
    "normalise",
    "rescale",
    "rescale_image",
    "rescale_label",
    "rescaled_shape",
    "split",
    "write_brats_case",
    "write_phantoms",
]
