"""Diffusion-weighted scans: signals on positions and gradient vectors, and what moves, turns and rescales both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scalegroup.data.nifti import Affine, Array, DataError, voxel_size
from scalegroup.data.rescale import rescale_image, rescaled_shape
from scalegroup.errors import ScaleGroupError, missing_extra

Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float64]

B_ZERO = 50.0  # s/mm²; scanners write values a little above zero where none was meant
UNIT = 0.01  # how far the length of a gradient may be from 1: files are rounded


@dataclass(frozen=True)
class DiffusionScan:
    """A diffusion-weighted scan in memory: one volume for each gradient, all of the same head.

    `signal = intensities / b0` is what diffusion leaves of the magnetisation, `E(q) = exp(-b D(g))` where the
    displacements are Gaussian; it is 0 where the b=0 image has nothing but noise. The gradients are kept **along the
    axes of the array**, so that a vector (1, 0, 0) points to where the first spatial index grows: a network on voxels
    needs no other frame. `world_gradients` are the same vectors in the scanner's frame.

    Args:
        name: what it is called in tables.
        intensities: as the scanner gave them, shape `(samples, *space)`.
        mask: where there is brain, shape `(*space)`.
        b_values: in s/mm², shape `(samples,)`. At least one is below 50: a "b=0" image.
        gradients: unit vectors along the axes of the array, shape `(samples, 3)`; zero for b=0.
        affine: the 4×4 matrix from voxel indices to millimetres.
        noise: intensity of the b=0 image up to which there is no signal to divide by.

    Raises:
        DataError: if the shapes do not fit, there is no b=0, a b-value is negative or not finite, or a gradient with
            b > 50 is no unit vector.

    Example:
        >>> from scalegroup.data import diffusion_phantom
        >>> scan = diffusion_phantom((12, 10, 8), directions=6)
        >>> scan.signal.shape, scan.spacing, scan.q()[1].round(2)
        ((7, 12, 10, 8), (2.0, 2.0, 2.0), array([0.4 , 0.  , 0.92]))
        >>> scan.subset([0, 3, 5]).rescale(1.5).signal.shape
        (3, 18, 15, 12)
    """

    name: str
    intensities: Array
    mask: Mask
    b_values: npt.NDArray[np.float64]
    gradients: Vectors
    affine: Affine
    noise: float

    def __post_init__(self) -> None:
        count = len(self.intensities)
        shapes = (self.intensities.shape[1:], self.mask.shape, self.b_values.shape, self.gradients.shape)
        if self.intensities.ndim != 4 or shapes[1:] != (shapes[0], (count,), (count, 3)):
            expected = "intensities (samples, *space), mask (*space), b-values (samples,) and gradients (samples, 3)"
            raise DataError(expected, (self.intensities.shape, *shapes[1:]), f"make them fit in {self.name}")
        check_gradients(self.b_values, self.gradients, self.name)

    @property
    def spacing(self) -> tuple[float, ...]:
        """The voxel size in mm, one per axis."""
        return tuple(float(size) for size in voxel_size(self.affine))

    @property
    def unweighted(self) -> Mask:
        """Which samples are "b=0" images, shape `(samples,)`."""
        return self.b_values < B_ZERO

    @cached_property
    def b0(self) -> Array:
        """The mean of the b=0 images, shape `(*space)`."""
        return np.asarray(self.intensities[self.unweighted].mean(axis=0), dtype=np.float32)

    @cached_property
    def signal(self) -> Array:
        """Intensities over the mean b=0 image where that is above the noise, 0 elsewhere, shape `(samples, *space)`."""
        seen = self.b0 > self.noise
        return np.where(seen, self.intensities / np.where(seen, self.b0, 1), 0).astype(np.float32)

    def q(self, b_reference: float = 1000.0) -> Vectors:
        """The samples' places in q-space, `sqrt(b / b_reference) g`, without unit, shape `(samples, 3)`.

        Args:
            b_reference: the b-value, in s/mm², of a vector of length 1. Default 1000.
        """
        if not (np.isfinite(b_reference) and b_reference > 0):
            raise ScaleGroupError("a reference b-value > 0", b_reference, "1000 s/mm² is the default")
        return np.asarray(np.sqrt(self.b_values / b_reference)[:, None] * self.gradients)

    @property
    def world_gradients(self) -> Vectors:
        """The gradients in the scanner's frame, that of the affine matrix, shape `(samples, 3)`."""
        return self.gradients @ axes_in_world(self.affine).T

    def subset(self, samples: Sequence[int] | npt.NDArray[np.bool_ | np.integer[Any]]) -> DiffusionScan:
        """The scan of some of its samples, in the order given; `signal` is then over the b=0 images among them.

        Args:
            samples: their indices, or True or False for each sample; at least one of them of a b=0 image.

        Raises:
            DataError: if an index does not exist, or no b=0 image is among them.
        """
        count = len(self.b_values)
        chosen = np.asarray(samples)
        if chosen.shape == (count,) and chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        whole = chosen.ndim == 1 and len(chosen) > 0 and chosen.dtype.kind in "iu"
        if not whole or not ((-count <= chosen) & (chosen < count)).all():
            hint = "count from 0, or say True or False of each"
            raise DataError(f"indices of the {count} samples of {self.name}", list(samples), hint)
        return replace(
            self,
            intensities=self.intensities[chosen],
            b_values=self.b_values[chosen],
            gradients=self.gradients[chosen],
        )

    def crop(self, place: tuple[slice, ...]) -> DiffusionScan:
        """A box of the volume, in the same place of the world.

        Args:
            place: one slice for each axis, without steps.

        Raises:
            ScaleGroupError: for others, and if nothing is left.
        """
        if len(place) != 3 or any(part.step not in (None, 1) for part in place) or not self.mask[place].size:
            raise ScaleGroupError("three slices without steps, of one voxel at least", place, "slice(None) keeps all")
        starts = [part.indices(n)[0] for part, n in zip(place, self.mask.shape, strict=True)]
        affine = self.affine.copy()
        affine[:3, 3] += self.affine[:3, :3] @ starts
        return replace(self, intensities=self.intensities[:, *place], mask=self.mask[place], affine=affine)

    def rescale(self, factor: float) -> DiffusionScan:
        """The same head on voxels `1 / factor` times as large, by `scalegroup.data.rescale_image`; q stays.

        Args:
            factor: > 1 magnifies what is seen, in voxels; < 1 shrinks it, with a Gaussian before.

        Raises:
            ScaleGroupError: if the factor is not positive.
        """
        before, after = self.mask.shape, rescaled_shape(self.mask.shape, factor)
        step = np.eye(4)
        step[:3, :3] /= factor
        step[:3, 3] = [(n - 1) / 2 - (m - 1) / 2 / factor for n, m in zip(before, after, strict=True)]
        mask = rescale_image(self.mask[None].astype(np.float32), factor)[0] > 0.5
        return replace(self, intensities=rescale_image(self.intensities, factor), mask=mask, affine=self.affine @ step)

    def turn(self, matrix: npt.ArrayLike) -> DiffusionScan:
        """Volume and gradients turned by quarter turns or flips, exactly: `f'(p, q) = f(k⁻¹ p, k⁻¹ q)`.

        The affine matrix follows, so that the head keeps its place in the world: it is the array that turns.

        Args:
            matrix: `k`, 3×3, one 1 or -1 in each row and column.

        Raises:
            ScaleGroupError: if it is no such matrix.
        """
        k = np.asarray(matrix, dtype=np.float64)
        if k.shape != (3, 3) or not np.isin(k, (-1, 0, 1)).all() or not np.array_equal(k @ k.T, np.eye(3)):
            raise ScaleGroupError(
                "a matrix of 3 × 3 with one 1 or -1 in each row and column", k.tolist(), "see to_grid"
            )
        before = np.array(self.mask.shape)
        after = np.abs(k).astype(int) @ before
        back = np.eye(4)
        back[:3, :3] = k.T
        back[:3, 3] = (before - 1) / 2 - k.T @ ((after - 1) / 2)
        return self.to_grid(self.affine @ back, [int(n) for n in after])

    def to_grid(self, affine: npt.ArrayLike, shape: Sequence[int]) -> DiffusionScan:
        """The scan on any other grid, however turned, by cubic splines; the gradients turn with the axes.

        There is no smoothing: use `rescale` before where the new voxels are larger. Grids whose points are points of
        the old one are read without interpolation. Beyond the volume, intensities are 0.

        Args:
            affine: the 4×4 matrix from indices of the new voxels to millimetres.
            shape: how many of them there are along each axis.

        Raises:
            ScaleGroupError: if the matrix places nothing, or the shape has not three positive sizes.
        """
        new = np.asarray(affine, dtype=np.float64)
        if new.shape != (4, 4) or not np.isfinite(new).all() or abs(np.linalg.det(new[:3, :3])) < 1e-12:
            raise ScaleGroupError("a 4×4 affine matrix that gives every voxel a place", new.tolist(), "mend it")
        if len(shape) != 3 or min(shape) < 1:
            raise ScaleGroupError("three positive sizes", tuple(shape), "one for each axis of the new grid")
        step = np.linalg.solve(self.affine, new)
        rounded = np.round(step)
        same_points = bool(np.allclose(step, rounded, atol=1e-6))
        intensities = _sampled(self.intensities, rounded if same_points else step, shape, 0 if same_points else 3)
        mask = _sampled(self.mask[None].astype(np.float32), step, shape, 1)[0] > 0.5
        gradients = self.world_gradients @ axes_in_world(new)
        return replace(self, intensities=intensities, mask=mask, gradients=gradients, affine=new)

    def gradient_table(self) -> Any:
        """The gradients, along the axes of the array, as dipy's `GradientTable` for its models.

        Raises:
            MissingExtraError: without dipy: `pip install 'scalegroup[diffusion]'`.
        """
        try:
            from dipy.core.gradients import gradient_table
        except ImportError as error:
            raise missing_extra("dipy", "diffusion") from error
        return gradient_table(self.b_values, bvecs=self.gradients, b0_threshold=B_ZERO, atol=2 * UNIT)


