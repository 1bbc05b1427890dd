"""Diffusion-weighted scans: gradients stay with the head, whatever happens to the array it is stored in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scalegroup.data import (
    DataError,
    DiffusionScan,
    diffusion_phantom,
    fractional_anisotropy,
    read_diffusion,
    write_nifti,
)
from scalegroup.errors import MissingExtraError, ScaleGroupError

B = 1000.0
QUARTER = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])


def oblique(seed: int, mirrored: bool) -> np.ndarray:
    """An affine matrix as of a tilted head, with voxels of three sizes."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * [2.0, 2.5, 3.0] * [-1 if mirrored else 1, 1, 1]
    affine[:3, 3] = 10, -20, 30
    return affine


def write_files(folder: Path, scan: DiffusionScan, bval: str = "s.bval", bvec: str = "s.bvec") -> Path:
    """The scan as FSL would have it, made from its directions in the world, by FSL's own definition."""
    axes = scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)
    if np.linalg.det(axes) > 0:
        axes = axes * [-1, 1, 1]  # FSL counts the first axis from the other end
    write_nifti(folder / "s.nii.gz", np.moveaxis(scan.intensities, 0, -1), scan.affine)
    np.savetxt(folder / bval, scan.b_values[None])
    np.savetxt(folder / bvec, np.linalg.solve(axes, scan.world_gradients.T))
    return folder / "s.nii.gz"


@pytest.fixture
def scan() -> DiffusionScan:
    return diffusion_phantom((14, 12, 10), directions=9, b=B)


def main_direction(scan: DiffusionScan, place: tuple[int, ...]) -> np.ndarray:
    """Along which line of the world water diffuses most at a voxel, by a tensor fitted without dipy."""
    g = scan.world_gradients
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    design = np.array(
        [[-b * x[i] * x[j] * (1 if i == j else 2) for i, j in pairs] for b, x in zip(scan.b_values, g, strict=True)]
    )
    values = np.linalg.lstsq(design, np.log(scan.signal[(slice(None), *place)]), rcond=None)[0]
    tensor = np.zeros((3, 3))
    for (i, j), value in zip(pairs, values, strict=True):
        tensor[i, j] = tensor[j, i] = value
    return np.linalg.eigh(tensor)[1][:, -1]


# Reading


@given(st.integers(0, 99), st.booleans())
def test_directions_are_fsls(tmp_path_factory: pytest.TempPathFactory, seed: int, mirrored: bool) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    affine = oblique(seed, mirrored)
    world = Rotation.random(7, random_state=seed).as_matrix()[:, 0]
    world[0] = 0
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    made = replace(diffusion_phantom((8, 8, 8), 6), affine=affine, gradients=world @ axes)
    folder = tmp_path_factory.mktemp("scan")
    read = read_diffusion(write_files(folder, made))
    np.testing.assert_allclose(read.world_gradients, world, atol=1e-6)
    np.testing.assert_allclose(read.gradients, made.gradients, atol=1e-6)
    if not mirrored:  # the twin: without the sign they are others
        assert np.abs(np.loadtxt(folder / "s.bvec").T - made.gradients).max() > 1e-3


def test_what_is_read(tmp_path: Path, scan: DiffusionScan) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    read = read_diffusion(write_files(tmp_path, scan))
    assert read.name == "s"
    assert read.signal.dtype == np.float32
    assert read.signal.shape == (10, 14, 12, 10)
    np.testing.assert_allclose(read.signal[:, scan.mask], scan.signal[:, scan.mask], rtol=1e-6)
    np.testing.assert_array_equal(read.signal[0, scan.mask], 1)
    np.testing.assert_array_equal(read.signal[:, ~scan.mask], 0)
    np.testing.assert_allclose(np.linalg.norm(read.q(b_reference=4 * B), axis=1), [0] + 9 * [0.5])
    # Otsu's threshold of a smoothed ball of one intensity is the ball, but for its surface.
    assert (read.mask == scan.mask).mean() > 0.9


