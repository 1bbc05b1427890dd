"""The geometry of a layer: which output points there are, where they lie, and what lies beyond the border.

All grids of a network are centred on the volume. Along an axis with voxels at 0 … n_in - 1 and stride q, the
outputs lie at `first + q k`, symmetric about the middle `(n_in - 1) / 2`; so `first` is a multiple of 1/2,
whatever the sizes. A grid that started at voxel 0 instead would shift the content by a fraction of a voxel at
every stride.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels.taps import DEFAULT_BAND, DEFAULT_SUPPORT, Method, Taps, sample_taps
from scalegroup.symbolic import Basis
from scalegroup.symbolic.basis import Array

Padding = Literal["same", "valid"]
PaddingMode = Literal["zeros", "replicate", "reflect", "circular"]

OUTSIDE = -1
"""What `fold_index` returns for a position outside the volume that holds zero. It is no index: leave such taps out."""
PHASE_DIGITS = 9  # positions closer than 1e-9 voxels are one position, so equal phases share their taps


def output_size(n_in: int, stride: int = 1, padding: Padding = "same", radius: int = 0) -> int:
    """The number of output points along an axis.

    "same": `ceil(n_in / stride)`. "valid": `floor((n_in - 2 radius - 1) / stride) + 1`, the points whose
    whole kernel lies in the volume.

    Args:
        n_in: number of input voxels.
        stride: spacing of the outputs in voxels. Default 1.
        padding: "same" or "valid". Default "same".
        radius: half-width of the kernel in voxels; counts for "valid" only. Default 0.

    Raises:
        ScaleGroupError: where no output point is left, and for arguments outside their ranges.

    Example:
        >>> output_size(9, stride=2), output_size(9, stride=2, padding="valid", radius=3)
        (5, 2)
    """
    if n_in < 1 or stride < 1:
        raise ScaleGroupError("n_in ≥ 1 and stride ≥ 1", (n_in, stride), "give the sizes in voxels")
    if padding == "same":
        return -(-n_in // stride)
    if padding != "valid":
        raise ScaleGroupError("padding 'same' or 'valid'", repr(padding), "'same' keeps the size")
    size = (n_in - 2 * radius - 1) // stride + 1
    if size < 1:
        raise ScaleGroupError(
            f"at least {2 * radius + 1} voxels for a kernel of radius {radius} and padding='valid'",
            n_in,
            "use padding='same', a smaller sigma or support, fewer scales, or a larger volume",
        )
    return size


def first_position(n_in: int, n_out: int, stride: int) -> tuple[int, float]:
    """Where the first output point of a centred grid lies: whole voxels, and the phase 0 or 0.5 right of
    them.

    `floor + phase = ((n_in - 1) - stride (n_out - 1)) / 2`

    Args:
        n_in: number of input voxels.
        n_out: number of output points.
        stride: spacing of the outputs in voxels.

    Example:
        >>> first_position(9, 5, 2), first_position(8, 4, 2)
        ((0, 0.0), (0, 0.5))
    """
    halves = (n_in - 1) - stride * (n_out - 1)
    return halves // 2, 0.5 * (halves % 2)


def output_positions(n_in: int, n_out: int, stride: int) -> Array:
    """The positions of all output points of a centred grid, in voxels of the input: shape `(n_out,)`.

    Args:
        n_in: input samples along the axis.
        n_out: output samples.
        stride: input samples per output sample.

    Example:
        >>> output_positions(8, 4, 2)
        array([0.5, 2.5, 4.5, 6.5])
    """
    return sum(first_position(n_in, n_out, stride)) + stride * np.arange(n_out, dtype=np.float64)


def fold_index(index: npt.ArrayLike, n: int, mode: PaddingMode) -> npt.NDArray[np.int64]:
    """The input voxel that each voxel of the padded axis reads, for any amount of padding.

    Args:
        index: integer positions, also outside `0 … n - 1`.
        n: number of input voxels, ≥ 1.
        mode: "zeros" (-1 stands for a voxel that holds zero), "replicate" (the border voxel), "reflect"
            (mirrored about the border voxel, as often as needed; one voxel mirrors to itself), "circular".

    Returns:
        Integers of the shape of `index`.

    Raises:
        ScaleGroupError: for an unknown mode or `n < 1`.

    Example:
        >>> fold_index([-2, -1, 0, 2, 3, 4], 3, "reflect")
        array([2, 1, 0, 2, 1, 0])
    """
    where = np.asarray(index, dtype=np.int64)
    if n < 1:
        raise ScaleGroupError("n ≥ 1 input voxels", n, "give a volume that is not empty")
    if mode == "zeros":
        return np.where((where >= 0) & (where < n), where, OUTSIDE)
    if mode == "replicate":
        return np.clip(where, 0, n - 1)
    if mode == "circular":
        return where % n
    if mode == "reflect":
        folded = where % max(2 * n - 2, 1)
        return np.minimum(folded, (2 * n - 2) - folded)
    raise ScaleGroupError(f"padding_mode to be one of {get_args(PaddingMode)}", repr(mode), "choose one of them")


def taps_matrix(
    taps_at: Callable[[float], Taps], positions: npt.ArrayLike, n_in: int, padding_mode: PaddingMode = "zeros"
) -> Array:
    """The matrices that apply taps at arbitrary output positions, with the border folded in.

    Args:
        taps_at: gives the taps for a phase in [0, 1).
        positions: output points in voxels of the input, shape `(n_out,)`.
        n_in: number of input voxels.
        padding_mode: what lies beyond the border, see `fold_index`. Default "zeros".

    Returns:
        Shape `(F1, n_out, n_in)`.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> basis = HermiteBasis(order=1)
        >>> taps_matrix(lambda phase: sample_taps(basis, 1.0, phase=phase), [0.0, 1.5, 3.0], 4).shape
        (2, 3, 4)
    """
    exact = np.round(np.atleast_1d(np.asarray(positions, dtype=np.float64)), PHASE_DIGITS)
    rows = []
    for position in exact:
        whole = floor(position)
        taps = taps_at(round(float(position - whole), PHASE_DIGITS))
        reads = fold_index(whole + np.arange(taps.first, taps.last + 1), n_in, padding_mode)
        row = np.zeros((n_in, len(taps.values)))
        inside = reads != OUTSIDE
        np.add.at(row, reads[inside], taps.values.T[inside])  # folded taps meet in one voxel and add up
        rows.append(row.T)
    return np.stack(rows, axis=1) if rows else np.zeros((len(taps_at(0.0).values), 0, n_in))


def operator_matrix(
    basis: Basis,
    sigma: float,
    in_positions: npt.ArrayLike,
    out_positions: npt.ArrayLike,
    spacing: float = 1.0,
    support: float = DEFAULT_SUPPORT,
    padding_mode: PaddingMode = "zeros",
    method: Method = "auto",
    band: float = DEFAULT_BAND,
    radius: int | None = None,
) -> Array:
    """The one-dimensional operators between two sets of positions: the general form of a layer's axis.

    `y_f(p) = Σ_n A[f, p, n] x_n ≈ ∫ x(p + u) h_f(u / sigma) / sigma du`

    Args:
        basis: the functions.
        sigma: width, in the unit of the positions (mm, or voxels for `spacing=1`).
        in_positions: voxel centres, ascending and `spacing` apart, shape `(n_in,)`.
        out_positions: any positions, shape `(n_out,)`.
        spacing: voxel size, in the unit of the positions. Default 1.
        support: half-width in units of sigma. Default 4.5.
        padding_mode: what lies beyond the border, see `fold_index`. Default "zeros".
        method: "auto", "sampled" or "fitted", see `sample_taps`. Default "auto".
        band: the frequencies that count, in radians per voxel. Default π/2.
        radius: half-width in voxels, instead of `ceil(support * sigma / spacing)`.

    Returns:
        Shape `(F1, n_out, n_in)`.

    Raises:
        ScaleGroupError: for input positions that are not a regular grid of this spacing, and for arguments
            outside their ranges.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> voxels, points = [0.0, 2.0, 4.0, 6.0, 8.0], [0.5, 1.0, 7.3]
        >>> operator_matrix(HermiteBasis(order=2), 3.0, voxels, points, spacing=2.0).shape
        (3, 3, 5)
    """
    centres = np.asarray(in_positions, dtype=np.float64)
    if not spacing > 0:
        raise ScaleGroupError("a spacing > 0", spacing, "give the voxel size")
    if centres.ndim != 1 or not len(centres) or not np.allclose(np.diff(centres), spacing, rtol=1e-6, atol=0):
        raise ScaleGroupError(
            f"in_positions to be a regular grid of spacing {spacing}",
            centres.tolist(),
            "resample the input to a regular grid first, or correct the spacing",
        )
    width = sigma / spacing

    def taps_at(phase: float) -> Taps:
        return sample_taps(basis, width, support, phase, method, band, radius)

    voxels = (np.asarray(out_positions, dtype=np.float64) - centres[0]) / spacing
    return taps_matrix(taps_at, voxels, len(centres), padding_mode)
