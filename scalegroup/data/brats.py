"""The layout of the BraTS challenge: one folder per patient, one file per modality, and `_seg`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalegroup.data.scans import Array, Case, DataError, Split, label_values, split, write_nifti

BRATS_MODALITIES = ("t1", "t1ce", "t2", "flair")
BRATS_CLASSES = {"core": 1, "oedema": 2, "enhancing": 4}  # the label values in the files; 3 is not in use


class Brats:
    """The labelled cases of a folder in BraTS layout: `BraTS_0001/BraTS_0001_t1.nii.gz`, …,
    `BraTS_0001_seg.nii.gz`.

    Args:
        root: the folder that holds one folder per patient. Files may end in `.nii` or `.nii.gz`.

    Attributes:
        channels: the four modalities t1, t1ce, t2, flair.
        classes: necrotic core, oedema, enhancing tumour (label values 1, 2, 4).
        cases: the labelled cases, sorted by name.

    Raises:
        DataError: if there is no patient, or a file of one is missing; the text names the path.

    Source: B. Menze et al., "The Multimodal Brain Tumor Image Segmentation Benchmark", IEEE TMI 34 (2015).
    """

    channels = BRATS_MODALITIES
    classes = tuple(sorted(BRATS_CLASSES, key=BRATS_CLASSES.__getitem__))
    label_values = label_values(BRATS_CLASSES)
    name = "BraTS"

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        folders = sorted(path for path in self.root.glob("*") if path.is_dir() and not path.name.startswith("."))
        if not folders:
            raise DataError("one folder per patient", f"none in {self.root}", "give the folder above the patients")
        self.cases = tuple(self._case(folder) for folder in folders)

    def __repr__(self) -> str:
        return f"Brats({str(self.root)!r}): {len(self.cases)} cases, classes {self.classes}"

    def split(self, train: int, validation: int, test: int | None = None, seed: int = 0) -> Split:
        """Three disjoint lists of cases; see `scalegroup.data.split`."""
        return split(self.cases, train, validation, test, seed)

    def _case(self, folder: Path) -> Case:
        images = tuple(_find(folder, modality) for modality in self.channels)
        return Case(folder.name, images, _find(folder, "seg"), self.label_values)


def write_brats_case(
    folder: str | os.PathLike[str], image: Array, label: npt.NDArray[np.uint8], affine: npt.ArrayLike
) -> None:
    """Writes one patient; the folder's name becomes the patient's.

    Args:
        folder: for example `scans/BraTS_0001`; made if absent.
        image: intensities of shape `(4, *space)` in the order of `BRATS_MODALITIES`.
        label: BraTS label values 0, 1, 2, 4 of shape `(*space)`.
        affine: the 4×4 matrix from voxel indices to millimetres.

    Raises:
        DataError: if image and label do not fit together.
    """
    folder = Path(folder)
    if image.shape != (len(BRATS_MODALITIES), *label.shape):
        expected = f"an image of shape {(len(BRATS_MODALITIES), *label.shape)}"
        raise DataError(expected, image.shape, f"give the modalities {BRATS_MODALITIES} in this order")
    for modality, channel in zip(BRATS_MODALITIES, image, strict=True):
        write_nifti(folder / f"{folder.name}_{modality}.nii.gz", channel, affine)
    write_nifti(folder / f"{folder.name}_seg.nii.gz", label, affine)


def _find(folder: Path, suffix: str) -> Path:
    candidates = [folder / f"{folder.name}_{suffix}{ending}" for ending in (".nii.gz", ".nii")]
    for path in candidates:
        if path.is_file():
            return path
    raise DataError("all files of a BraTS patient", f"no file {candidates[0]}", "download this patient again")
