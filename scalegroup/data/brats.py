"""The layout of the BraTS challenge: one folder per patient, one file per modality, and `_seg`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalegroup.data.dataset import Dataset, label_values
from scalegroup.data.nifti import Array, DataError, stem, write_nifti
from scalegroup.data.scans import Case

BRATS_MODALITIES = ("t1", "t1ce", "t2", "flair")
BRATS_CLASSES = {"core": 1, "oedema": 2, "enhancing": 4}  # the label values until 2021; 3 is not in use
BRATS_CLASSES_2023 = {**BRATS_CLASSES, "enhancing": 3}  # the label values in 2023; 4 is not in use
BRATS_REGIONS = {"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}  # class indices


@dataclass(frozen=True)
class _Naming:
    """How a year names its files: `PATIENT<separator>PART.nii.gz`."""

    separator: str
    parts: tuple[str, ...]  # of BRATS_MODALITIES
    classes: dict[str, int]


_UNDERSCORES = _Naming("_", BRATS_MODALITIES, BRATS_CLASSES)
_HYPHENS = _Naming("-", ("t1n", "t1c", "t2w", "t2f"), BRATS_CLASSES_2023)
_LABEL_PARTS = ("seg", "segm")  # the second once, in 2020: BraTS20_Training_355/W39_1998.09.19_Segm.nii


class Brats(Dataset):
    """The labelled cases of a folder in BraTS layout, as the challenge named files from 2018 to 2023.

    The files of a patient, by year:

    - 2018, 2019: `HGG/Brats18_X_1/Brats18_X_1_t1.nii.gz`, `_t1ce`, `_t2`, `_flair`, `_seg`
    - 2020: `BraTS20_Training_001/BraTS20_Training_001_t1.nii`, …
    - 2021: `BraTS2021_00000/BraTS2021_00000_t1.nii.gz`, …
    - 2023: `BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz`, `-t1c`, `-t2w`, `-t2f`, `-seg`

    Enhancing tumour has the value 4 until 2021 and 3 in 2023. With underscores in their names, files are looked into:
    a label map holds 4 or 3, and one that holds both is refused. With hyphens 4 is refused: in 2024 it is the
    resection cavity.

    Args:
        root: the folder that holds one folder per patient, directly or in folders such as HGG and LGG. Files may end
            in `.nii` or `.nii.gz`.
        enhancing: the value of enhancing tumour, 3 or 4, in all files; default None: by name and content, as above.

    Attributes:
        channels: the four modalities t1, t1ce, t2, flair, in this order whatever they are called in the files.
        classes: necrotic core, oedema, enhancing tumour.
        label_values: of the first patient's naming, or with the given `enhancing`.
        regions: whole tumour, core (necrotic and enhancing) and enhancing tumour, as class indices.
        cases: the patients, sorted by name. What a patient lacks is told when the case is loaded.

    Raises:
        DataError: if there is no patient, none has all files, or a file is there twice; the text names the path.

    Source: B. Menze et al., "The Multimodal Brain Tumor Image Segmentation Benchmark", IEEE TMI 34 (2015);
        U. Baid et al., arXiv:2107.02314 (2021).

    Example:
        >>> import tempfile
        >>> from scalegroup.data import load, write_phantoms
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = Brats(write_phantoms(folder, seeds=[1, 2], size=16))
        ...     scan = load(data.cases[1])
        >>> data.channels, data.classes
        (('t1', 't1ce', 't2', 'flair'), ('core', 'oedema', 'enhancing'))
        >>> scan.name, scan.image.shape
        ('BraTS_0002', (4, 16, 16, 16))
    """

    def __init__(self, root: str | os.PathLike[str], enhancing: int | None = None) -> None:
        root = Path(root)
        if enhancing not in (None, 3, 4):
            raise DataError("enhancing=3, 4 or None", enhancing, "the challenge has used no other value")
        folders = sorted(_patients(root), key=lambda folder: folder.name)
        if not folders:
            raise DataError("one folder per patient", f"none in {root}", "give the folder above the patients")
        cases = [_case(folder, enhancing) for folder in folders]
        lacking = [[path for path in (*case.images, case.label) if not path.is_file()] for case in cases]
        if all(lacking):
            hint = "download the patients again, with their labels"
            raise DataError("all files of a BraTS patient", f"no file {lacking[0][0]}", hint)
        values = _naming(folders[0]).classes if enhancing is None else {**BRATS_CLASSES, "enhancing": enhancing}
        super().__init__(root, "BraTS", BRATS_MODALITIES, values, cases, BRATS_REGIONS)


def brats_images(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The files of one patient in the order of `BRATS_MODALITIES`, for example to predict what has no label.

    Args:
        folder: the patient's. A file that is missing is named as its year would name it.

    Returns:
        The paths of t1, t1ce, t2 and flair.

    Raises:
        DataError: if there is no such folder, or it holds two files of one modality.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory(prefix="Patient_") as folder:
        ...     [path.name.removeprefix(Path(folder).name) for path in brats_images(folder)]
        ['_t1.nii.gz', '_t1ce.nii.gz', '_t2.nii.gz', '_flair.nii.gz']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("the folder of a patient", f"nothing at {folder}", "check the path")
    naming = _naming(folder)
    names = zip(_UNDERSCORES.parts, _HYPHENS.parts, naming.parts, strict=True)
    return tuple(_find(folder, naming, {old, new}, expected) for old, new, expected in names)


def write_brats_case(
    folder: str | os.PathLike[str], image: Array, label: npt.NDArray[np.uint8], affine: npt.ArrayLike
) -> None:
    """Writes one patient, named as until 2021; the folder's name becomes the patient's.

    Args:
        folder: for example `scans/BraTS_0001`; made if absent.
        image: intensities of shape `(4, *space)` in the order of `BRATS_MODALITIES`.
        label: BraTS label values 0, 1, 2, 4 of shape `(*space)`.
        affine: the 4×4 matrix from voxel indices to millimetres.

    Raises:
        DataError: if image and label do not fit together.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> image, label = np.zeros((4, 5, 5, 5), np.float32), np.ones((5, 5, 5), np.uint8)
        >>> with tempfile.TemporaryDirectory() as root:
        ...     write_brats_case(f"{root}/BraTS_0001", image, label, affine=np.eye(4))
        ...     Brats(root)  # doctest: +ELLIPSIS
        Brats('...'): BraTS, 1 cases, classes ('core', 'oedema', 'enhancing')
    """
    folder = Path(folder)
    if image.shape != (len(BRATS_MODALITIES), *label.shape):
        expected = f"an image of shape {(len(BRATS_MODALITIES), *label.shape)}"
        raise DataError(expected, image.shape, f"give the modalities {BRATS_MODALITIES} in this order")
    for modality, channel in zip(BRATS_MODALITIES, image, strict=True):
        write_nifti(folder / f"{folder.name}_{modality}.nii.gz", channel, affine)
    write_nifti(folder / f"{folder.name}_seg.nii.gz", label, affine)


def _patients(folder: Path) -> Iterator[Path]:
    """The folders below this one that hold NIfTI files, or nothing at all (a patient that was lost)."""
    for path in folder.glob("*"):
        if path.is_dir() and not path.name.startswith((".", "__")):  # __MACOSX
            inside = [item for item in path.iterdir() if not item.name.startswith(".")]
            if not inside or any(stem(item) for item in inside):
                yield path
            else:
                yield from _patients(path)


def _case(folder: Path, enhancing: int | None) -> Case:
    naming = _naming(folder)
    expected = naming.classes if enhancing is None else {**BRATS_CLASSES, "enhancing": enhancing}
    other = label_values(BRATS_CLASSES_2023) if naming is _UNDERSCORES and enhancing is None else None
    label = _find(folder, naming, set(_LABEL_PARTS), "seg")
    images = brats_images(folder)
    return Case(folder.name, images, label, label_values(expected), len(images), other)


def _naming(folder: Path) -> _Naming:
    return _HYPHENS if "-" in folder.name and "_" not in folder.name else _UNDERSCORES


def _find(folder: Path, naming: _Naming, parts: set[str], expected: str) -> Path:
    """The file of one of these parts, or what its name would be."""
    found = [path for path in sorted(folder.iterdir()) if _part(path) in parts]
    found = [path for path in found if path.name.startswith(folder.name)] or found
    by_stem = {stem(path): path for path in sorted(found)}  # X.nii.gz rather than X.nii
    if len(by_stem) > 1:
        names = " and ".join(sorted(path.name for path in by_stem.values()))
        raise DataError(f"one file of {expected} in {folder}", names, "keep the right one")
    missing = folder / f"{folder.name}{naming.separator}{expected}.nii.gz"
    return next(iter(by_stem.values()), missing)


def _part(path: Path) -> str:
    """The last word of a file name, such as flair."""
    return stem(path).replace("-", "_").rpartition("_")[2].lower()
