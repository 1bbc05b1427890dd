"""The three-dimensional sets of MedMNIST, at every resolution in which they are published."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scalegroup.data.nifti import DataError
from scalegroup.errors import ScaleGroupError

SIZES = (28, 64)  # voxels along each axis, as published
SPLITS = ("train", "val", "test")
CLASSES: dict[str, tuple[str, ...]] = {
    "adrenalmnist3d": ("normal", "hyperplasia"),
    "fracturemnist3d": ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"),
    "nodulemnist3d": ("benign", "malignant"),
    "organmnist3d": (
        *("liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder"),
        *("heart", "lung-right", "lung-left", "spleen", "pancreas"),
    ),
    "synapsemnist3d": ("inhibitory synapse", "excitatory synapse"),
    "vesselmnist3d": ("vessel", "aneurysm"),
}
HINT = "download it from medmnist.com"
# What numpy raises on something that is no npz file, or a broken one.
BROKEN = (OSError, ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class LabelledImages(NamedTuple):
    """Images with one class each.

    Attributes:
        images: `(n, channel, *space)`, float32.
        labels: class indices `(n,)`, int64.

    Example:
        >>> data = LabelledImages(np.zeros((3, 1, 28, 28), np.float32), np.array([7, 0, 4]))
        >>> data.images.shape, data.subset(np.array([0, 2])).labels
        ((3, 1, 28, 28), array([7, 4]))
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def subset(self, indices: npt.NDArray[np.int64]) -> LabelledImages:
        """The images of these indices, in this order.

        Example:
            >>> few = LabelledImages(np.zeros((3, 1, 2, 2), np.float32), np.array([4, 5, 6])).subset(np.array([2, 0]))
            >>> few.images.shape, few.labels.tolist()
            ((2, 1, 2, 2), [6, 4])
        """
        return LabelledImages(self.images[indices], self.labels[indices])


class MedMnist3D:
    """One of the six sets of volumes of MedMNIST, with its official splits.

    The published files hold the same objects at `28³` (`adrenalmnist3d.npz`) and at `64³` (`adrenalmnist3d_64.npz`)
    over the same field of view. The voxel of 28³ is the unit of length, so that `spacing` is `28 / size`: give it to
    a network that was trained on the other file.

    Args:
        path: the folder with the npz files, or one npz file.
        name: which set; one of `CLASSES`. Default "adrenalmnist3d".
        size: voxels along each axis, 28 (default) or 64.

    Attributes:
        path: the file that is read. In a folder it is `name.npz` (`name_64.npz`), or, where that is absent,
            `name_train_val.npz`, a copy without the test split.
        classes: the names of the classes 0, 1, …
        splits: which of "train", "val" and "test" the file has.
        spacing: voxel size in voxels of the 28³ file.

    Raises:
        ScaleGroupError: for an unknown name, size or split.
        DataError: if the file is missing, broken, or not laid out as MedMNIST's; the text names the path.

    Source: J. Yang et al., "MedMNIST v2", Scientific Data 10, 41 (2023).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> images, labels = np.zeros((3, 28, 28, 28), np.uint8), np.array([[0], [1], [0]], np.uint8)
        >>> np.savez(folder / "adrenalmnist3d.npz", train_images=images, train_labels=labels)
        >>> data = MedMnist3D(folder)
        >>> data.splits, data.spacing, data.split("train").images.shape
        (('train',), 1.0, (3, 1, 28, 28, 28))
    """

    def __init__(self, path: str | os.PathLike[str], name: str = "adrenalmnist3d", size: int = 28) -> None:
        if name not in CLASSES:
            raise ScaleGroupError(f"a set of {sorted(CLASSES)}", repr(name), "the sets of images are not read here")
        if size not in SIZES:
            raise ScaleGroupError(f"a size of {SIZES}", repr(size), "other sizes are made by scalegroup.data.rescale")
        self.name, self.size, self.classes = name, size, CLASSES[name]
        self.spacing = SIZES[0] / size
        self.path = _find(Path(path), name if size == SIZES[0] else f"{name}_{size}")
        self.splits = tuple(split for split in SPLITS if f"{split}_images" in self._keys())
        if not self.splits:
            raise DataError("keys as train_images and train_labels", f"{self._keys()} in {self.path}", HINT)

    def __repr__(self) -> str:
        return f"MedMnist3D({str(self.path)!r}): {self.name}, {self.size}³ voxels, splits {', '.join(self.splits)}"

    def split(self, split: str) -> LabelledImages:
        """The volumes `(n, 1, size, size, size)`, from 0 to 1, and the labels of "train", "val" or "test"."""
        if split not in SPLITS:
            raise ScaleGroupError(f"a split of {SPLITS}", repr(split), "these are the official ones")
        if split not in self.splits:
            raise DataError(f"the split {split!r}", f"{self.path} with {', '.join(self.splits)} only", HINT)
        images, labels = (self._array(f"{split}_{part}") for part in ("images", "labels"))
        shape = (len(images), *[self.size] * 3)
        if images.shape != shape or images.dtype != np.uint8 or not len(images):
            received = f"{images.shape} of {images.dtype} in {self.path}"
            hint = f"it is the file for size={images.shape[-1]}" if images.shape[-1:] != shape[-1:] else HINT
            raise DataError(f"{split}_images of the shape (n, {self.size}, {self.size}, {self.size})", received, hint)
        if labels.shape != (len(images), 1) or labels.dtype.kind not in "iu":
            received = f"{labels.shape} of {labels.dtype} in {self.path}"
            raise DataError(f"{split}_labels of the shape ({len(images)}, 1)", received, HINT)
        if labels.min() < 0 or labels.max() >= len(self.classes):
            received = f"{sorted(set(labels[:, 0].tolist()))} in {self.path}"
            raise DataError(f"labels from 0 to {len(self.classes) - 1}", received, f"is it a file of {self.name}?")
        return LabelledImages(images[:, None].astype(np.float32) / np.float32(255), labels[:, 0].astype(np.int64))

    def _keys(self) -> tuple[str, ...]:
        with self._open() as file:
            return tuple(file.files)

    def _array(self, key: str) -> npt.NDArray[np.generic]:
        with self._open() as file:
            if key not in file.files:
                raise DataError(f"the key {key}", f"{self.path} without it", HINT)
            return np.asarray(file[key])

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with self.path.open("rb") as raw, np.load(raw) as file:
                yield file
        except DataError:
            raise
        except BROKEN as error:
            raise DataError("a readable npz file", f"{self.path} ({type(error).__name__})", HINT) from error


def _find(path: Path, stem: str) -> Path:
    if path.is_file():
        return path
    candidates = [path / f"{stem}.npz", path / f"{stem}_train_val.npz"]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise DataError("a file of MedMNIST", f"no {candidates[0]}", HINT)
    return found
