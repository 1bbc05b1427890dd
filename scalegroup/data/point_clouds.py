"""Labelled point clouds: the surfaces of brain structures in millimetres."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scalegroup.data.medmnist import BROKEN
from scalegroup.data.nifti import DataError
from scalegroup.errors import ScaleGroupError

TRAIN_SUBJECTS, TEST_SUBJECTS = tuple(range(1, 10)), tuple(range(10, 13))
SIDES = ("left", "right", "midline")
KEYS = ("points_mm", "labels", "class_names", "subject", "side", "volume_mm3")
HINT = "it is the npz file of the folder brainshapes"


class LabelledClouds(NamedTuple):
    """Point clouds with one class each.

    Attributes:
        points: coordinates `(n, points, dim)`, float32.
        labels: class indices `(n,)`, int64.

    Example:
        >>> clouds = LabelledClouds(np.zeros((3, 1024, 3), np.float32), np.array([2, 0, 1]))
        >>> clouds.subset(np.array([2])).subsample(256).points.shape
        (1, 256, 3)
    """

    points: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def subset(self, indices: npt.NDArray[np.int64]) -> LabelledClouds:
        """The clouds of these indices, in this order."""
        return LabelledClouds(self.points[indices], self.labels[indices])

    def subsample(self, count: int, seed: int = 0) -> LabelledClouds:
        """The same clouds with fewer points, drawn at random without replacement, other ones from each cloud.

        Args:
            count: points to keep of each cloud.
            seed: of the draw.

        Raises:
            ScaleGroupError: unless `1 <= count <= points`.

        Example:
            >>> clouds = LabelledClouds(np.zeros((2, 8, 3), np.float32), np.array([0, 1]))
            >>> clouds.subsample(5).points.shape
            (2, 5, 3)
        """
        number = self.points.shape[1]
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= number:
            raise ScaleGroupError(f"a number of points from 1 to {number}", repr(count), "points are never repeated")
        order = np.random.default_rng(seed).random(self.points.shape[:2]).argsort(axis=1)[:, :count]
        return LabelledClouds(np.take_along_axis(self.points, order[:, :, None], axis=1), self.labels)


class BrainShapes:
    """Surfaces of 15 brain structures of 12 subjects: 321 clouds of 1,024 points, centred, in millimetres.

    The task is to name the structure. In millimetres its size is a hint, as structures differ in size by a factor
    of five; with every cloud rescaled at random, shape alone is left.

    Args:
        path: the npz file, or the folder that holds it and no other one.
        train: subjects to learn from. Default 1 to 9.
        test: subjects to report on. Default 10 to 12.

    Attributes:
        path: the file that was read.
        classes: the names of the classes 0, 1, …
        clouds: all clouds, `LabelledClouds`.
        train: those of the subjects to learn from.
        test: those of the subjects to report on.
        subjects: the subject of each cloud, `(n,)`.
        sides: "left", "right" or "midline" for each cloud.
        volumes: volume of each structure in mm³, `(n,)`.

    Raises:
        DataError: if the file is missing, broken or laid out otherwise, or a subject is not in it or in both parts.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "shapes.npz"
        >>> write_shapes(path, np.zeros((2, 9, 3)), [0, 1], ["caudate", "putamen"], [1, 10], [0, 1], [3700, 5100])
        >>> data = BrainShapes(path, train=[1], test=[10])
        >>> data.train.points.shape, data.test.labels, data.sides
        ((1, 9, 3), array([1]), ('left', 'right'))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        train: Iterable[int] = TRAIN_SUBJECTS,
        test: Iterable[int] = TEST_SUBJECTS,
    ) -> None:
        self.path = _find(Path(path))
        arrays = _read(self.path)
        _check(arrays, self.path)
        self.classes = tuple(str(name) for name in arrays["class_names"])
        self.clouds = LabelledClouds(arrays["points_mm"].astype(np.float32), arrays["labels"].astype(np.int64))
        self.subjects = arrays["subject"].astype(np.int64)
        self.sides = tuple(SIDES[side] for side in arrays["side"])
        self.volumes = arrays["volume_mm3"].astype(np.float64)
        train, test = tuple(train), tuple(test)
        if set(train) & set(test):
            hint = "the clouds of one brain resemble each other"
            raise DataError("subjects to learn from or to test on", sorted(set(train) & set(test)), hint)
        self.train, self.test = self.of_subjects(train), self.of_subjects(test)

    def __repr__(self) -> str:
        parts = f"train {len(self.train.labels)}, test {len(self.test.labels)}"
        return f"BrainShapes({str(self.path)!r}): {len(self.classes)} classes, {parts} clouds"

    def of_subjects(self, subjects: Iterable[int]) -> LabelledClouds:
        """The clouds of these subjects, in the order of the file.

        Raises:
            DataError: for a subject that is not in the file, or none.
        """
        subjects = tuple(subjects)
        known = set(self.subjects.tolist())
        if not subjects or not set(subjects) <= known:
            raise DataError(f"subjects out of {sorted(known)}", subjects, f"{self.path} holds no others")
        return self.clouds.subset(np.flatnonzero(np.isin(self.subjects, subjects)))