def test_other_names_and_columns_are_read(tmp_path: Path, scan: DiffusionScan) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    expected = read_diffusion(write_files(tmp_path, scan))
    table = np.loadtxt(tmp_path / "s.bvec")
    (tmp_path / "s.bvec").unlink()
    (tmp_path / "s.bval").rename(tmp_path / "s.bvals")
    (tmp_path / "s.bvecs").write_text("\n".join(",".join(map(str, row)) for row in table.T) + "\n\n")
    np.testing.assert_allclose(read_diffusion(tmp_path / "s.nii.gz").gradients, expected.gradients, atol=1e-6)
    np.savetxt(tmp_path / "b.txt", scan.b_values)
    (tmp_path / "s.bvals").unlink()
    np.testing.assert_array_equal(read_diffusion(tmp_path / "s.nii.gz", tmp_path / "b.txt").b_values, scan.b_values)


def test_a_table_of_three_by_three_is_read_by_rows(tmp_path: Path) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    few = diffusion_phantom((8, 8, 8), directions=2)
    read = read_diffusion(write_files(tmp_path, few))
    np.testing.assert_allclose(read.gradients, few.gradients, atol=1e-6)


def spoilt_value(value: float, sample: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        values = np.loadtxt(folder / "s.bval")
        values[sample] = value
        np.savetxt(folder / "s.bval", values[None])

    return spoil


def spoilt_vector(factor: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        table = np.loadtxt(folder / "s.bvec")
        table[:, 4] *= factor
        np.savetxt(folder / "s.bvec", table)

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        np.savetxt(folder / name, np.atleast_2d(np.loadtxt(folder / name))[:, :-1])

    return spoil


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: (folder / "s.bval").unlink(), r"a bval file, received nothing at .*s\.bval or .*s\.bvals; a"),
        (lambda folder: (folder / "s.bvec").unlink(), r"a bvec file, received nothing at .*s\.bvec or .*s\.bvecs; a"),
        (lambda folder: (folder / "s.bval").write_text("many"), r"a table of numbers, received .*s\.bval \(could not"),
        (lambda folder: (folder / "s.bval").write_text(" "), r"b-values, received the shape \(0,\) in .*s\.bval"),
        (lambda folder: (folder / "s.bval").write_text("0 1\n2 3"), r"b-values, received the shape \(2, 2\)"),
        (lambda folder: (folder / "s.bvec").write_text("0 1\n2 3"), r"directions, received the shape \(2, 2\) in"),
        (lambda folder: (folder / "s.bvec").write_bytes(b"\xff\xfe"), r"a table of numbers, received .*s\.bvec"),
        (cut("s.bval"), r"10 entries, one per sample of .*s\.nii\.gz, received 9 in .*s\.bval; are they"),
        (cut("s.bvec"), r"10 entries, one per sample of .*s\.nii\.gz, received 9 in .*s\.bvec; are they"),
        (spoilt_value(-1, 3), r"b-values of 0 or more"),
        (spoilt_value(np.nan, 3), r"b-values of 0 or more"),
        (spoilt_value(B, 0), r"a b=0 image \(b < 50\), received none among 10|one of length 0 \(sample 0"),
        (
            spoilt_vector(2.0),
            r"unit vectors as gradients, received one of length 2 \(sample 4, b = 1000\) in .*s\.bvec",
        ),
        (spoilt_vector(0.0), r"unit vectors as gradients, received one of length 0 \(sample 4"),
        (spoilt_vector(np.nan), r"finite directions, received NaN or infinity in .*s\.bvec"),
    ],
)
def test_files_that_do_not_fit_are_named(
    tmp_path: Path, scan: DiffusionScan, spoil: Callable[[Path], None], text: str
) -> None:
    path = write_files(tmp_path, scan)
    spoil(tmp_path)
    with pytest.raises(DataError, match=text):
        read_diffusion(path)


def test_a_single_volume_is_no_diffusion_scan(tmp_path: Path) -> None:
    write_nifti(tmp_path / "s.nii", np.ones((4, 5, 6), np.float32), np.eye(4))
    with pytest.raises(DataError, match=r"four axes, the last the sample, received the shape \(4, 5, 6\)"):
        read_diffusion(tmp_path / "s.nii")


