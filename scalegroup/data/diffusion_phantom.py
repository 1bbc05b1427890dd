"""A made-up diffusion-weighted scan: bundles of fibres in a ball of tissue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scalegroup.data.diffusion import DiffusionScan, Vectors
from scalegroup.errors import ScaleGroupError

LONG, SHORT, TISSUE = 1.7e-3, 0.3e-3, 0.8e-3  # diffusivities along and across fibres, and in grey matter, in mm²/s


def diffusion_phantom(
    shape: Sequence[int] = (24, 24, 16),
    directions: int = 16,
    b: float = 1000.0,
    voxel: float = 2.0,
    noise: float = 0.0,
    seed: int = 0,
) -> DiffusionScan:
    """A ball of tissue with a ring of fibres in it and a straight bundle through it, without any file.

    `E(p, q) = Σ_i w_i(p) exp(-b gᵀ D_i(p) g)`: tissue in which water diffuses alike in all directions, and fibres
    along which it diffuses almost six times as fast as across.

    Args:
        shape: voxels along each axis; default (24, 24, 16).
        directions: gradients besides the one image of b=0; default 16, spread evenly over the half-sphere.
        b: their b-value in s/mm²; default 1000.
        voxel: the voxel size in mm; default 2.
        noise: standard deviation of the (Rician) noise, in units of the tissue's b=0 intensity; default 0.
        seed: of the noise; default 0.

    Returns:
        A `DiffusionScan` whose mask is the ball.

    Raises:
        ScaleGroupError: if a size, the number of directions, b or the voxel size is not positive.

    Example:
        >>> scan = diffusion_phantom()
        >>> scan.signal.shape, int(scan.mask.sum()), round(float(scan.signal[1:, scan.mask].max()), 2)
        ((17, 24, 24, 16), 3536, 0.72)
    """
    if len(shape) != 3 or min(shape) < 1 or directions < 1 or min(b, voxel) <= 0 or noise < 0:
        received = f"shape={tuple(shape)}, directions={directions}, b={b}, voxel={voxel}, noise={noise}"
        raise ScaleGroupError("three sizes, directions, b and voxel > 0, noise >= 0", received, "see the defaults")
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    ball = x**2 + y**2 + z**2 <= 0.9
    ring = np.exp(-((np.hypot(x, y) - 0.6) ** 2 + z**2) / 0.03)
    bundle = np.exp(-((y + 0.1) ** 2 + (z - 0.35) ** 2) / 0.02)
    tangent = np.stack([-y, x, 0 * z], axis=-1) / np.maximum(np.hypot(x, y), 1e-6)[..., None]
    vectors = np.concatenate([np.zeros((1, 3)), half_sphere(directions)])
    b_values = np.array([0.0] + directions * [b])
    tissue = np.clip(1 - ring - bundle, 0, 1)
    total = ring + bundle + tissue
    volumes = []
    for value, g in zip(b_values, vectors, strict=True):
        parts = ring * _fibre(value, tangent @ g) + bundle * _fibre(value, np.asarray(g[0]))
        clean = 1000 * ball * (parts + tissue * np.exp(-value * TISSUE)) / total
        real, imaginary = rng.normal(0, 1000 * noise, (2, *ball.shape)) if noise else (0.0, 0.0)
        volumes.append(np.hypot(clean + real, imaginary))
    affine = np.diag([-voxel, voxel, voxel, 1.0])
    return DiffusionScan("phantom", np.array(volumes, np.float32), ball, b_values, vectors, affine, 100.0)


def half_sphere(count: int) -> Vectors:
    """Unit vectors, none the opposite of another, that spread evenly: a spiral of equal areas (Fibonacci's lattice).

    Example:
        >>> half_sphere(2).round(3)
        array([[ 0.661,  0.   ,  0.75 ],
               [-0.714,  0.654,  0.25 ]])
    """
    place = np.arange(count)
    z = 1 - (place + 0.5) / count
    angle = place * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _fibre(b: float, along: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What is left of the signal of fibres whose direction has this component along the gradient."""
    return np.asarray(np.exp(-b * (SHORT + (LONG - SHORT) * along**2) * (1.0 if b else 0.0)))
