"""Made-up four-modality head scans with lesions, for demonstrations and tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scalegroup.data.brats import BRATS_CLASSES, write_brats_case
from scalegroup.data.nifti import Array
from scalegroup.errors import ScaleGroupError

_Float = npt.NDArray[np.float64]

# Mean intensity of each tissue in t1, t1ce, t2, flair. Rows overlap on purpose: in each single modality
# some lesion part looks like some healthy tissue (oedema like fluid in t2, core like fluid in t1, enhancing
# rim like vessels and scalp in t1ce), so that neither a threshold nor one modality solves the task.
_CONTRAST = {
    "air": (0.02, 0.02, 0.02, 0.02),
    "scalp": (0.85, 0.95, 0.55, 0.50),
    "skull": (0.12, 0.12, 0.10, 0.10),
    "fluid": (0.18, 0.18, 0.95, 0.15),
    "grey": (0.52, 0.55, 0.60, 0.60),
    "white": (0.72, 0.74, 0.42, 0.45),
    "vessel": (0.40, 0.98, 0.30, 0.35),
    "oedema": (0.50, 0.52, 0.80, 0.82),
    "core": (0.28, 0.30, 0.80, 0.45),
    "enhancing": (0.50, 0.92, 0.62, 0.70),
}


def head_phantom(
    seed: int, size: int = 48, lesion_radius: tuple[float, float] = (0.15, 0.3), noise: float = 0.025
) -> tuple[Array, npt.NDArray[np.uint8]]:
    """One made-up head: shells of tissue, folded cortex, ventricles, vessels, one lesion with rim and oedema.

    Tissue borders are smooth (about a voxel wide), the intensities carry a slow texture, a bias field,
    another gain for each modality, and Rician noise. The same seed gives the same head on every machine.

    Args:
        seed: of everything that varies: pose, shape, lesion, intensities, noise.
        size: voxels per axis; default 48.
        lesion_radius: smallest and largest radius of the tumour without its oedema, as a share of the
            half-width of the volume; default (0.15, 0.3), which is 4 to 7 voxels of 48.
        noise: standard deviation of the noise, where white matter in t1 is about 0.7; default 0.025.

    Returns:
        intensities (t1, t1ce, t2, flair) of shape `(4, size, size, size)`, and the BraTS label values 0, 1
        (core), 2 (oedema), 4 (enhancing) of shape `(size, size, size)`.

    Raises:
        ScaleGroupError: if the size is below 16 voxels or the radii are not in order.

    Example:
        >>> image, label = head_phantom(seed=0, size=32)
        >>> image.shape, image.dtype, sorted(set(label.ravel().tolist()))
        ((4, 32, 32, 32), dtype('float32'), [0, 1, 2, 4])
    """
    low, high = lesion_radius
    if size < 16 or not 0 < low <= high < 0.5:
        received = f"size {size} and radii {lesion_radius}"
        raise ScaleGroupError("size >= 16 and radii 0 < low <= high < 0.5", received, "the defaults suit a demo")
    rng = np.random.default_rng(seed)
    grid = _Grid(size, rng)
    tissue, depth = _anatomy(grid)
    lesion, label = _lesion(grid, depth, float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    for name, share in lesion.items():
        for other in tissue.values():
            other *= 1 - share
        tissue[name] = share
    return _intensities(grid, tissue, noise), label


def write_phantoms(root: str | os.PathLike[str], seeds: Sequence[int], size: int = 48, voxel: float = 4.0) -> Path:
    """Writes one BraTS patient per seed, `BraTS_0001` for seed 1, and returns the folder.

    Args:
        root: the folder to fill.
        seeds: one per patient.
        size: voxels per axis.
        voxel: voxel size in mm; default 4.0, a head of usual size on 48 voxels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sorted(path.name for path in write_phantoms(folder, seeds=[1, 7], size=16).iterdir())
        ['BraTS_0001', 'BraTS_0007']
    """
    affine = np.diag([voxel, voxel, voxel, 1.0])
    for seed in seeds:
        write_brats_case(Path(root) / f"BraTS_{seed:04d}", *head_phantom(seed, size), affine)
    return Path(root)


class _Grid:
    """Coordinates from -1 to 1, slow random fields, and soft steps, all of one random head."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        axis = (np.arange(size) - (size - 1) / 2) / (size / 2)
        self.points: _Float = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))  # (3, size, size, size)

    def field(self, wavelength: float) -> _Float:
        """A smooth random field of unit variance; the wavelength is a share of the half-width."""
        sigma = wavelength * self.size / 8
        smooth = ndimage.gaussian_filter(self.rng.standard_normal((self.size,) * 3), sigma, mode="wrap")
        return np.asarray(smooth / smooth.std())

    def inside(self, distance: _Float, width: float = 0.6) -> _Float:
        """1 where the signed distance is negative, 0 where positive, about a voxel wide in between."""
        voxels = np.clip(distance * self.size / 2 / width, -20, 20)
        return np.asarray(1 / (1 + np.exp(2 * voxels)))

    def ellipsoid(self, centre: npt.ArrayLike, radii: npt.ArrayLike) -> _Float:
        """The (approximate) signed distance to an ellipsoid."""
        radii = np.asarray(radii, dtype=np.float64).reshape(3, 1, 1, 1)
        offset = (self.points - np.asarray(centre, dtype=np.float64).reshape(3, 1, 1, 1)) / radii
        return np.asarray((np.sqrt((offset**2).sum(axis=0)) - 1) * radii.mean())


