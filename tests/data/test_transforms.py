"""MONAI's dictionary transforms on top of the resampler: places in the world, kinds of arrays, random factors."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("monai", reason="needs the extra 'train'")

from monai.data import MetaTensor
from monai.transforms import Compose, Flipd

from scalegroup.data import rescale
from scalegroup.data.rescale import rescale_image
from scalegroup.data.transforms import Coarsened, RandCoarsened, RandRescaled, Rescaled
from scalegroup.engine import resample
from scalegroup.errors import ScaleGroupError

KEYS = ("image", "label")
OBLIQUE = torch.tensor([[0.0, -1.2, 0.4, 7], [0.9, 0.1, 0.3, -5], [-0.2, 0.3, 2.5, 11], [0, 0, 0, 1]]).double()


def scan(seed: int = 0, shape: tuple[int, ...] = (9, 10, 11)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, shape)
    return {"image": rng.normal(size=(2, *shape)).astype(np.float32), "label": label.astype(np.uint8)[None]}


def centre_of_mass(volume: MetaTensor) -> torch.Tensor:
    """Where the first channel's mass is, in the world."""
    mass = volume.as_tensor()[0].double()
    axes = torch.meshgrid(*(torch.arange(n).double() for n in mass.shape), indexing="ij")
    index = torch.stack([(mass * axis).sum() / mass.sum() for axis in axes])
    return volume.affine[:3, :3] @ index + volume.affine[:3, 3]


@pytest.mark.parametrize("factor", [0.6, 1.4])
@pytest.mark.parametrize("canvas", ["proportional", "fixed"])
def test_what_is_seen_keeps_its_place_and_size_in_the_world(factor: float, canvas: str) -> None:
    axes = torch.meshgrid(torch.arange(21.0), torch.arange(24.0), torch.arange(22.0), indexing="ij")
    blob = torch.exp(-sum((axis - c) ** 2 for axis, c in zip(axes, (11, 10, 12.5), strict=True)) / (2 * 1.6**2))
    old = MetaTensor(blob[None], affine=OBLIQUE)
    new = Rescaled("image", factor, canvas)({"image": old})["image"]
    voxel = OBLIQUE[:3, :3].norm(dim=0)
    assert torch.allclose(new.affine[:3, :3].norm(dim=0), voxel / factor)
    middle = [v.affine @ torch.tensor([*((n - 1) / 2 for n in v.shape[1:]), 1]).double() for v in (old, new)]
    assert torch.allclose(*middle)
    assert (centre_of_mass(new) - centre_of_mass(old)).norm() < 0.02 * voxel.min()
    twin = MetaTensor(new.as_tensor(), affine=OBLIQUE)  # the affine that was forgotten
    assert (centre_of_mass(twin) - centre_of_mass(old)).norm() > voxel.min()
    assert torch.equal(old.affine, OBLIQUE)


@given(st.integers(0, 99), st.floats(0.4, 2.0), st.sampled_from(["proportional", "fixed"]))
def test_rescaled_is_rescale(seed: int, factor: float, canvas: str) -> None:
    before = scan(seed)
    after = Rescaled(KEYS, factor, canvas)(before)
    image, label = rescale(before["image"], before["label"][0], factor, canvas)
    np.testing.assert_array_equal(after["image"], image)
    np.testing.assert_array_equal(after["label"], label[None])
    assert before["image"].shape == (2, 9, 10, 11), "the input is left as it was"


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bool])
def test_labels_keep_values_and_dtype(dtype: torch.dtype) -> None:
    label = (torch.from_numpy(scan()["label"]) * 70).to(dtype)
    out = Rescaled("mask", 0.7, label_keys="mask")({"mask": label})["mask"]
    assert out.dtype == dtype
    assert set(out.unique().tolist()) <= set(label.unique().tolist())
    as_image = Rescaled("mask", 0.7)({"mask": label})["mask"]  # the twin: splines make values of their own
    assert not set(as_image.unique().tolist()) <= set(label.unique().tolist())