def fractional_anisotropy(scan: DiffusionScan, method: str = "WLS") -> Array:
    """How much diffusion depends on the direction, 0 (not at all) to 1 (along one line), by dipy's `TensorModel`.

    `FA = sqrt(3/2) |D - tr(D)/3| / |D|` of the tensor `D` fitted to `log signal = -b gᵀ D g`.

    Args:
        scan: with directions enough to tell the six numbers of a tensor.
        method: dipy's name of the fit; "WLS" (weighted least squares) by default.

    Returns:
        float32, shape `(*space)`; 0 outside of the mask and where there is no signal.

    Raises:
        DataError: if the directions do not determine a tensor.
        MissingExtraError: without dipy: `pip install 'scalegroup[diffusion]'`.

    Source: Basser and Pierpaoli, "Microstructural and physiological features of tissues elucidated by
        quantitative-diffusion-tensor MRI", 1996.

    Example:
        >>> from scalegroup.data import diffusion_phantom
        >>> scan = diffusion_phantom((16, 16, 8), directions=12)
        >>> anisotropy = fractional_anisotropy(scan)
        >>> anisotropy.shape, bool(anisotropy[~scan.mask].max() == 0), bool(anisotropy.max() > 0.5)
        ((16, 16, 8), True, True)
    """
    table = scan.gradient_table()
    from dipy.reconst import dti

    g = scan.q()
    rows = [[float(x[i] * x[j]) for i, j in product(range(3), repeat=2) if i <= j] + [1.0] for x in g]
    if np.linalg.matrix_rank(np.array(rows), tol=1e-6) < 7:
        received = f"{int((~scan.unweighted).sum())} in {scan.name}, or some on one cone"
        raise DataError("six directions that determine a tensor", received, "keep more samples of the scan")
    inside = scan.mask & (scan.b0 > scan.noise)
    data = np.moveaxis(scan.signal, 0, -1)[inside].astype(np.float64)  # (voxels, samples)
    found = np.zeros(scan.mask.shape, np.float32)
    if len(data):
        model: Any = dti.TensorModel  # dipy's has no types
        fitted = model(table, fit_method=method, min_signal=1e-3).fit(data)
        found[inside] = np.nan_to_num(fitted.fa).clip(0, 1)
    return found


