"""NIfTI files: read to the last byte, written whole, on the same grid and with the same header."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

import nibabel
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scalegroup.data import DataError, load_image, read_nifti, write_nifti

ENDINGS = pytest.mark.parametrize("name", ["volume.nii", "volume.nii.gz"])


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)


@ENDINGS
def test_round_trip(tmp_path: Path, values: np.ndarray, name: str) -> None:
    affine = np.array([[0, -1.5, 0, 3], [2, 0, 0, -4], [0, 0, 0.5, 5], [0, 0, 0, 1]])
    write_nifti(tmp_path / "new" / name, values, affine)
    data, placed, header = read_nifti(tmp_path / "new" / name)
    np.testing.assert_array_equal(data, values)
    np.testing.assert_array_equal(placed, affine)
    assert header.get_xyzt_units()[0] == "mm"
    assert [item.name for item in (tmp_path / "new").iterdir()] == [name]


@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_a_prediction_has_the_place_and_the_header_of_its_image(
    tmp_path_factory: pytest.TempPathFactory, seed: int, mirrored: bool, oblique: bool
) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() if oblique else np.eye(3)
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.4, 4, 3) * ([-1, 1, 1] if mirrored else [1, 1, 1])
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    folder = tmp_path_factory.mktemp("scan")
    volume = nibabel.Nifti1Image(rng.integers(0, 900, (4, 5, 6), dtype=np.int16), affine)
    volume.header.set_qform(affine, "scanner")
    volume.header.set_sform(affine, "scanner")
    volume.header.set_xyzt_units("mm", "sec")
    volume.header["descrip"] = b"a remark"
    volume.header["cal_max"] = 900
    nibabel.save(volume, folder / "image.nii.gz")

    image, placed, header = load_image(folder / "image.nii.gz")
    label = (image[0] > 0).astype(np.uint8)
    write_nifti(folder / "label.nii.gz", label, placed, header)

    before, after = (nibabel.load(folder / f"{name}.nii.gz") for name in ("image", "label"))
    np.testing.assert_array_equal(after.affine, before.affine)
    for form in ("get_qform", "get_sform"):
        (old, code), (new, new_code) = (getattr(file.header, form)(coded=True) for file in (before, after))
        np.testing.assert_array_equal(new, old)
        assert new_code == code == 1
    assert after.header.get_xyzt_units() == ("mm", "sec")
    assert bytes(after.header["descrip"]).startswith(b"a remark")
    assert after.get_data_dtype() == np.uint8
    assert after.header["cal_max"] == 0
    assert header["cal_max"] == 900, "the header that was given is left as it was"
    np.testing.assert_array_equal(np.asarray(after.dataobj), label)
    write_nifti(folder / "bare.nii.gz", label, placed)  # the twin: without the header its codes are lost
    assert int(nibabel.load(folder / "bare.nii.gz").header["qform_code"]) != 1


def test_codes_of_zero_and_of_one_form_alone_are_kept(tmp_path: Path, values: np.ndarray) -> None:
    affine = np.diag([2.0, 3, 4, 1])
    for qform, sform in ((0, 0), (1, 0), (0, 2), (1, 4)):
        volume = nibabel.Nifti1Image(values, None)
        volume.header.set_zooms((2, 3, 4))
        volume.header.set_qform(affine if qform else None, qform)
        volume.header.set_sform(affine if sform else None, sform)
        nibabel.save(volume, tmp_path / "a.nii")
        data, placed, header = read_nifti(tmp_path / "a.nii")
        write_nifti(tmp_path / "b.nii", data, placed, header)
        out = nibabel.load(tmp_path / "b.nii")
        assert (int(out.header["qform_code"]), int(out.header["sform_code"])) == (qform, sform)
        np.testing.assert_array_equal(out.affine, nibabel.load(tmp_path / "a.nii").affine)


def test_a_label_of_an_image_with_channels(tmp_path: Path, values: np.ndarray) -> None:
    volume = nibabel.Nifti1Image(np.stack([values, values], axis=-1), np.diag([2.0, 3, 4, 1]))
    volume.header.set_zooms((2, 3, 4, 1.5))
    volume.header.set_intent("vector")
    volume.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"by whom"))
    nibabel.save(volume, tmp_path / "a.nii")
    image, affine, header = load_image(tmp_path / "a.nii", channels=2)
    write_nifti(tmp_path / "b.nii", (image[0] > 0).astype(np.uint8), affine, header)
    out = nibabel.load(tmp_path / "b.nii")
    assert out.shape == values.shape
    assert out.header.get_zooms() == (2, 3, 4)
    assert out.header.get_intent()[0] == "none"
    assert [extension.get_content() for extension in out.header.extensions] == [b"by whom"]


def test_nifti_2_stays_nifti_2(tmp_path: Path, values: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti2Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    data, affine, header = read_nifti(tmp_path / "a.nii.gz")
    write_nifti(tmp_path / "b.nii.gz", data, affine, header)
    assert isinstance(nibabel.load(tmp_path / "b.nii.gz"), nibabel.Nifti2Image)


def test_scaled_integers_are_scaled(tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(np.full((2, 2, 2), 3.5, np.float32), np.eye(4))
    volume.header.set_data_dtype(np.int16)
    nibabel.save(volume, tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").data, 3.5)


def test_compression_is_seen_from_the_content(tmp_path: Path, values: np.ndarray) -> None:
    write_nifti(tmp_path / "a.nii", values, np.eye(4))
    (tmp_path / "a.nii").rename(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "b.nii.gz").data, values)


def test_trailing_axes_of_one_are_dropped(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", np.ones((3, 4, 1, 1), np.float32), np.eye(4))
    assert read_nifti(tmp_path / "a.nii.gz").data.shape == (3, 4, 1)


@ENDINGS
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, values: np.ndarray, name: str, share: float) -> None:
    path = tmp_path / name
    write_nifti(path, values, np.eye(4))
    whole = path.read_bytes()
    path.write_bytes(whole[: min(int(share * len(whole)), len(whole) - 1)])
    with pytest.raises(DataError, match=rf"a readable NIfTI file, received .*{name} \(.+\); download"):
        read_nifti(path)
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_nifti(path).data, values)


def test_a_checksum_that_is_missing_or_wrong_is_noticed(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "a.nii.gz"
    write_nifti(path, values, np.eye(4))
    whole = path.read_bytes()
    for broken in (whole[:-8], whole[:-1], whole[:-8] + bytes(4) + whole[-4:]):
        path.write_bytes(broken)
        # All the voxels are there, and nibabel does not look any further.
        np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), values)
        with pytest.raises(DataError, match="a readable NIfTI file"):
            read_nifti(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", b"\x1f\x8b", gzip.compress(b"text"), bytes(400)],
    # Names, since a compressed file holds the time: two processes would collect different tests.
    ids=["empty", "text", "cut", "compressed text", "zeros"],
)
def test_what_is_no_nifti_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a readable NIfTI file, received .*a\.nii\.gz"):
        read_nifti(tmp_path / "a.nii.gz")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a.nii"):
        with pytest.raises(DataError, match=f"received nothing at {path}; check"):
            read_nifti(path)


def write_raw(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> None:
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine), path)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, wild: float) -> None:
    data = np.zeros((3, 4, 5))
    data[1, 1, 1] = wild
    write_raw(tmp_path / "a.nii", data)
    with pytest.raises(DataError, match=r"finite values, received NaN or infinity in .*a\.nii"):
        read_nifti(tmp_path / "a.nii")


def test_data_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((3, 4, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for data in (np.zeros((3, 4, 5), np.complex64), colours):
        write_raw(tmp_path / "a.nii", data)
        with pytest.raises(DataError, match=r"one real number per voxel, received the data type .* in .*a\.nii"):
            read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("shape", [(0, 4, 5), (4, 5, 0), (4, 5, 6, 0)])
def test_an_empty_volume_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_raw(tmp_path / "a.nii", np.zeros(shape, np.float32))
    with pytest.raises(DataError, match=r"a volume with voxels, received the shape .*0.* in .*a\.nii"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("entry", [np.nan, 0.0])
def test_an_affine_that_places_nothing_is_refused(tmp_path: Path, entry: float) -> None:
    raw = bytearray(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.eye(4)).to_bytes())
    raw[296:312] = np.full(4, entry, np.float32).tobytes()  # the header's srow_y
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(DataError, match=r"gives every voxel a place, received .* in .*a\.nii; mend the header"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("moment", ["save", "fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: np.ndarray, moment: str
) -> None:
    path = tmp_path / "a.nii.gz"
    write_nifti(path, values, np.eye(4))

    def stop(*arguments: object) -> None:
        if moment == "save":
            Path(arguments[1]).write_bytes(b"half a file")  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(nibabel if moment == "save" else os, moment, stop)
        with pytest.raises(KeyboardInterrupt):
            write_nifti(path, 2 * values, np.eye(4))
    assert [item.name for item in tmp_path.iterdir()] == ["a.nii.gz"]
    np.testing.assert_array_equal(read_nifti(path).data, values)
    write_nifti(path, 2 * values, np.eye(4))
    np.testing.assert_array_equal(read_nifti(path).data, 2 * values)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ends in \.nii or \.nii\.gz, received .*a\.mha"):
        write_nifti(tmp_path / "a.mha", np.zeros((3, 3, 3), np.float32), np.eye(4))
    for data in (np.array([object()]), np.zeros((3, 3, 3), bool)):
        with pytest.raises(DataError, match=f"a data type of NIfTI, received {data.dtype} for .*a.nii"):
            write_nifti(tmp_path / "a.nii", data, np.eye(4))
    assert not list(tmp_path.iterdir())
