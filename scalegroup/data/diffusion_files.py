"""Diffusion-weighted scans from disk: a NIfTI file with its b-values and gradient directions beside it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalegroup.data.diffusion import B_ZERO, DiffusionScan, Vectors, check_gradients
from scalegroup.data.nifti import Array, DataError, read_nifti, stem
from scalegroup.errors import missing_extra

ENDINGS = {"bval": (".bval", ".bvals"), "bvec": (".bvec", ".bvecs")}
FLOOR = 0.05  # of the brightest b=0 intensities: less is taken for noise


def read_diffusion(
    nii: str | os.PathLike[str],
    bval: str | os.PathLike[str] | None = None,
    bvec: str | os.PathLike[str] | None = None,
    *,
    noise: float | None = None,
) -> DiffusionScan:
    """Reads a diffusion-weighted scan, finds the brain, and turns the gradients to the axes of its array.

    The directions in `bvec` follow FSL's convention, which dcm2niix and nearly all others write: they are along the
    axes of the array, but where the affine matrix has a positive determinant the first component has the other sign
    (FSL counts x to the left). The mask is that of dipy's `median_otsu` on the mean b=0 image.

    Args:
        nii: a `.nii` or `.nii.gz` file whose fourth axis is the sample.
        bval: text file with one b-value (s/mm²) per sample; default None: `<name>.bval` or `.bvals` beside it.
        bvec: text file with three rows (or three columns) of directions; default None: `<name>.bvec` or `.bvecs`.
        noise: intensity of the b=0 image up to which there is no signal; default None: a twentieth of its 99th
            percentile.

    Returns:
        A `DiffusionScan`.

    Raises:
        DataError: if a file is missing, cannot be read, or they do not fit together; the text names the file.
        MissingExtraError: without dipy: `pip install 'scalegroup[diffusion]'`.

    Example:
        >>> import tempfile
        >>> from scalegroup.data import diffusion_phantom, write_nifti
        >>> made_up = diffusion_phantom((14, 12, 10), directions=9)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "head.nii.gz")
        ...     write_nifti(path, np.moveaxis(made_up.intensities, 0, -1), made_up.affine)
        ...     np.savetxt(Path(folder, "head.bval"), made_up.b_values[None])
        ...     np.savetxt(Path(folder, "head.bvec"), made_up.gradients.T)
        ...     scan = read_diffusion(path)
        >>> scan.signal.shape, int(scan.unweighted.sum())
        ((10, 14, 12, 10), 1)
    """
    path = Path(nii)
    data, affine, _ = read_nifti(path)
    if data.ndim != 4:
        raise DataError("a scan of four axes, the last the sample", f"the shape {data.shape} in {path}", "merge them")
    values_at, vectors_at = _beside(path, bval, "bval"), _beside(path, bvec, "bvec")
    b_values, gradients = _b_values(values_at), _directions(vectors_at)
    for file, count in ((values_at, len(b_values)), (vectors_at, len(gradients))):
        if count != data.shape[-1]:
            hint = "are they of the same scan?"
            raise DataError(f"{data.shape[-1]} entries, one per sample of {path}", f"{count} in {file}", hint)
    if not np.isfinite(gradients[b_values >= B_ZERO]).all():
        raise DataError("finite directions", f"NaN or infinity in {vectors_at}", "mend or leave out these samples")
    gradients = np.where((b_values < B_ZERO)[:, None], 0.0, gradients)
    check_gradients(b_values, gradients, str(vectors_at))
    if np.linalg.det(affine[:3, :3]) > 0:
        gradients = gradients * [-1, 1, 1]
    gradients = gradients / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-12)
    intensities = np.ascontiguousarray(np.moveaxis(data, -1, 0))
    b0 = intensities[b_values < B_ZERO].mean(axis=0)
    floor = FLOOR * float(np.percentile(b0, 99)) if noise is None else noise
    return DiffusionScan(stem(path), intensities, brain_mask(b0), b_values, gradients, affine, floor)


def brain_mask(b0: Array) -> npt.NDArray[np.bool_]:
    """Where there is brain, by dipy's `median_otsu` without holes and islands.

    Args:
        b0: an image without diffusion weighting, shape `(*space)`.

    Raises:
        MissingExtraError: without dipy: `pip install 'scalegroup[diffusion]'`.
    """
    try:
        from dipy.segment.mask import median_otsu
    except ImportError as error:
        raise missing_extra("dipy", "diffusion") from error
    return np.asarray(median_otsu(b0, median_radius=2, numpass=1, finalize_mask=True)[1], dtype=np.bool_)


def _beside(nii: Path, given: str | os.PathLike[str] | None, kind: str) -> Path:
    """The text file that was given, or the one of the same name."""
    options = [Path(given)] if given is not None else [nii.with_name(stem(nii) + ending) for ending in ENDINGS[kind]]
    for path in options:
        if path.is_file():
            return path
    hint = f"a diffusion scan comes with a text file of its {'b-values' if kind == 'bval' else 'directions'}"
    raise DataError(f"a {kind} file", f"nothing at {' or '.join(map(str, options))}", hint)


def _table(path: Path) -> npt.NDArray[np.float64]:
    try:
        lines = path.read_text(encoding="utf-8-sig").replace(",", " ").splitlines()
        return np.array([[float(word) for word in line.split()] for line in lines if line.strip()], dtype=np.float64)
    except ValueError as error:  # also what is no text, and rows of different lengths
        raise DataError("a text file with a table of numbers", f"{path} ({error})", "write it again") from error


def _b_values(path: Path) -> npt.NDArray[np.float64]:
    table = _table(path)
    if table.size == 0 or (table.ndim == 2 and 1 not in table.shape):
        raise DataError("one row or one column of b-values", f"the shape {table.shape} in {path}", "write it again")
    return table.ravel()


def _directions(path: Path) -> Vectors:
    """Vectors as rows. A table of 3 × 3 is read by rows, as FSL defines the file."""
    table = _table(path)
    if table.ndim != 2 or 3 not in table.shape:
        raise DataError("three rows or three columns of directions", f"the shape {table.shape} in {path}", "check it")
    return table.T if len(table) == 3 else table
