"""What is done to a volume in memory: phantoms, normalisation, rescaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import head_phantom, normalise, rescale, rescale_image, rescale_label, rescaled_shape
from scalegroup.errors import ScaleGroupError


def blob(n: int, sigma: float) -> np.ndarray:
    """A centred Gaussian on an `n`³ grid."""
    axis = np.arange(n) - (n - 1) / 2
    one = np.exp(-(axis**2) / (2 * sigma**2))
    return np.einsum("i,j,k->ijk", one, one, one).astype(np.float32)


def test_phantom_depends_on_the_seed_alone() -> None:
    image, label = head_phantom(3, size=24)
    again, label_again = head_phantom(3, size=24)
    other, _ = head_phantom(4, size=24)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(label, label_again)
    assert not np.array_equal(image, other)


def test_phantom_lesions_vary_in_size_and_place() -> None:
    sizes, centres = [], []
    for seed in range(8):
        _, label = head_phantom(seed, size=32)
        assert set(np.unique(label)) == {0, 1, 2, 4}
        sizes.append((label > 0).sum())
        centres.append(np.argwhere(label > 0).mean(axis=0))
    assert max(sizes) > 2 * min(sizes)
    assert np.std(centres, axis=0).min() > 1


def best_threshold(image: np.ndarray, truth: np.ndarray) -> float:
    """The best Dice that one threshold on one modality can have, chosen on the very scan it is tested on."""
    best = 0.0
    for channel in image:
        for level in np.percentile(channel, np.arange(2, 100, 2)):
            for found in (channel > level, channel <= level):
                best = max(best, 2 * (found & truth).sum() / (found.sum() + truth.sum()))
    return best


def test_phantom_needs_context() -> None:
    # Flair shows whole lesions (.50 to .74 here), as it does in real scans; the parts, which the demo scores, no
    # threshold finds: measured .32 as the mean over parts and scans, where the demo's networks reach .75.
    scores = []
    for seed in range(2, 6):
        image, label = head_phantom(seed, size=32)
        scores += [best_threshold(image, label == part) for part in (1, 2, 4)]
    assert np.mean(scores) < 0.4


@pytest.mark.parametrize("arguments", [{"size": 8}, {"lesion_radius": (0.3, 0.2)}, {"lesion_radius": (0, 0.2)}])
def test_phantom_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(ScaleGroupError, match="size >= 16 and radii"):
        head_phantom(0, **arguments)  # type: ignore[arg-type]


@given(st.integers(0, 1000), st.floats(0.1, 1e4), st.floats(-1e4, 1e4))
def test_normalise_forgets_gain_and_offset(seed: int, gain: float, offset: float) -> None:
    image = np.random.default_rng(seed).normal(size=(2, 6, 6, 6))
    np.testing.assert_allclose(normalise(gain * image + offset), normalise(image), atol=1e-3)


def test_normalise_survives_one_wild_voxel() -> None:
    image = np.random.default_rng(0).normal(100, 10, (1, 12, 12, 12))
    wild = image.copy()
    wild[0, 5, 5, 5] = 1.7e6
    change = np.abs(normalise(wild) - normalise(image))
    change[0, 5, 5, 5] = 0
    assert change.max() < 0.1
    plain = (wild - wild.mean()) / wild.std()  # the twin: a plain z-score loses all contrast
    assert np.delete(plain.ravel(), np.argmax(plain)).std() < 1e-3


@given(
    st.integers(0, 1000),
    st.tuples(*3 * [st.integers(2, 9)]),
    st.sampled_from([-1, 1]),
    st.floats(1, 25),
    st.floats(1, 25),
)
def test_how_wild_one_voxel_is_makes_no_difference(
    seed: int, shape: tuple[int, int, int], sign: int, decades: float, more: float
) -> None:
    image = np.random.default_rng(seed).normal(size=(2, *shape))
    place = (1, *np.unravel_index(seed % image[0].size, shape))
    out = []
    for power in (decades, more):
        image[place] = sign * 10**power
        out.append(normalise(image))
    np.testing.assert_array_equal(*out)
    others = np.delete(out[0][1].ravel(), seed % image[0].size)
    assert others.std() > 0.5
    clipping_nothing = normalise(image, 0, 100)[1]  # the twin
    assert np.delete(clipping_nothing.ravel(), seed % image[0].size).std() < 0.5


def test_normalise_of_a_constant_is_zero() -> None:
    np.testing.assert_array_equal(normalise(np.full((1, 4, 4, 4), 0.1)), 0)


def test_normalise_refuses() -> None:
    with pytest.raises(ScaleGroupError, match=r"percentiles 0 <= lower < upper <= 100, received \(60, 40\)"):
        normalise(np.zeros((1, 3, 3, 3)), 60, 40)


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.3, 1.6])
@pytest.mark.parametrize("canvas", ["proportional", "fixed"])
def test_rescale_is_scaling_about_the_centre(factor: float, canvas: str) -> None:
    sigma = 4.0
    out = rescale_image(blob(33, sigma)[None], factor, canvas)[0]
    # When shrinking, the anti-aliasing filter adds its variance: 0.25 (1 - factor²) voxels² of the new grid.
    width = np.sqrt((factor * sigma) ** 2 + 0.25 * max(0.0, 1 - factor**2))
    height = (factor * sigma / width) ** 3
    want = height * blob(out.shape[0], width)
    inner = (slice(2, -2),) * 3  # the border voxel is repeated outside
    # 1e-2, because at factor 0.8 the filter is a Gaussian of 0.375 voxels, sampled on whole ones.
    assert np.abs(out - want)[inner].max() < 1e-2
    if canvas == "fixed":
        assert out.shape == (33, 33, 33)
        assert np.abs(out - blob(33, sigma))[inner].max() > 0.1


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.5])
def test_image_and_label_stay_together(factor: float) -> None:
    ball = blob(31, 5.0)
    image, label = rescale(ball[None], (ball > 0.5).astype(np.uint8), factor)
    assert image.shape[1:] == label.shape == rescaled_shape((31,) * 3, factor)
    found, truth = image[0] > 0.5, label > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.93
    shifted = np.roll(found, 1, axis=0)  # the twin: one voxel off is seen
    assert 2 * (shifted & truth).sum() / (shifted.sum() + truth.sum()) < 0.92


def test_shrinking_does_not_alias() -> None:
    stripes = np.where(np.arange(48) % 2, 1.0, -1.0).astype(np.float32) * np.ones((1, 48, 48, 48), np.float32)
    out = rescale_image(stripes, 0.5)[0][4:-4, 4:-4, 4:-4]
    assert np.abs(out).max() < 0.1


def test_rescale_by_one_is_the_identity() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 7, 8, 9)).astype(np.float32)
    label = rng.integers(0, 3, (7, 8, 9)).astype(np.uint8)
    for out, original in zip(rescale(image, label, 1), (image, label), strict=True):
        np.testing.assert_array_equal(out, original)


def test_rescaled_labels_are_old_labels() -> None:
    label = head_phantom(0, size=24)[1]
    label[label == 4] = 3
    for factor in (0.6, 1.6):
        assert set(np.unique(rescale_label(label, factor))) <= set(np.unique(label))


@pytest.mark.parametrize("factor", [0, -1.0, float("nan"), float("inf")])
def test_rescale_refuses_factors(factor: float) -> None:
    with pytest.raises(ScaleGroupError, match="a factor > 0"):
        rescale_image(np.zeros((1, 4, 4, 4), np.float32), factor)


def test_rescale_refuses_the_rest() -> None:
    with pytest.raises(ScaleGroupError, match="canvas 'proportional' or 'fixed', received grown"):
        rescale_image(np.zeros((1, 4, 4, 4), np.float32), 0.5, "grown")  # type: ignore[arg-type]
    with pytest.raises(ScaleGroupError, match=r"the space \(4, 4, 4\) of its label"):
        rescale(np.zeros((1, 4, 4, 5), np.float32), np.zeros((4, 4, 4), np.uint8), 0.5)