def write_shapes(
    path: str | os.PathLike[str],
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_names: npt.ArrayLike,
    subjects: npt.ArrayLike,
    sides: npt.ArrayLike,
    volumes: npt.ArrayLike,
) -> None:
    """Writes clouds as `BrainShapes` reads them.

    Args:
        path: the npz file.
        points: `(n, points, 3)` in mm.
        labels: class indices `(n,)`.
        class_names: names of the classes.
        subjects: subject of each cloud.
        sides: 0 left, 1 right, 2 midline.
        volumes: in mm³.

    Example:
        >>> import tempfile
        >>> points = np.random.default_rng(0).normal(size=(2, 9, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_shapes(f"{folder}/shapes.npz", points, [0, 1], ["caudate", "putamen"], [1, 2], [0, 1], [9, 8])
        ...     BrainShapes(f"{folder}/shapes.npz", train=[1], test=[2]).classes
        ('caudate', 'putamen')
    """
    values: tuple[npt.NDArray[Any], ...] = (
        np.asarray(points, np.float32),
        np.asarray(labels, np.int64),
        np.asarray(class_names, np.str_),
        np.asarray(subjects, np.int64),
        np.asarray(sides, np.int64),
        np.asarray(volumes, np.int64),
    )
    np.savez_compressed(Path(path), **dict(zip(KEYS, values, strict=True)))


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob("*.npz")) if path.is_dir() else []
    if len(found) != 1:
        raise DataError("an npz file, or a folder with one", f"{path} with {len(found)}", HINT)
    return found[0]


def _read(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            missing = [key for key in KEYS if key not in file.files]
            if missing:
                raise DataError(f"the keys {', '.join(KEYS)}", f"{path} without {', '.join(missing)}", HINT)
            return {key: np.asarray(file[key]) for key in KEYS}
    except DataError:
        raise
    except BROKEN as error:
        raise DataError("a readable npz file", f"{path} ({type(error).__name__})", HINT) from error


def _check(arrays: dict[str, npt.NDArray[np.generic]], path: Path) -> None:
    points, labels = arrays["points_mm"], arrays["labels"]
    if points.ndim != 3 or points.shape[2] != 3 or not points.size:
        raise DataError("points_mm of the shape (n, points, 3)", f"{points.shape} in {path}", HINT)
    if not np.isfinite(points.astype(np.float64)).all():
        raise DataError("finite coordinates", f"NaN or infinity in points_mm of {path}", "mend or leave out the cloud")
    for key in ("labels", "subject", "side", "volume_mm3"):
        if arrays[key].shape != points.shape[:1] or arrays[key].dtype.kind not in "iu":
            received = f"{arrays[key].shape} of {arrays[key].dtype} in {path}"
            raise DataError(f"one whole number for each of the {len(points)} clouds as {key}", received, HINT)
    for key, count in (("labels", len(arrays["class_names"])), ("side", len(SIDES))):
        values = arrays[key].astype(np.int64)
        if values.min() < 0 or values.max() >= count:
            received = f"{values.min()} to {values.max()} in {path}"
            raise DataError(f"{key} from 0 to {count - 1}", received, f"labels are {labels.dtype} indices from 0")