def check_gradients(b_values: npt.NDArray[np.float64], gradients: Vectors, name: str) -> None:
    """That every sample has a b-value and, where that is above 50, a direction."""
    if not (np.isfinite(b_values).all() and (b_values >= 0).all()):
        raise DataError("b-values of 0 or more", f"{b_values.tolist()} in {name}", "mend the file")
    if not (b_values < B_ZERO).any():
        hint = "signals are measured against it; keep one among the samples"
        raise DataError(f"a b=0 image (b < {B_ZERO:g})", f"none among {len(b_values)} in {name}", hint)
    lengths = np.linalg.norm(gradients, axis=1)
    wrong = np.flatnonzero((b_values >= B_ZERO) & ~(np.abs(lengths - 1) <= UNIT))
    if len(wrong):
        received = f"one of length {lengths[wrong[0]]:.3g} (sample {wrong[0]}, b = {b_values[wrong[0]]:g}) in {name}"
        hint = "put lengths into the b-values, which grow with their square, and leave out images without direction"
        raise DataError("unit vectors as gradients", received, hint)


def axes_in_world(affine: Affine) -> Vectors:
    """The orthogonal 3×3 matrix closest to that of the array's axes: a vector along these times it is in the world.

    Example:
        >>> axes_in_world(np.diag([-2.0, 2.0, 3.0, 1.0])).diagonal()
        array([-1.,  1.,  1.])
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / voxel_size(affine))
    return np.asarray(left @ right)


def _sampled(volumes: Array, step: Affine, shape: Sequence[int], order: int) -> Array:
    """Volumes at `step @ index` for all indices of a grid."""
    matrix, offset = step[:3, :3], step[:3, 3]
    options = {"output_shape": tuple(shape), "output": np.float32, "order": order, "mode": "constant"}
    return np.stack([ndimage.affine_transform(volume, matrix, offset, **options) for volume in volumes])
