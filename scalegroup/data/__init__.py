"""Labelled scans and point clouds: made up (phantoms), read (BraTS, Decathlon, CSV tables), normalised, rescaled."""

from __future__ import annotations

from importlib import import_module

from scalegroup.errors import missing_extra

for _package in ("nibabel", "scipy"):
    try:
        import_module(_package)
    except ImportError as _error:
        raise missing_extra(_package, "train") from _error

from scalegroup.data.brats import (
    BRATS_CLASSES,
    BRATS_CLASSES_2023,
    BRATS_MODALITIES,
    BRATS_REGIONS,
    Brats,
    brats_images,
    write_brats_case,
)
from scalegroup.data.dataset import Dataset, Split, split
from scalegroup.data.decathlon import Decathlon
from scalegroup.data.diffusion import DiffusionScan, fractional_anisotropy
from scalegroup.data.diffusion_files import read_diffusion
from scalegroup.data.diffusion_phantom import diffusion_phantom
from scalegroup.data.medmnist import LabelledImages, MedMnist3D
from scalegroup.data.mnist_scale import MnistScale
from scalegroup.data.nifti import DataError, read_nifti, write_nifti
from scalegroup.data.normalise import normalise
from scalegroup.data.phantoms import head_phantom, write_phantoms
from scalegroup.data.point_clouds import BrainShapes, LabelledClouds, write_shapes
from scalegroup.data.point_transforms import (
    collate_clouds,
    normalise_clouds,
    random_factors,
    random_rotations,
    rescale_clouds,
    rotate_clouds,
)
from scalegroup.data.registry import open_data
from scalegroup.data.rescale import rescale, rescale_image, rescale_label, rescaled_shape
from scalegroup.data.scans import Case, Scan, load, load_all, load_image
from scalegroup.data.table import NiftiTable

__all__ = [
    "BRATS_CLASSES",
    "BRATS_CLASSES_2023",
    "BRATS_MODALITIES",
    "BRATS_REGIONS",
    "BrainShapes",
    "Brats",
    "Case",
    "DataError",
    "Dataset",
    "Decathlon",
    "DiffusionScan",
    "LabelledClouds",
    "LabelledImages",
    "MedMnist3D",
    "MnistScale",
    "NiftiTable",
    "Scan",
    "Split",
    "brats_images",
    "collate_clouds",
    "diffusion_phantom",
    "fractional_anisotropy",
    "head_phantom",
    "load",
    "load_all",
    "load_image",
    "normalise",
    "normalise_clouds",
    "open_data",
    "random_factors",
    "random_rotations",
    "read_diffusion",
    "read_nifti",
    "rescale",
    "rescale_clouds",
    "rescale_image",
    "rescale_label",
    "rescaled_shape",
    "rotate_clouds",
    "split",
    "write_brats_case",
    "write_nifti",
    "write_phantoms",
    "write_shapes",
]
