"""One-dimensional operators on grids: taps, positions, borders, resampling, and the error of each."""

from __future__ import annotations

from scalegroup.kernels.accuracy import declared_error, product_error
from scalegroup.kernels.grid import (
    OUTSIDE,
    first_position,
    fold_index,
    operator_matrix,
    output_positions,
    output_size,
    taps_matrix,
)
from scalegroup.kernels.haar import haar_grid
from scalegroup.kernels.resample import interpolation_matrix, interpolation_taps, resampling_matrix, smoothing_matrix
from scalegroup.kernels.steerable import steerable
from scalegroup.kernels.taps import Taps, sample_taps, window_taps

__all__ = [
    "OUTSIDE",
    "Taps",
    "declared_error",
    "first_position",
    "fold_index",
    "haar_grid",
    "interpolation_matrix",
    "interpolation_taps",
    "operator_matrix",
    "output_positions",
    "output_size",
    "product_error",
    "resampling_matrix",
    "sample_taps",
    "smoothing_matrix",
    "steerable",
    "taps_matrix",
    "window_taps",
]
