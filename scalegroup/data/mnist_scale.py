"""MNIST-Scale: handwritten digits, each shrunk by a factor of its own."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalegroup.data.medmnist import LabelledImages
from scalegroup.data.nifti import DataError
from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_integer

REALISATIONS = 6
SMALLEST, LARGEST = 0.3, 1.0
MEAN, STD = 0.0607, 0.2161  # of the field's training images; intensities are (x / 255 - MEAN) / STD
FILES = (("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"))
CHUNK = 1000  # images that are rescaled at a time
KEYS = -1.0  # the parameter of Pillow's cubic


class MnistScale:
    """MNIST with every image rescaled by a factor that is uniform from 0.3 to 1, padded to 28 × 28 with zeros.

    The images of all idx files in the folder are shuffled by a fixed seed, so that every class has its share of every
    part; the first `train` are for training, the next `validation` choose the checkpoint, the next `test` are tested
    on. Each image has one factor, the same whenever the set is made: shuffling and factors come from the raw stream of
    `numpy.random.PCG64`, which does not change between versions.

    As the field makes it, with its resampler (`shrink`): bicubic and **not anti-aliased**, so that small digits have
    holes and jagged lines, and rounded down to 8 bits. What differs: which images are drawn, and with which factor,
    as the field's seeds are those of other generators; and the centre of the image stays where it is, where the
    torchvision of that time moved it by half a pixel.

    Args:
        root: the folder with the idx files of MNIST, with or without `.gz`. Those of the 60,000 training images must
            be there; those of the 10,000 test images are added when they are.
        realisation: which of the 6 data sets, 0 to 5; results are means over them. Default 0.
        train: number of training images. Default 10,000.
        validation: number of images that choose the checkpoint. Default 2,000.
        test: number of images to test on, at most; without the 10,000 official test images 48,000 remain of the
            50,000 of the protocol, and `repr` says so. Default 50,000.
        antialias: widen the cubic by one over the factor, which removes what the small image cannot hold. Not the
            protocol. Default False.

    Attributes:
        train: `LabelledImages` to learn from, normalised by the field's mean and deviation (0.0607, 0.2161).
        validation: those that choose the epoch, normalised likewise.
        test: those to report on, normalised likewise.
        factors: the factor of each image of `train`, then `validation`, then `test`.

    Raises:
        ScaleGroupError: for a realisation or sizes that do not exist.
        DataError: if a file is missing or broken; the text names the path.

    Source: I. Sosnovik, M. Szmaja, A. Smeulders, "Scale-Equivariant Steerable Networks", ICLR 2020, section 6.1, after
        D. Marcos et al. 2018.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> images, labels = np.zeros((40, 28, 28), np.uint8), np.arange(40, dtype=np.uint8) % 10
        >>> write_idx(folder / "train-images-idx3-ubyte.gz", images)
        >>> write_idx(folder / "train-labels-idx1-ubyte.gz", labels)
        >>> MnistScale(folder, train=20, validation=10, test=50)
        MnistScale realisation 0: train 20, validation 10, test 10 (50 asked for, but no more images are there)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        realisation: int = 0,
        train: int = 10_000,
        validation: int = 2_000,
        test: int = 50_000,
        *,
        antialias: bool = False,
    ) -> None:
        hint = f"results are means over the {REALISATIONS} of them"
        self.realisation = as_integer(realisation, "realisation from 0 to 5", hint, 0, REALISATIONS - 1)
        counts = {"train": train, "validation": validation, "test": test}
        counts = {part: as_integer(n, f"{part}, an integer >= 1", "images", 1) for part, n in counts.items()}
        images, labels = _read_all(Path(root))
        if counts["train"] + counts["validation"] >= len(images):
            hint = "leave some to test on"
            raise ScaleGroupError(f"fewer than {len(images)} images to train and validate", (train, validation), hint)
        raw = np.random.PCG64(self.realisation).random_raw(2 * len(images))
        order = _stratified(np.argsort(raw[: len(images)], kind="stable"), labels)[: sum(counts.values())]
        uniform = (raw[len(images) :] >> np.uint64(11)) * 2.0**-53  # the 53 bits of a float64
        self.factors = (SMALLEST + (LARGEST - SMALLEST) * uniform)[: len(order)]
        self.asked = counts["test"]
        start, stop = counts["train"], counts["train"] + counts["validation"]
        parts = []
        for where in (slice(0, start), slice(start, stop), slice(stop, None)):
            shrunk = shrink(images[order[where]], self.factors[where], antialias)
            normalised = (shrunk[:, None].astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
            parts.append(LabelledImages(normalised, labels[order[where]].astype(np.int64)))
        self.train, self.validation, self.test = parts

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {len(getattr(self, part).labels):,}" for part in ("train", "validation", "test"))
        missing = len(self.test.labels) < self.asked
        note = f" ({self.asked:,} asked for, but no more images are there)" if missing else ""
        return f"MnistScale realisation {self.realisation}: {sizes}{note}"


def shrink(
    images: npt.NDArray[np.uint8], factors: npt.NDArray[np.float64], antialias: bool = False
) -> npt.NDArray[np.uint8]:
    """Rescales each image about its centre by a factor of its own, on the grid that it has.

    Pixel `j` of the output looks at `c + (j - c) / factor` of the input, `c` the centre, and is 0 where that is
    outside; between the pixels the cubic of Keys with parameter -1, rounded down to 8 bits: what `Image.transform`
    of Pillow computes, and with it `RandomAffine` of torchvision.

    Args:
        images: `(n, height, width)`.
        factors: `(n,)`, each > 0.
        antialias: widen the cubic by `1 / factor` where that is above 1. Default False.

    Example:
        >>> image = np.full((1, 8, 8), 200, np.uint8)
        >>> int((shrink(image, np.array([0.5])) > 0).sum())
        16
    """
    if len(images) != len(factors) or not (np.isfinite(factors).all() and (factors > 0).all()):
        raise ScaleGroupError("one factor > 0 for each image", f"{factors.shape} for {images.shape}", "0.5 halves")
    out = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        rows, columns = (_cubic(size, factors[part], antialias) for size in images.shape[1:])
        values = rows @ images[part].astype(np.float64) @ columns.transpose(0, 2, 1)
        # Values that are whole but for rounding errors must not depend on the order of the sums.
        out[part] = np.floor(np.clip(values, 0, 255) + 1e-6)
    return out


def _cubic(size: int, factors: npt.NDArray[np.float64], antialias: bool) -> npt.NDArray[np.float64]:
    """The matrix of each factor, `(n, size, size)`; beyond the border stand copies of the pixel at it."""
    centre, pad = (size - 1) / 2, size
    places = centre + (np.arange(size) - centre) / factors[:, None]
    width = np.maximum(1.0, 1 / factors)[:, None, None] if antialias else 1.0
    taps = _keys((places[:, :, None] - np.arange(-pad, size + pad)) / width)
    taps /= taps.sum(axis=2, keepdims=True) if antialias else 1.0
    inner = taps[:, :, pad : pad + size].copy()
    inner[:, :, 0] += taps[:, :, :pad].sum(axis=2)
    inner[:, :, -1] += taps[:, :, pad + size :].sum(axis=2)
    outside = (places < -0.5) | (places >= size - 0.5)
    inner[outside] = 0
    return inner


def _keys(u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    u = np.abs(u)
    near = (KEYS + 2) * u**3 - (KEYS + 3) * u**2 + 1
    far = KEYS * (u**3 - 5 * u**2 + 8 * u - 4)
    return np.where(u < 1, near, np.where(u < 2, far, 0.0))


def _stratified(order: npt.NDArray[np.int64], labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The same indices, so that every beginning holds all classes by their share: sorted by the rank in the class."""
    share = np.empty(len(order))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[order] == label)
        share[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return order[np.argsort(share, kind="stable")]


def _read_all(root: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images and labels of the training files, and of the test files where they are there."""
    images, labels = [], []
    for number, names in enumerate(FILES):
        paths = [next((p for p in (root / f"{name}.gz", root / name) if p.is_file()), None) for name in names]
        if paths[0] is None and paths[1] is None and number > 0:
            continue
        for name, path in zip(names, paths, strict=True):
            if path is None:
                raise DataError(
                    "the idx files of MNIST", f"no {root / name}.gz", "download it from any mirror of MNIST"
                )
        pixels, classes = (read_idx(path) for path in paths if path is not None)
        if pixels.shape[1:] != (28, 28) or classes.shape != pixels.shape[:1] or not len(classes):
            hint = f"{names[0]} and {names[1]} belong together"
            raise DataError("n images of 28 × 28 and n labels", f"{pixels.shape} and {classes.shape} in {root}", hint)
        images.append(pixels)
        labels.append(classes)
    return np.concatenate(images), np.concatenate(labels)


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """The array of an idx file of bytes, packed by gzip or not.

    Raises:
        DataError: if it is broken.
    """
    path = Path(path)
    hint = "download it again"
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("a readable idx file", f"{path} ({type(error).__name__})", hint) from error
    if content[:3] != b"\x00\x00\x08" or len(content) < 4 + 4 * content[3]:
        raise DataError("an idx file of bytes", f"{path}, which begins with {content[:4]!r}", hint)
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", content[3], 4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if values.size != np.prod(shape):
        raise DataError(f"{int(np.prod(shape))} bytes in {path}", values.size, hint)
    return values.reshape(shape)


def write_idx(path: str | os.PathLike[str], values: npt.NDArray[np.uint8]) -> None:
    """Writes an array of bytes as an idx file packed by gzip, which `read_idx` reads.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels.gz"
        >>> write_idx(path, np.arange(4, dtype=np.uint8))
        >>> read_idx(path)
        array([0, 1, 2, 3], dtype=uint8)
    """
    shape = np.array(values.shape, ">u4").tobytes()
    Path(path).write_bytes(gzip.compress(b"\x00\x00\x08" + bytes([values.ndim]) + shape + values.tobytes(), mtime=0))
