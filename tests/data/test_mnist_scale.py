"""MNIST-Scale: the field's resampler, its split and its factors, the same on every machine."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import DataError, MnistScale
from scalegroup.data.mnist_scale import read_idx, shrink, write_idx
from scalegroup.errors import ScaleGroupError

COUNTS: Any = {"train": 100, "validation": 50, "test": 50}


def digits(n: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Smooth blobs and edges, as digits have, away from the border."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 28, 28))
    images[:, 6:22, 6:22] = np.kron(rng.integers(0, 2, (n, 8, 8)), np.full((2, 2), 255))
    return images.astype(np.uint8)


def write_mnist(folder: Path, n: int = 400, part: str = "train") -> None:
    images, labels = digits(n), (np.arange(n) % 10).astype(np.uint8)
    images[:, 14, 14] = np.arange(n) % 250  # which image it is
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder)
    return folder


def test_the_resampler_is_the_fields() -> None:
    image_module = pytest.importorskip("PIL.Image", reason="the field's resampler is Pillow's")
    images, factors = digits(40), np.linspace(0.3, 1.0, 40)
    ours = shrink(images, factors)
    for image, factor, result in zip(images, factors, ours, strict=True):
        step, offset = 1 / factor, 14 - 14 / factor
        matrix = (step, 0, offset, 0, step, offset)
        picture = image_module.fromarray(image)
        theirs = picture.transform((28, 28), image_module.Transform.AFFINE, matrix, image_module.Resampling.BICUBIC)
        difference = np.abs(np.asarray(theirs).astype(int) - result)
        # Only where a value is whole but for the rounding of its sum may the last bit differ.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.05
    assert (np.abs(shrink(images, factors * 0.98).astype(int) - ours) > 1).any()


def test_a_factor_of_one_changes_nothing() -> None:
    images = digits(3)
    np.testing.assert_array_equal(shrink(images, np.ones(3)), images)


def test_content_shrinks_about_the_centre() -> None:
    disc = (np.hypot(*np.mgrid[-13.5:14, -13.5:14]) < 9) * np.uint8(255)
    for factor in (0.4, 0.7):
        (small,) = shrink(disc[None], np.array([factor])) / 255
        assert small.sum() / (disc / 255).sum() == pytest.approx(factor**2, rel=0.06)
        np.testing.assert_allclose(small, small[::-1, ::-1], atol=1 / 255)


def test_only_the_anti_aliased_form_keeps_the_mean_of_fine_stripes() -> None:
    stripes = np.zeros((1, 28, 28), np.uint8)
    stripes[:, :, ::2] = 200  # at the limit of what the grid holds
    bare, smooth = (shrink(stripes, np.array([0.45]), antialias)[0, 10:18, 10:18] for antialias in (False, True))
    np.testing.assert_allclose(smooth, 100, atol=12)
    assert np.ptp(bare) > 100


def test_every_part_has_every_class(small: Path) -> None:
    data = MnistScale(small, **COUNTS)
    for part, count in COUNTS.items():
        images, labels = getattr(data, part)
        assert images.shape == (count, 1, 28, 28)
        np.testing.assert_array_equal(np.bincount(labels), np.full(10, count // 10))
    assert len(data.factors) == 200
    assert 0.3 <= data.factors.min() < 0.35
    assert 0.95 < data.factors.max() <= 1.0


def test_no_image_is_in_two_parts(small: Path, tmp_path: Path) -> None:
    labels = np.arange(250, dtype=np.uint8)  # each image has a label of its own
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", digits(250))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", labels)
    data = MnistScale(tmp_path, train=100, validation=50, test=500)
    seen = np.concatenate([data.train.labels, data.validation.labels, data.test.labels])
    np.testing.assert_array_equal(np.sort(seen), np.arange(250))
    assert repr(data).endswith("test 100 (500 asked for, but no more images are there)")
    assert "asked" not in repr(MnistScale(small, **COUNTS))


def test_realisations_are_fixed_and_differ(small: Path) -> None:
    first, again, other = (MnistScale(small, index, **COUNTS) for index in (0, 0, 1))
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert (first.train.images != other.train.images).any()
    assert (first.factors != other.factors).any()


def test_the_official_test_images_are_added(tmp_path: Path) -> None:
    write_mnist(tmp_path, 100)
    with pytest.raises(ScaleGroupError, match=r"fewer than 100 images to train and validate, received \(100, 50\)"):
        MnistScale(tmp_path, **COUNTS)
    write_mnist(tmp_path, 100, "t10k")
    assert len(MnistScale(tmp_path, **COUNTS).test.labels) == 50


def test_broken_files_are_named(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the idx files of MNIST, received no .*train-images-idx3-ubyte\.gz"):
        MnistScale(tmp_path)
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a readable idx file, received .*train-images-idx3-ubyte\.gz"):
        MnistScale(tmp_path)
    path.write_bytes(b"PNG")
    with pytest.raises(DataError, match=r"an idx file of bytes, received .*which begins with b'PNG'"):
        MnistScale(tmp_path)
    path.write_bytes(b"\x00\x00\x08\x01\x00\x00\x00\x09abc")
    with pytest.raises(DataError, match=r"9 bytes in .*train-images-idx3-ubyte\.gz, received 3"):
        read_idx(path)
    write_idx(path, digits(7))
    with pytest.raises(DataError, match=r"n images of 28 × 28 and n labels, received \(7, 28, 28\) and \(400,\)"):
        MnistScale(tmp_path)
    with pytest.raises(ScaleGroupError, match="realisation from 0 to 5, received 6"):
        MnistScale(small, 6)
    with pytest.raises(ScaleGroupError, match="train, an integer >= 1, received 0"):
        MnistScale(small, train=0)
    with pytest.raises(ScaleGroupError, match="one factor > 0 for each image"):
        shrink(digits(2), np.array([0.5, 0.0]))


def test_mnist_is_the_same_on_every_machine(data_dir: Path) -> None:
    data = MnistScale(data_dir / "mnist", train=200, validation=50, test=50)
    pixels = np.rint((data.train.images * 0.2161 + 0.0607) * 255).astype(np.uint8)
    assert (zlib.crc32(pixels.tobytes()), data.train.labels[:10].tolist()) == (
        1992119374,
        [1, 7, 3, 2, 9, 0, 6, 8, 4, 5],
    )
    # The field's mean and deviation, by which the images are normalised.
    assert abs(float(data.train.images.mean())) < 0.05
    assert abs(float(data.train.images.std()) - 1) < 0.05
