"""Cases become scans: what is refused, by the path of the file, and what is skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import Case, DataError, load, load_all, load_image, normalise, read_nifti, write_nifti

SHAPE = (9, 10, 11)
AFFINE = np.diag([1.0, 2, 3, 1])
NOISE = np.random.default_rng(1).normal(size=(*SHAPE, 3)).astype(np.float32)


@pytest.fixture
def case(tmp_path: Path, write_scan: Callable[..., tuple[Path, Path]]) -> Case:
    image, label = write_scan(tmp_path, "h_0")
    return Case("h_0", (image,), label, (0, 1, 2), channels=1)


@pytest.fixture
def pair(tmp_path: Path, case: Case) -> Case:
    """The case with its image in two files."""
    second = tmp_path / "imagesTr/h_0_second.nii.gz"
    write_nifti(second, NOISE[..., 0], AFFINE)
    return replace(case, images=(*case.images, second), channels=2)


def test_a_sound_case(case: Case) -> None:
    scan = load(case)
    assert scan.name == "h_0"
    np.testing.assert_array_equal(scan.image, normalise(read_nifti(case.images[0]).data[None]))
    np.testing.assert_array_equal(scan.label, read_nifti(case.label).data)
    assert scan.label.dtype == np.uint8
    assert scan.image.flags.c_contiguous
    assert scan.label.flags.c_contiguous
    assert scan.spacing == (1.0, 2.0, 3.0)


def test_channels_from_files_and_from_the_fourth_axis_are_the_same(tmp_path: Path, pair: Case) -> None:
    both = np.stack([read_nifti(path).data for path in pair.images], axis=-1)
    write_nifti(tmp_path / "both.nii.gz", both, AFFINE)
    one_file = replace(pair, images=(tmp_path / "both.nii.gz",))
    np.testing.assert_array_equal(load(one_file).image, load(pair).image)
    assert load(pair).image.shape == (2, *SHAPE)


def truncate(case: Case) -> None:
    content = case.images[0].read_bytes()
    case.images[0].write_bytes(content[: len(content) // 2])


def rewrite(data: np.ndarray, affine: np.ndarray = AFFINE, label: bool = False) -> Callable[[Case], None]:
    """Puts other data in the place of the image or the label."""
    return lambda case: write_nifti(case.label if label else case.images[0], data, affine)


def labels(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def hole(value: float) -> np.ndarray:
    data = np.array(NOISE[..., 0])
    data[4, 4, 4] = value
    return data


MOVED = AFFINE + np.eye(4, k=3)
IMAGE, LABEL = r".*imagesTr/h_0\.nii\.gz", r".*labelsTr/h_0\.nii\.gz"
BROKEN = {
    "truncated image": (truncate, rf"a readable NIfTI file, received {IMAGE}"),
    "missing image": (lambda case: case.images[0].unlink(), f"received nothing at {IMAGE}"),
    "missing label": (lambda case: case.label.unlink(), f"received nothing at {LABEL}"),
    "NaN": (rewrite(hole(np.nan)), f"finite values, received NaN or infinity in {IMAGE}"),
    "infinity": (rewrite(hole(np.inf)), f"finite values, received NaN or infinity in {IMAGE}"),
    "NaN in the label": (rewrite(hole(np.nan), label=True), f"NaN or infinity in {LABEL}"),
    "no voxels": (rewrite(np.zeros((0, 10, 11), np.float32)), f"a volume with voxels, .* in {IMAGE}"),
    "image of another shape": (
        rewrite(NOISE[:, :, :9, 0]),
        rf"shape \(9, 10, 11\) of its label {LABEL}, received \(9, 10, 9\) in {IMAGE}",
    ),
    "image with larger voxels": (
        rewrite(NOISE[..., 0], np.diag([1, 2, 3.1, 1])),
        f"in the place of its label {LABEL}, received another affine matrix in {IMAGE}",
    ),
    "image one voxel off": (rewrite(NOISE[..., 0], MOVED), "another affine .* moves a corner by 1 mm"),
    "image with mirrored axis": (rewrite(NOISE[..., 0], AFFINE * [-1, 1, 1, 1]), "another affine"),
    "four axes instead of three": (
        rewrite(NOISE),
        rf"an image of three axes, received the shape \(9, 10, 11, 3\) in {IMAGE}",
    ),
    "two axes": (rewrite(NOISE[..., 0, 0]), rf"an image of three axes, received the shape \(9, 10\) in {IMAGE}"),
    "label of four axes": (
        rewrite(np.stack([labels(0), labels(1)], -1), label=True),
        rf"a label of three axes, received the shape \(9, 10, 11, 2\) in {LABEL}",
    ),
    "label of background alone": (rewrite(labels(0), label=True), f"foreground, received background alone in {LABEL}"),
    "label values not declared": (
        rewrite(labels(7), label=True),
        rf"the label values \(0, 1, 2\), received \[7\] in {LABEL}",
    ),
    "label values between": (rewrite(labels(0.5), label=True), r"label values \(0, 1, 2\), received \[0.5\]"),
    "image in the place of the label": (rewrite(NOISE[..., 0], label=True), r"… 990 values\] in"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_case_is_named_or_skipped(case: Case, tmp_path: Path, kind: str, write_scan: Callable) -> None:
    load(case)  # the good twin
    damage, text = BROKEN[kind]
    damage(case)
    with pytest.raises(DataError, match=text):
        load(case)
    image, label = write_scan(tmp_path, "h_1")
    good = Case("h_1", (image,), label, (0, 1, 2), channels=1)
    with pytest.raises(DataError, match=text):
        load_all([good, case])
    scans, [(name, error)] = load_all([case, good], skip_bad=True)
    assert [scan.name for scan in scans] == ["h_1"]
    assert name == "h_0"
    with pytest.raises(DataError, match=text):
        raise error


PAIRS = {
    "one file too many": (lambda pair: replace(pair, channels=1), "1 image channels, received 2 in .*second"),
    "one file too few": (lambda pair: replace(pair, channels=3), "3 image channels, received 2 in .*h_0.nii.gz, "),
    "no file": (lambda pair: replace(pair, images=()), "at least one image file, received none"),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_wrong_number_of_modalities(pair: Case, kind: str) -> None:
    load(pair)
    change, text = PAIRS[kind]
    with pytest.raises(DataError, match=text):
        load(change(pair))


def test_a_wrong_number_of_entries_in_the_fourth_axis(tmp_path: Path, case: Case) -> None:
    write_nifti(case.images[0], NOISE, AFFINE)
    assert load(replace(case, channels=3)).image.shape == (3, *SHAPE)
    assert load(replace(case, channels=None)).image.shape == (3, *SHAPE)
    with pytest.raises(DataError, match=r"4 image channels, received 3 in .*h_0"):
        load(replace(case, channels=4))
    write_nifti(case.images[0], NOISE[..., None], AFFINE[:4, :4])
    load(replace(case, channels=3))  # a trailing axis of one
    write_nifti(case.images[0], np.stack([NOISE, NOISE], axis=-1), AFFINE)
    with pytest.raises(DataError, match=r"three axes, or four with the channels last, received .*11, 3, 2\) in"):
        load(replace(case, channels=3))


def test_modalities_on_different_grids(pair: Case) -> None:
    write_nifti(pair.images[1], NOISE[..., 0], MOVED)
    with pytest.raises(DataError, match=f"in the place of {IMAGE}, received another affine matrix in .*h_0_second"):
        load(pair)
    write_nifti(pair.images[1], NOISE[1:, ..., 0], AFFINE)
    with pytest.raises(DataError, match=rf"of the shape \(9, 10, 11\) of {IMAGE}, received \(8, 10, 11\) in .*second"):
        load_image(pair.images)
    write_nifti(pair.images[1], NOISE, AFFINE)
    with pytest.raises(DataError, match=r"an image of three axes, received the shape .* in .*h_0_second"):
        load(replace(pair, channels=None))


def test_rounded_headers_are_the_same_place(case: Case) -> None:
    write_nifti(case.images[0], NOISE[..., 0], AFFINE + np.random.default_rng(0).uniform(-1e-3, 1e-3, (4, 4)) * AFFINE)
    load(case)


def test_healthy_scans_are_read_when_they_are_declared(case: Case) -> None:
    write_nifti(case.label, labels(0), AFFINE)
    assert not load(replace(case, empty_ok=True)).label.any()


def test_two_conventions_for_labels_are_never_mixed(case: Case) -> None:
    either = replace(case, label_values=(0, 1, 2, 4), other_values=(0, 1, 2, 3))
    for value in (3, 4):
        marked = labels(1)
        marked[0, 0, :2] = value, 2
        write_nifti(case.label, marked, AFFINE)
        assert load(either).label[0, 0, 0] == 3
    marked[0, 0, 2] = 3
    write_nifti(case.label, marked, AFFINE)
    with pytest.raises(DataError, match=r"values \(0, 1, 2, 4\) or \(0, 1, 2, 3\), received \[1, 2, 3, 4\] in"):
        load(either)


def test_all_broken_is_an_error(case: Case) -> None:
    case.label.unlink()
    with pytest.raises(DataError, match=r"at least one sound case, received 2 broken; the first, h_0: .*nothing at"):
        load_all([case, replace(case, name="again")], skip_bad=True)
    assert load_all([], skip_bad=True) == ([], [])


def test_images_without_labels(case: Case, pair: Case) -> None:
    image, affine, header = load_image(case.images[0])
    np.testing.assert_array_equal(image, load(case).image)
    np.testing.assert_array_equal(affine, AFFINE)
    assert header.get_data_shape() == SHAPE
    np.testing.assert_array_equal(load_image([str(path) for path in pair.images], 2)[0], load(pair).image)
    with pytest.raises(DataError, match="1 image channels, received 2"):
        load_image(pair.images, channels=1)
