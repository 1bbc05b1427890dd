"""NIfTI files in and out: read to the last byte, written whole or not at all."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError

Array = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]


class DataError(ScaleGroupError):
    """A file or folder does not hold what its layout promises; the text names the path.

    Args:
        expected, received, hint: as in `ScaleGroupError`.

    Example:
        >>> try:
        ...     read_nifti("nowhere.nii.gz")
        ... except DataError as error:
        ...     print(error)
        expected a NIfTI file, received nothing at nowhere.nii.gz; check the path and the layout of the data set.
    """


class Volume(NamedTuple):
    """What a NIfTI file holds: the data, the 4×4 matrix from voxel indices to millimetres, and nibabel's header."""

    data: Array
    affine: Affine
    header: Any


def read_nifti(path: str | os.PathLike[str]) -> Volume:
    """The data as float32, without trailing axes of length 1 after the third, the affine and the header of a file.

    Args:
        path: a `.nii` or `.nii.gz` file, NIfTI-1 or NIfTI-2. Whether it is compressed is seen from its content.

    Returns:
        data of shape `(*space)` or `(*space, channel)`, scaled as the header says; affine; header.

    Raises:
        DataError: if the file is missing, truncated or damaged (the checksum of a compressed file is verified), empty,
            holds values that are not finite, or has an affine matrix that does not place it.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "ones.nii.gz")
        ...     write_nifti(path, np.ones((4, 5, 6, 1), np.int16), affine=np.eye(4))
        ...     data, affine, header = read_nifti(path)
        >>> data.shape, data.dtype
        ((4, 5, 6), dtype('float32'))
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("a NIfTI file", f"nothing at {path}", "check the path and the layout of the data set")
    try:
        file = _image_class(raw := _bytes(path)).from_bytes(raw)
        kind = file.get_data_dtype().kind
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
            data = np.asarray(file.dataobj, dtype=np.float32) if kind in "biuf" else None
    except MemoryError:
        raise
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds on a broken file
        why = " ".join(str(error).split())  # some are of several lines
        raise DataError("a readable NIfTI file", f"{path} ({why})", "download or write it again") from error
    if data is None:
        received = f"the data type {file.get_data_dtype()} in {path}"
        raise DataError("one real number per voxel", received, "convert it to an intensity or label map")
    if data.size == 0:
        raise DataError("a volume with voxels", f"the shape {data.shape} in {path}", "write it again")
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if not np.isfinite(data).all():
        raise DataError("finite values", f"NaN or infinity in {path}", "mend or leave out this scan")
    affine = np.asarray(file.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        received = f"{affine.tolist()} in {path}"
        raise DataError("an affine matrix that gives every voxel a place", received, "mend the header")
    return Volume(data, affine, file.header)


def write_nifti(
    path: str | os.PathLike[str], data: npt.NDArray[np.generic], affine: npt.ArrayLike, header: Any = None
) -> None:
    """Writes a NIfTI file in one step: an interrupted run leaves the old file or none, never half a file.

    The file is written beside its final place, forced to the disk, and then moved there.

    Args:
        path: ends in `.nii` or `.nii.gz`; folders are made if absent.
        data: shape `(*space)` or `(*space, channel)`; stored in its own data type.
        affine: the 4×4 matrix from voxel indices to millimetres.
        header: of the file that `data` was made from, as `read_nifti` gives it: its orientation codes, units and
            remarks are kept, but not what is said of its values. Default None: a new one, in millimetres.

    Raises:
        DataError: if the path ends otherwise, or the data type is none that NIfTI-1 knows.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "patient", "label.nii.gz")
        ...     write_nifti(path, np.zeros((4, 4, 4), np.uint8), affine=np.diag([1.0, 1.0, 2.5, 1.0]))
        ...     voxel_size(read_nifti(path).affine)
        array([1. , 1. , 2.5])
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise DataError("a path that ends in .nii or .nii.gz", path, "add .nii.gz")
    volume = _nifti(path, data, np.asarray(affine, dtype=np.float64), header)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        part = Path(folder) / path.name
        nibabel.save(volume, part)
        _to_disk(part)
        os.replace(part, path)
    _to_disk(path.parent)


def voxel_size(affine: Affine) -> npt.NDArray[np.float64]:
    """The voxel size in mm along each axis, `(3,)`, of a 4×4 matrix from voxel indices to millimetres.

    Example:
        >>> voxel_size(np.diag([1.0, -1.0, 2.5, 1.0]))
        array([1. , 1. , 2.5])
    """
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def stem(path: Path) -> str:
    """The name of a NIfTI file without its ending; nothing for hidden files and those of other kinds.

    Example:
        >>> [stem(Path(name)) for name in ("scans/a_t1.nii.gz", "a.b.nii", "a.json", "._a_t1.nii.gz")]
        ['a_t1', 'a.b', '', '']
    """
    if path.name.startswith(".") or not path.name.endswith((".nii", ".nii.gz")):
        return ""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _nifti(path: Path, data: npt.NDArray[np.generic], affine: Affine, header: Any) -> Any:
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    try:
        if header is None:
            volume = kind(data, affine, dtype=data.dtype)
            volume.header.set_xyzt_units("mm")
            return volume
        header = header.copy()
        header.set_data_dtype(data.dtype)
        header["cal_min"] = header["cal_max"] = 0  # the range in which to show the old data, and what they mean
        header.set_intent("none")
        return kind(data, affine, header)
    except Exception as error:
        raise DataError("a data type of NIfTI", f"{data.dtype} for {path} ({error})", "uint8 or float32 do") from error


def _bytes(path: Path) -> bytes:
    """The content, decompressed to its end: nibabel would stop before the checksum."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _image_class(raw: bytes) -> Any:
    if raw[344:348] == b"n+1\0":
        return nibabel.Nifti1Image
    if raw[4:8] == b"n+2\0":
        return nibabel.Nifti2Image
    raise ValueError("no header of a single NIfTI file")


def _to_disk(path: Path) -> None:
    if os.name == "posix":  # elsewhere folders cannot be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
