"""A scan in memory, a case on disk, and the way from one to the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scalegroup.data.nifti import Affine, Array, DataError, Volume, read_nifti, voxel_size
from scalegroup.data.normalise import normalise

Labels = npt.NDArray[np.uint8]

# How far two files of one scan may put a corner of the volume apart, in voxels. Headers are rounded: real pairs differ
# by a thousandth; another scan, or the same one after a shift of one voxel, by far more.
_SLACK = 0.1


@dataclass(frozen=True)
class Scan:
    """A labelled scan in memory.

    Args:
        name: what it is called in tables.
        image: intensities of shape `(channel, *space)`.
        label: class indices 0 (background), 1, … of shape `(*space)`.
        affine: the 4×4 matrix from voxel indices to millimetres.

    Example:
        >>> image, label = np.zeros((1, 4, 4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)
        >>> Scan("made up", image, label, affine=np.diag([1.0, 1.0, 2.5, 1.0])).spacing
        (1.0, 1.0, 2.5)
    """

    name: str
    image: Array
    label: Labels
    affine: Affine

    @property
    def spacing(self) -> tuple[float, ...]:
        """The voxel size in mm, one per axis."""
        return tuple(float(size) for size in voxel_size(self.affine))


@dataclass(frozen=True)
class Case:
    """The files of one labelled scan.

    Args:
        name: what it is called in tables.
        images: one NIfTI file per channel, or one file whose fourth axis is the channel.
        label: the NIfTI file with the label values.
        label_values: the value in the file of class 0, 1, …
        channels: how many channels the images have to have; default None: as many as they have.
        other_values: a second convention for the values, of the same length. A file follows the one or the other as a
            whole: with (0, 1, 2, 4) and (0, 1, 2, 3), one that holds both 3 and 4 is refused.
        empty_ok: whether a label without foreground is a healthy scan; default False: it is an error.

    Example:
        >>> case = Case("anna", (Path("anna_t1.nii.gz"), Path("anna_t2.nii.gz")), Path("anna_label.nii.gz"), (0, 4))
        >>> case.label_values  # 4 in the file is class 1
        (0, 4)
    """

    name: str
    images: tuple[Path, ...]
    label: Path
    label_values: tuple[int, ...]
    channels: int | None = None
    other_values: tuple[int, ...] | None = None
    empty_ok: bool = False


def load(case: Case) -> Scan:
    """Reads a case, normalises every channel by itself, and turns label values into class indices.

    Args:
        case: the files, and the values in the label file.

    Returns:
        The scan; how channels are normalised is said by `normalise`.

    Raises:
        DataError: if a file is missing, broken, empty, not finite, of a wrong number of axes or channels, on another
            grid (shape or affine) than the others, or if the label holds a value that is not declared, or no
            foreground. The text names the file.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import write_nifti
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     image, label = Path(folder, "image.nii.gz"), Path(folder, "label.nii.gz")
        ...     write_nifti(image, np.random.default_rng(0).normal(size=(8, 8, 8)), affine=np.eye(4))
        ...     write_nifti(label, np.full((8, 8, 8), 4, np.uint8), affine=np.eye(4))
        ...     scan = load(Case("anna", (image,), label, label_values=(0, 4)))
        >>> scan.image.shape, np.unique(scan.label)
        ((1, 8, 8, 8), array([1], dtype=uint8))
    """
    image, first = _read_images(case.images, case.channels)
    label = read_nifti(case.label)
    if label.data.ndim != 3:
        received = f"the shape {label.data.shape} in {case.label}"
        raise DataError("a label of three axes", received, "store one label map per file")
    _check_grid(case.images[0], first, f"its label {case.label}", label)
    return Scan(case.name, normalise(image), _class_indices(label.data, case), label.affine)


def load_all(cases: Iterable[Case], skip_bad: bool = False) -> tuple[list[Scan], list[tuple[str, DataError]]]:
    """Reads cases, and stops at the first broken one or goes on without it.

    Args:
        cases: the cases.
        skip_bad: False (default): a broken case raises. True: it is left out, and listed.

    Returns:
        the scans, in the order of their cases; the name and the error of every case that was left out.

    Raises:
        DataError: if a case is broken (see `load`), or, with `skip_bad`, if all are.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import Brats, write_phantoms
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sound = Brats(write_phantoms(folder, seeds=[1], size=16)).cases
        ...     lost = Case("lost", (Path("lost.nii"),), Path("lost_label.nii"), (0, 1))
        ...     scans, skipped = load_all([*sound, lost], skip_bad=True)
        >>> [scan.name for scan in scans], [name for name, error in skipped]
        (['BraTS_0001'], ['lost'])
    """
    scans: list[Scan] = []
    skipped: list[tuple[str, DataError]] = []
    for case in cases:
        try:
            scans.append(load(case))
        except DataError as error:
            if not skip_bad:
                raise
            skipped.append((case.name, error))
    if skipped and not scans:
        received = "{} broken; the first, {}: {}".format(len(skipped), *skipped[0])
        raise DataError("at least one sound case", received, "check the path and the layout of the data set")
    return scans, skipped


def load_image(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], channels: int | None = None
) -> tuple[Array, Affine, Any]:
    """Reads a scan that has no label, normalised as `load` does.

    Args:
        paths: one NIfTI file per channel, or one file whose fourth axis is the channel.
        channels: how many channels it has to have; default None: as many as it has.

    Returns:
        image of shape `(channel, *space)`; the 4×4 matrix from voxel indices to millimetres; nibabel's header of the
        first file. With the last two, `write_nifti` puts what is predicted on the same grid.

    Raises:
        DataError: as `load`.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import write_nifti
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "t1.nii.gz")
        ...     write_nifti(path, np.random.default_rng(0).normal(size=(8, 8, 8)), affine=np.diag([2, 2, 2, 1]))
        ...     image, affine, header = load_image(path)
        >>> image.shape, affine[0, 0]
        ((1, 8, 8, 8), 2.0)
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    image, first = _read_images([Path(path) for path in given], channels)
    return normalise(image), first.affine, first.header


