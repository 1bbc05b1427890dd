"""Grids are centred, borders fold as numpy pads, and positions may be anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalegroup.errors import ScaleGroupError
from scalegroup.kernels import (
    first_position,
    fold_index,
    operator_matrix,
    output_positions,
    output_size,
    sample_taps,
    taps_matrix,
)
from scalegroup.symbolic import HermiteBasis

BASIS = HermiteBasis(order=3, dim=1)
NUMPY_MODE = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}
modes = st.sampled_from(sorted(NUMPY_MODE))


@given(st.integers(1, 60), st.integers(1, 5))
def test_same_grids_are_centred(n_in: int, stride: int) -> None:
    n_out = output_size(n_in, stride)
    positions = output_positions(n_in, n_out, stride)
    floor, phase = first_position(n_in, n_out, stride)
    assert n_out == -(-n_in // stride) == len(positions)
    assert phase in (0.0, 0.5)
    assert positions[0] == floor + phase >= 0
    assert positions[0] + positions[-1] == n_in - 1
    np.testing.assert_array_equal(np.diff(positions), stride)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 9))
def test_valid_grids_never_read_outside(n_in: int, stride: int, radius: int) -> None:
    if n_in < 2 * radius + 1:
        with pytest.raises(ScaleGroupError, match=f"at least {2 * radius + 1} voxels .* received {n_in}"):
            output_size(n_in, stride, "valid", radius)
        return
    n_out = output_size(n_in, stride, "valid", radius)
    floor, phase = first_position(n_in, n_out, stride)
    assert floor - radius >= 0
    assert floor + stride * (n_out - 1) + radius + (phase > 0) <= n_in - 1
    with_one_more = (n_in - 1) / 2 - stride * n_out / 2
    assert with_one_more < radius, "another point would fit"


@given(st.integers(1, 7), st.integers(0, 40), modes)
def test_folding_is_padding(n: int, pad: int, mode: str) -> None:
    x = np.arange(1.0, n + 1)
    index = fold_index(np.arange(-pad, n + pad), n, mode)
    found = np.where(index < 0, 0.0, x[index])
    np.testing.assert_array_equal(found, np.pad(x, pad, mode=NUMPY_MODE[mode]))


@given(st.integers(3, 24), st.integers(1, 3), st.floats(0.7, 4), modes)
def test_lattice_positions_agree_with_shifted_taps(n: int, stride: int, sigma: float, mode: str) -> None:
    n_out = output_size(n, stride)
    positions = output_positions(n, n_out, stride)
    found = operator_matrix(BASIS, sigma, np.arange(n), positions, padding_mode=mode)
    floor, phase = first_position(n, n_out, stride)
    taps = sample_taps(BASIS, sigma, phase=phase)
    x = np.random.default_rng(n).standard_normal(n)
    pad = -taps.first + taps.last + stride
    padded = np.pad(x, pad, mode=NUMPY_MODE[mode])
    for k in range(n_out):
        start = pad + floor + stride * k + taps.first
        expected = taps.values @ padded[start : start + taps.values.shape[1]]
        np.testing.assert_allclose(found[:, k] @ x, expected, atol=1e-12)


def test_a_grid_that_starts_at_voxel_zero_is_another() -> None:
    centred = operator_matrix(BASIS, 2.0, np.arange(16), output_positions(16, 8, 2))
    corner = operator_matrix(BASIS, 2.0, np.arange(16), np.arange(0, 16, 2))
    flip = np.array(BASIS.parities)[:, None, None]
    np.testing.assert_allclose(centred, flip * centred[:, ::-1, ::-1], atol=1e-12)
    assert np.abs(corner - flip * corner[:, ::-1, ::-1]).max() > 0.05


@given(st.floats(-30, 30), st.floats(0.4, 2.5), st.floats(-5, 5))
def test_kernels_live_in_millimetres(origin: float, spacing: float, point: float) -> None:
    """A Gaussian of width 3 mm, whatever the voxels: blurring adds the squares of the widths."""
    sigma, width = 2.5, 3.0
    n = 2 * int(40 / spacing) + 1
    voxels = origin + spacing * (np.arange(n) - n // 2)
    x = np.exp(-0.5 * ((voxels - origin) / width) ** 2)
    found = operator_matrix(BASIS, sigma, voxels, [origin + point], spacing=spacing) @ x
    total = np.hypot(sigma, width)
    blurred = width / total * np.exp(-0.5 * (point / total) ** 2) * BASIS.means[0]
    assert found[0, 0] == pytest.approx(blurred, rel=2e-4)
    # h_1 = c_1 u e^{-u²/2} is -sigma c_1/c_0 times the derivative of h_0(u/sigma), so the response is its derivative
    slope = -point / total**2 * blurred * sigma * np.sqrt(2)
    assert found[1, 0] == pytest.approx(slope, abs=1e-3)


def test_wrong_spacing_is_noticed() -> None:
    with pytest.raises(ScaleGroupError, match=r"regular grid of spacing 1.0, received \[0.0, 2.0\]"):
        operator_matrix(BASIS, 1.0, [0, 2], [0])
    with pytest.raises(ScaleGroupError, match="a spacing > 0"):
        operator_matrix(BASIS, 1.0, [0, 1], [0], spacing=0.0)


@given(st.integers(1, 12), st.floats(0.7, 3), st.floats(-3, 14))
def test_constants_pass_all_borders_but_zeros(n: int, sigma: float, position: float) -> None:
    for mode in ("replicate", "reflect", "circular"):
        sums = operator_matrix(BASIS, sigma, np.arange(n), [position], padding_mode=mode).sum(axis=2)[:, 0]
        np.testing.assert_allclose(sums, BASIS.means, atol=5e-3)
    outside = operator_matrix(BASIS, sigma, np.arange(n), [n + 100.0])
    assert not outside.any()


def test_circular_matrices_commute_with_shifts() -> None:
    matrix = operator_matrix(BASIS, 1.4, np.arange(9), np.arange(9), padding_mode="circular")
    np.testing.assert_allclose(np.roll(matrix, (1, 1), axis=(1, 2)), matrix, atol=1e-15)
    zeros = operator_matrix(BASIS, 1.4, np.arange(9), np.arange(9), padding_mode="zeros")
    assert np.abs(np.roll(zeros, (1, 1), axis=(1, 2)) - zeros).max() > 0.1


def test_the_matrix_and_its_transpose_are_adjoint() -> None:
    rng = np.random.default_rng(0)
    matrix = operator_matrix(BASIS, 2.0, np.arange(15), output_positions(15, 8, 2), padding_mode="reflect")
    x, y = rng.standard_normal(15), rng.standard_normal((4, 8))
    assert np.vdot(matrix @ x, y) == pytest.approx(float(x @ np.einsum("foi,fo->i", matrix, y)))


def test_positions_closer_than_rounding_are_one() -> None:
    exact = operator_matrix(BASIS, 1.5, np.arange(9), [3.0, 4.0])
    near = operator_matrix(BASIS, 1.5, np.arange(9), [3.0 - 1e-13, 4.0 + 1e-13])
    np.testing.assert_array_equal(exact, near)


def test_no_positions() -> None:
    assert taps_matrix(lambda phase: sample_taps(BASIS, 1.0, phase=phase), [], 5).shape == (4, 0, 5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: output_size(0), r"n_in ≥ 1 and stride ≥ 1, received \(0, 1\)"),
        (lambda: output_size(4, 0), r"received \(4, 0\)"),
        (lambda: output_size(4, 1, "full"), "padding 'same' or 'valid', received 'full'"),
        (lambda: fold_index([0], 0, "zeros"), "n ≥ 1 input voxels, received 0"),
        (lambda: fold_index([0], 3, "mirror"), "'reflect', 'circular'.*, received 'mirror'"),
    ],
)
def test_wrong_arguments(call: object, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        call()  # type: ignore[operator]
