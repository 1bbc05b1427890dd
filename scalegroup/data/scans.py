"""A scan in memory, a case on disk, and the way from one to the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from scalegroup.data.normalise import normalise
from scalegroup.errors import ScaleGroupError

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


class DataError(ScaleGroupError):
    """A file or folder does not hold what its layout promises; the text names the path."""


@dataclass(frozen=True)
class Scan:
    """A labelled scan in memory.

    Args:
        name: what it is called in tables.
        image: intensities of shape `(channel, *space)`.
        label: class indices 0 (background), 1, … of shape `(*space)`.
        affine: the 4×4 matrix from voxel indices to millimetres.
    """

    name: str
    image: Array
    label: Labels
    affine: npt.NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, ...]:
        """The voxel size in mm, one per axis."""
        return tuple(float(size) for size in np.linalg.norm(self.affine[:3, :3], axis=0))


@dataclass(frozen=True)
class Case:
    """The files of one labelled scan.

    Args:
        name: what it is called in tables.
        images: one NIfTI file per channel (or one file whose fourth axis is the channel).
        label: the NIfTI file with the label values.
        label_values: the value in the file of class 0, 1, …
    """

    name: str
    images: tuple[Path, ...]
    label: Path
    label_values: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """Three disjoint lists of cases: to learn from, to select with, to report on."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


def split(cases: Sequence[Case], train: int, validation: int, test: int | None = None, seed: int = 0) -> Split:
    """Shuffles the cases by `seed` and deals them out; the test set is dealt first.

    The test cases therefore depend on the seed and their own number only: they stay the same when the
    number of training cases is varied.

    Args:
        cases: all cases; their order does not matter, they are sorted by name.
        train: number of training cases.
        validation: number of cases that choose the checkpoint.
        test: number of cases to report on; None = all that remain.
        seed: of the shuffle.

    Raises:
        DataError: if there are fewer cases than asked for.

    Example:
        >>> cases = [Case(f"{i}", (), Path("label.nii"), (0, 1)) for i in range(6)]
        >>> [len(part) for part in vars(split(cases, train=3, validation=1)).values()]
        [3, 1, 2]
    """
    rest = len(cases) - train - validation
    test = rest if test is None else test
    if min(train, validation, test) < 0 or test > rest:
        wanted = f"{train} training, {validation} validation and {max(test, 0)} test cases"
        raise DataError(f"at least {wanted}", f"{len(cases)} cases", "ask for fewer, or add data")
    by_name = sorted(cases, key=lambda case: case.name)
    order = np.random.default_rng(seed).permutation(len(by_name))
    dealt = [by_name[i] for i in order]
    ends = (test, test + validation, test + validation + train)
    return Split(tuple(dealt[ends[1] : ends[2]]), tuple(dealt[ends[0] : ends[1]]), tuple(dealt[: ends[0]]))


def load(case: Case) -> Scan:
    """Reads a case, normalises every channel by itself, and turns label values into class indices.

    Raises:
        DataError: if a file is missing, broken, not finite, of another shape or affine than the others, or holds a
            label value that is not declared.
    """
    volumes = [read_nifti(path) for path in case.images]
    channels = [channel for data, _ in volumes for channel in _channels(data)]
    values, affine = read_nifti(case.label)
    for path, (data, placed) in zip(case.images, volumes, strict=True):
        if data.shape[:3] != values.shape:
            raise DataError(
                f"an image of the shape {values.shape} of its label {case.label}",
                f"{data.shape[:3]} in {path}",
                "resample one onto the other's grid",
            )
        if not np.allclose(placed, affine, rtol=0, atol=1e-2):
            raise DataError(
                f"an image in the place of its label {case.label}",
                f"another affine matrix in {path}",
                "resample one onto the other's grid, or mend the header",
            )
    image = normalise(np.stack(channels))
    return Scan(case.name, image, _class_indices(values, case), affine)


def _channels(data: Array) -> list[Array]:
    return [data] if data.ndim == 3 else list(np.moveaxis(data, -1, 0))


def _class_indices(values: Array, case: Case) -> Labels:
    found = set(np.unique(values).tolist())
    if not found <= set(case.label_values):
        raise DataError(
            f"the label values {case.label_values}",
            f"{sorted(found)} in {case.label}",
            "declare the others as classes, or mend the file",
        )
    label = np.zeros(values.shape, np.uint8)
    for index, value in enumerate(case.label_values):
        label[values == value] = index
    return label


def read_nifti(path: str | os.PathLike[str]) -> tuple[Array, npt.NDArray[np.float64]]:
    """The data as float32, without trailing axes of length 1, and the affine of a NIfTI file.

    Raises:
        DataError: if the file is missing, broken or holds values that are not finite.
    """
    if not Path(path).is_file():
        raise DataError("a NIfTI file", f"nothing at {path}", "check the path and the layout of the data set")
    try:
        file: Any = nibabel.load(path)
        data = np.asarray(file.dataobj, dtype=np.float32)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds on a broken file
        raise DataError("a readable NIfTI file", f"{path} ({error})", "download or write it again") from error
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if not np.isfinite(data).all():
        raise DataError("finite values", f"NaN or infinity in {path}", "mend or leave out this scan")
    return data, np.asarray(file.affine, dtype=np.float64)


def write_nifti(path: str | os.PathLike[str], data: npt.NDArray[np.generic], affine: npt.ArrayLike) -> None:
    """Writes a NIfTI file in one step: an interrupted run leaves the old file or none, never half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        part = Path(folder) / path.name
        volume: Any = nibabel.Nifti1Image(data, np.asarray(affine, dtype=np.float64))  # type: ignore[no-untyped-call]
        nibabel.save(volume, part)
        os.replace(part, path)


def label_values(classes: Mapping[str, int]) -> tuple[int, ...]:
    """The label value of class 0 (background), 1, …, in ascending order."""
    return (0, *sorted(value for value in classes.values() if value != 0))