def test_kinds_and_dtypes_of_images() -> None:
    array = scan()["image"]
    kinds = {
        "array": array,
        "double": torch.from_numpy(array).double(),
        "whole": torch.arange(60).view(1, 3, 4, 5),
        "meta": MetaTensor(torch.from_numpy(array)),
    }
    out = Rescaled(tuple(kinds), 1.3)(kinds)
    assert isinstance(out["array"], np.ndarray)
    assert out["array"].dtype == np.float32
    assert (type(out["double"]), out["double"].dtype) == (torch.Tensor, torch.float64)
    assert out["whole"].dtype == torch.float32
    assert isinstance(out["meta"], MetaTensor)
    np.testing.assert_array_equal(out["array"], out["meta"].as_tensor().numpy())


def test_two_dimensions() -> None:
    out = Rescaled("image", 0.5)({"image": MetaTensor(torch.ones(1, 8, 10), affine=OBLIQUE)})["image"]
    assert out.shape == (1, 4, 5)
    assert torch.allclose(out.affine[:3, :3].norm(dim=0), OBLIQUE[:3, :3].norm(dim=0) * torch.tensor([2.0, 2, 1]))


def test_a_random_factor_is_one_draw_for_all_keys() -> None:
    zoom = RandRescaled(KEYS, 0.5, 1.6).set_random_state(5)
    twin = np.random.RandomState(5)
    seen = []
    for seed in range(20):
        factor = exp(twin.uniform(log(0.5), log(1.6)))
        after = zoom(scan(seed))
        np.testing.assert_array_equal(after["image"], rescale_image(scan(seed)["image"], factor))
        assert after["image"].shape[1:] == after["label"].shape[1:]
        seen.append(factor)
    assert min(seen) < 0.65
    assert max(seen) > 1.25


def test_coarsened_takes_detail_and_leaves_the_rest() -> None:
    before = scan(shape=(24, 24, 24)) | {"image": MetaTensor(torch.randn(1, 24, 24, 24), affine=OBLIQUE)}
    after = RandCoarsened("image", 0.4).set_random_state(1)(before)
    factor = exp(np.random.RandomState(1).uniform(log(0.4), 0))
    coarse = torch.from_numpy(rescale_image(before["image"].numpy(), factor))
    torch.testing.assert_close(after["image"].as_tensor(), resample(coarse, (24,) * 3, (factor,) * 3), rtol=0, atol=0)
    torch.testing.assert_close(after["image"], Coarsened("image", factor)(before)["image"], rtol=0, atol=0)
    assert torch.equal(after["image"].affine, OBLIQUE)
    assert after["label"] is before["label"]

    def fine(volume: MetaTensor) -> float:
        """The share of the energy above half the Nyquist frequency."""
        power = torch.fft.fftn(volume.as_tensor()[0]).abs() ** 2
        high = torch.fft.fftfreq(24).abs() > 0.25
        return float(power[high].sum() / power.sum())

    assert fine(after["image"]) < 0.1 * fine(before["image"])


def test_in_a_pipeline() -> None:
    pipeline = Compose([RandRescaled(KEYS, 0.5, 2), Flipd(KEYS, 0), RandCoarsened("image", 0.5)])
    pipeline.set_random_state(3)
    volume = {key: MetaTensor(torch.from_numpy(value), affine=OBLIQUE) for key, value in scan().items()}
    first = pipeline(volume)
    pipeline.set_random_state(3)
    again = pipeline(volume)
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["image"].affine, first["label"].affine)
    assert first["image"].shape[1:] == first["label"].shape[1:] != volume["label"].shape[1:]


def test_missing_keys() -> None:
    only = {"image": scan()["image"]}
    with pytest.raises(KeyError, match="label"):
        Rescaled(KEYS, 2)(only)
    assert list(Rescaled(KEYS, 2, allow_missing_keys=True)(only)) == ["image"]


def test_what_is_refused() -> None:
    with pytest.raises(ScaleGroupError, match="a factor > 0, received 0"):
        Rescaled(KEYS, 0)
    with pytest.raises(ScaleGroupError, match="canvas 'proportional' or 'fixed', received grown"):
        RandRescaled(KEYS, 0.5, 2, "grown")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match=r"0 < low <= high, received \(2, 0.5\)"):
        RandRescaled(KEYS, 2, 0.5)
    for factor in (0, 1.5):
        with pytest.raises(ScaleGroupError, match=r"a factor of the resolution in 0 … 1, received"):
            RandCoarsened(KEYS, factor)
    with pytest.raises(ScaleGroupError, match="at most 256 values, received 990; name the labels"):
        Rescaled("image", 2, label_keys="image")(scan())