def _read_images(paths: Sequence[Path], channels: int | None) -> tuple[Array, Volume]:
    """All channels as they are in the files, and the first file."""
    if not paths:
        raise DataError("at least one image file", "none", "give one file per channel")
    volumes = [read_nifti(path) for path in paths]
    axes = (3, 4) if len(paths) == 1 and channels != 1 else (3,)
    for path, volume in zip(paths, volumes, strict=True):
        if volume.data.ndim not in axes:
            wanted = "three axes, or four with the channels last" if len(axes) > 1 else "three axes"
            received = f"the shape {volume.data.shape} in {path}"
            raise DataError(f"an image of {wanted}", received, "store one volume per file, or declare the channels")
        _check_grid(path, volume, str(paths[0]), volumes[0])
    first = volumes[0].data
    image = np.moveaxis(first, -1, 0) if first.ndim == 4 else np.stack([volume.data for volume in volumes])
    if channels is not None and len(image) != channels:
        received = f"{len(image)} in {', '.join(map(str, paths))}"
        raise DataError(f"{channels} image channels", received, "use scans with the modalities that are declared")
    return image, volumes[0]


def _check_grid(path: Path, volume: Volume, other_path: str, other: Volume) -> None:
    """Both have their voxels in the same places."""
    shape = other.data.shape[:3]
    hint = "resample one onto the other's grid"
    if volume.data.shape[:3] != shape:
        raise DataError(f"an image of the shape {shape} of {other_path}", f"{volume.data.shape[:3]} in {path}", hint)
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape))])
    shift = np.linalg.norm((volume.affine - other.affine)[:3] @ corners.T, axis=0).max()
    if shift > _SLACK * voxel_size(other.affine).min():
        received = f"another affine matrix in {path}, which moves a corner by {shift:.3g} mm"
        raise DataError(f"an image in the place of {other_path}", received, f"{hint}, or mend the header")


def _class_indices(values: Array, case: Case) -> Labels:
    found = set(np.unique(values).tolist())
    conventions = [values for values in (case.label_values, case.other_values) if values is not None]
    fitting = [values for values in conventions if found <= set(values)]
    if not fitting:
        raise DataError(
            f"the label values {' or '.join(map(str, conventions))}",
            f"{_some(sorted(found))} in {case.label}",
            "declare the others as classes, or mend the file",
        )
    if found == {0} and not case.empty_ok:
        hint = "mend or leave out this scan, or declare that healthy ones are among them (empty_ok)"
        raise DataError("a label with foreground", f"background alone in {case.label}", hint)
    label = np.zeros(values.shape, np.uint8)
    for index, value in enumerate(fitting[0]):
        label[values == value] = index
    return label


def _some(values: Sequence[float], most: int = 12) -> str:
    """The values as a list, cut short if there are many."""
    shown = ", ".join(f"{value:g}" for value in values[:most])
    return f"[{shown}, … {len(values)} values]" if len(values) > most else f"[{shown}]"