def _anatomy(grid: _Grid) -> tuple[dict[str, _Float], _Float]:
    """The share of each healthy tissue in each voxel, and the depth below the brain's surface."""
    rng = grid.rng
    centre = rng.uniform(-0.04, 0.04, 3)
    radii = np.array([0.72, 0.86, 0.74]) * rng.uniform(0.96, 1.04, 3)
    head = grid.ellipsoid(centre, radii) + 0.012 * grid.field(0.8)
    brain = head + 0.14
    folds = 0.035 * grid.field(0.16)
    cortex, white = brain + 0.02 + folds, brain + 0.12 + 1.6 * folds
    side = np.array([0.13, 0.0, 0.0])
    horns = [
        grid.ellipsoid(centre + sign * side, np.array([0.07, 0.26, 0.12]) * rng.uniform(0.8, 1.25, 3))
        for sign in (-1, 1)
    ]
    ventricles = np.minimum(*horns) + 0.012 * grid.field(0.2)
    # Two fields of waves vanish together along curves; 0.175 turns their values there into distances.
    vessels = 0.175 * (np.maximum(np.abs(grid.field(0.7)), np.abs(grid.field(0.7))) - 0.2)
    layers = {
        "air": np.ones_like(head),
        "scalp": grid.inside(head),
        "skull": grid.inside(head + 0.05),
        "fluid": grid.inside(brain),
        "grey": grid.inside(cortex),
        "white": grid.inside(white),
        "vessel": grid.inside(np.maximum(vessels, brain + 0.03)),
        "inner fluid": grid.inside(ventricles),
    }
    tissue = _stack(layers)
    tissue["fluid"] = tissue["fluid"] + tissue.pop("inner fluid")
    return tissue, np.asarray(-np.maximum(white, -ventricles))


def _stack(layers: dict[str, _Float]) -> dict[str, _Float]:
    """Shares that sum to one, where each layer covers the ones before it."""
    shares: dict[str, _Float] = {}
    for name, cover in layers.items():
        for share in shares.values():
            share *= 1 - cover
        shares[name] = cover.copy()
    return shares


def _lesion(grid: _Grid, depth: _Float, radius: float) -> tuple[dict[str, _Float], npt.NDArray[np.uint8]]:
    """The share of each lesion part, and the label values; the shape is an ellipsoid with a rough surface."""
    rng = grid.rng
    room = np.argwhere(depth > min(0.5 * radius, 0.9 * float(depth.max())))
    centre = grid.points[(slice(None), *room[rng.integers(len(room))])]
    shape = grid.ellipsoid(centre, radius * rng.uniform(0.8, 1.25, 3)) + 0.16 * radius * grid.field(1.6 * radius)
    swelling = shape - rng.uniform(0.55, 0.9) * radius + 0.22 * radius * grid.field(2.5 * radius)
    # Oedema spreads through white matter and stops at fluid and bone; the tumour itself stays inside the
    # brain.
    outer = np.maximum(swelling, -depth - 0.03)
    tumour = np.maximum(shape, -depth - 0.10)
    core = shape + rng.uniform(0.35, 0.5) * radius + 0.1 * radius * grid.field(1.2 * radius)
    layers = {
        "healthy": np.ones_like(shape),
        "oedema": grid.inside(np.minimum(outer, tumour)),
        "enhancing": grid.inside(tumour),
        "core": grid.inside(np.maximum(core, tumour)),
    }
    shares = _stack(layers)
    values = np.array([0, *(BRATS_CLASSES[name] for name in list(layers)[1:])], dtype=np.uint8)
    label = values[np.argmax(np.stack(list(shares.values())), axis=0)]
    del shares["healthy"]
    return shares, label


def _intensities(grid: _Grid, tissue: dict[str, _Float], noise: float) -> Array:
    rng = grid.rng
    texture = 0.5 * grid.field(0.12) + 0.5 * grid.field(0.3)  # shared by the modalities, as real tissue's is
    channels = []
    for modality in range(len(next(iter(_CONTRAST.values())))):
        means = {name: _CONTRAST[name][modality] + 0.02 * rng.standard_normal() for name in tissue}
        clean = sum((share * means[name] for name, share in tissue.items()), np.zeros_like(texture))
        signal = clean * (1 + 0.06 * texture) * np.exp(0.08 * grid.field(1.5))
        real, imaginary = noise * rng.standard_normal((2, *signal.shape))
        channels.append(rng.uniform(200, 900) * np.hypot(signal + real, imaginary))
    return np.asarray(np.stack(channels), dtype=np.float32)