def test_without_dipy_the_error_says_what_to_install(
    tmp_path: Path, scan: DiffusionScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_files(tmp_path, scan)
    for module in ("dipy.segment.mask", "dipy.core.gradients"):
        monkeypatch.setitem(sys.modules, module, None)
    for use in (lambda: read_diffusion(path), lambda: fractional_anisotropy(scan)):
        with pytest.raises(MissingExtraError, match=r"'dipy' of the optional extra 'diffusion'.*scalegroup\[diffusion"):
            use()


def test_the_real_series(data_dir: Path) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    scan = read_diffusion(data_dir / "dwi" / "dti_tra_dir16_AP_9_134431.nii.gz")
    assert scan.signal.shape == (17, 64, 64, 20)
    np.testing.assert_allclose(scan.spacing, (3.5, 3.5, 4.2), atol=1e-4)
    assert np.linalg.det(scan.affine[:3, :3]) < 0  # so the directions stay as they are in the file
    table = np.loadtxt(data_dir / "dwi" / "dti_tra_dir16_AP_9_134431.bvec").T
    np.testing.assert_allclose(scan.gradients, table, atol=1e-5)
    assert 0.2 < scan.mask.mean() < 0.3
    anisotropy = fractional_anisotropy(scan)
    assert 0.2 < anisotropy[scan.mask].mean() < 0.3
    # The splenium of the corpus callosum runs from left to right, the first axis of this array.
    assert anisotropy[30, 26, 4] > 0.9
    assert abs(main_direction(scan, (30, 26, 4))[0]) > 0.95
    # Fibres go on from voxel to voxel where the signs are right, and no more where an axis is mirrored.
    right = coherence(scan, anisotropy)
    for signs in ([-1, 1, 1], [1, -1, 1], [1, 1, -1]):
        assert coherence(replace(scan, gradients=scan.gradients * signs), anisotropy) < 0.9 * right


def coherence(scan: DiffusionScan, anisotropy: np.ndarray) -> float:
    """How much anisotropy lies where the direction of a voxel points to a neighbour whose direction points back."""
    from dipy.reconst.dti import TensorModel

    strong = anisotropy > 0.4
    model = TensorModel(scan.gradient_table(), min_signal=1e-3)
    main = np.zeros((*strong.shape, 3))
    main[strong] = model.fit(np.moveaxis(scan.signal, 0, -1)[strong]).evecs[..., 0]
    total = 0.0
    for offset in product((-1, 0, 1), repeat=3):
        step = np.array(offset) * scan.spacing
        if step.any():
            along = np.abs(main @ step) / np.linalg.norm(step) > np.cos(np.pi / 6)
            there = np.roll(along, [-n for n in offset], axis=(0, 1, 2))
            total += float(anisotropy[along & there].sum())
    return total


# Moving, turning and rescaling


def test_a_subset_is_divided_by_its_own_b0(scan: DiffusionScan) -> None:
    twice = replace(
        scan,
        intensities=np.concatenate([3 * scan.intensities[:1], scan.intensities]),
        b_values=np.concatenate([[5.0], scan.b_values]),
        gradients=np.concatenate([np.zeros((1, 3)), scan.gradients]),
    )
    np.testing.assert_allclose(twice.signal[2:], scan.signal[1:] / 2, rtol=1e-6)
    mask = np.isin(np.arange(len(twice.b_values)), [1, 3, 8])
    np.testing.assert_array_equal(twice.subset(mask).signal, twice.subset([1, 3, 8]).signal)
    few = twice.subset([8, 1, 3])
    np.testing.assert_array_equal(few.gradients, twice.gradients[[8, 1, 3]])
    np.testing.assert_allclose(few.signal[0], scan.signal[7], rtol=1e-6)
    with pytest.raises(DataError, match=r"a b=0 image \(b < 50\), received none among 2 in phantom"):
        twice.subset([3, 4])
    for wrong in ([0, 11], [], [[0]], [0.0, 1.5], [True, False]):
        with pytest.raises(DataError, match="indices of the 11 samples of phantom"):
            twice.subset(wrong)  # type: ignore[arg-type]


@given(st.integers(0, 47), st.integers(0, 9), st.booleans())
def test_turning_is_exact_and_keeps_the_head_in_its_place(number: int, seed: int, mirrored: bool) -> None:
    scan = replace(diffusion_phantom((7, 6, 5), 6), affine=oblique(seed, mirrored))
    k = quarter_turns()[number]
    turned = scan.turn(k)
    np.testing.assert_allclose(turned.world_gradients, scan.world_gradients, atol=1e-12)
    np.testing.assert_allclose(turned.gradients, scan.gradients @ k.T, atol=1e-12)
    shift_old, shift_new = ((np.array(one.mask.shape) - 1) / 2 for one in (scan, turned))
    for voxel in ((0, 0, 0), (6, 2, 1), (3, 5, 4)):
        other = tuple(np.round(k @ (voxel - shift_old) + shift_new).astype(int))
        np.testing.assert_array_equal(
            turned.intensities[(slice(None), *other)], scan.intensities[(slice(None), *voxel)]
        )
        assert turned.mask[other] == scan.mask[voxel]
        np.testing.assert_allclose(turned.affine @ [*other, 1], scan.affine @ [*voxel, 1], atol=1e-9)
    back = turned.turn(k.T)
    np.testing.assert_array_equal(back.signal, scan.signal)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-9)


def quarter_turns() -> list[np.ndarray]:
    return [np.eye(3)[list(p)] * signs for p in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def test_fibres_keep_their_direction_in_the_world(scan: DiffusionScan) -> None:
    middle = (7, 5, 6)  # on the bundle, which runs along the first axis; the phantom's affine mirrors that
    assert abs(main_direction(scan, middle)[0]) > 0.99
    turned = scan.turn(QUARTER)
    place = next(zip(*np.nonzero(turned.intensities[3] == scan.intensities[3][middle]), strict=True))
    assert abs(main_direction(turned, place)[0]) > 0.99
    lazy = replace(turned, gradients=scan.gradients)  # the twin: the array turned, the gradients left behind
    assert abs(main_direction(lazy, place)[0]) < 0.5


def test_other_grids(scan: DiffusionScan) -> None:
    twist = np.eye(4)
    twist[:3, :3] = Rotation.from_euler("xyz", (5, 10, -20), degrees=True).as_matrix()
    # Around the bundle, which the first axis of the new grid leaves at an angle.
    centre = scan.affine @ [7, 5, 6, 1]
    twist[:3, 3] = centre[:3] - twist[:3, :3] @ np.array([4.0, 4, 4])
    grid = scan.to_grid(twist, (9, 9, 9))
    assert grid.signal.shape == (10, 9, 9, 9)
    np.testing.assert_allclose(grid.world_gradients, scan.world_gradients, atol=1e-12)
    np.testing.assert_allclose(grid.intensities[:, 4, 4, 4], scan.intensities[:, 7, 5, 6], rtol=1e-4)
    assert abs(main_direction(grid, (4, 4, 4))[0]) > 0.99
    for affine, shape, text in (
        (np.zeros((4, 4)), (3, 3, 3), "a 4×4 affine matrix that gives every voxel a place"),
        (np.eye(3), (3, 3, 3), "a 4×4 affine matrix"),
        (np.eye(4), (3, 3), "three positive sizes"),
    ):
        with pytest.raises(ScaleGroupError, match=text):
            scan.to_grid(affine, shape)
    for k in (np.eye(2), 2 * np.eye(3), np.ones((3, 3)), Rotation.random(random_state=0).as_matrix()):
        with pytest.raises(ScaleGroupError, match="with one 1 or -1 in each row and column"):
            scan.turn(k)


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_rescaling_keeps_the_middle_and_the_gradients(factor: float) -> None:
    scan = diffusion_phantom((24, 24, 16), 6)
    other = scan.rescale(factor)
    assert other.mask.shape == tuple(round(factor * n) for n in (24, 24, 16))
    np.testing.assert_array_equal(other.q(), scan.q())
    np.testing.assert_allclose(other.spacing, np.divide(scan.spacing, factor))
    middles = [one.affine @ [*((np.array(one.mask.shape) - 1) / 2), 1] for one in (scan, other)]
    np.testing.assert_allclose(*middles, atol=1e-9)
    assert other.mask.mean() == pytest.approx(scan.mask.mean(), rel=0.1)


def test_cropping_keeps_the_place(scan: DiffusionScan) -> None:
    part = scan.crop((slice(2, 9), slice(None), slice(3, None)))
    np.testing.assert_array_equal(part.signal, scan.signal[:, 2:9, :, 3:])
    np.testing.assert_allclose(part.affine @ [1, 2, 3, 1], scan.affine @ [3, 2, 6, 1])
    for wrong in ((slice(3),), 2 * (slice(None),) + (slice(0, 9, 2),), 2 * (slice(None),) + (slice(4, 4),)):
        with pytest.raises(ScaleGroupError, match="three slices without steps, of one voxel at least"):
            scan.crop(wrong)


def test_what_does_not_fit_is_refused(scan: DiffusionScan) -> None:
    with pytest.raises(
        DataError, match=r"intensities \(samples, \*space\), mask .* received \(\(9, 14, 12, 10\), \(14,"
    ):
        replace(scan, intensities=scan.intensities[:9])
    with pytest.raises(ScaleGroupError, match="a reference b-value > 0"):
        scan.q(0)
    for wrong in ({"shape": (3, 3)}, {"directions": 0}, {"noise": -1}, {"b": 0}):
        with pytest.raises(ScaleGroupError, match="three sizes, directions, b and voxel > 0"):
            diffusion_phantom(**wrong)  # type: ignore[arg-type]


# Anisotropy


def test_anisotropy_of_a_known_tensor() -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    made = diffusion_phantom((4, 4, 4), directions=12)
    values = np.array([1.5e-3, 0.5e-3, 0.4e-3])
    clean = 1000 * np.exp(-made.b_values * np.einsum("mi,i,mi->m", made.gradients, values, made.gradients))
    scan = replace(made, intensities=np.broadcast_to(clean[:, None, None, None], (13, 4, 4, 4)).astype(np.float32))
    expected = np.sqrt(1.5) * np.linalg.norm(values - values.mean()) / np.linalg.norm(values)
    found = fractional_anisotropy(scan)
    np.testing.assert_allclose(found[scan.mask], expected, rtol=1e-4)
    np.testing.assert_array_equal(found[~scan.mask], 0)
    np.testing.assert_allclose(fractional_anisotropy(scan, "OLS")[scan.mask], expected, rtol=1e-4)


def test_six_directions_are_needed_and_do_not_lie_on_a_cone(scan: DiffusionScan) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    fractional_anisotropy(scan.subset([0, 1, 2, 3, 5, 7, 8]))
    with pytest.raises(DataError, match="six directions that determine a tensor, received 5 in phantom"):
        fractional_anisotropy(scan.subset([0, 1, 2, 3, 5, 7]))
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    cone = np.stack([np.cos(angle), np.sin(angle), np.ones(9)], axis=1) / np.sqrt(2)
    with pytest.raises(DataError, match="received 9 in phantom, or some on one cone"):
        fractional_anisotropy(replace(scan, gradients=np.concatenate([np.zeros((1, 3)), cone])))


def test_nothing_in_the_mask(scan: DiffusionScan) -> None:
    pytest.importorskip("dipy", reason="needs the extra 'diffusion'")
    assert not fractional_anisotropy(replace(scan, mask=np.zeros_like(scan.mask))).any()


def test_noise_of_the_phantom_is_the_seeds() -> None:
    first, again, other = (diffusion_phantom((6, 6, 6), 6, noise=0.05, seed=seed).intensities for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first >= 0).all()
