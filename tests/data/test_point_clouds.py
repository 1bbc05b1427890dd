"""Brain shapes: the file, its split by subject, batches of clouds and what is done to them at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nibabel", reason="needs the extra 'train'")
pytest.importorskip("scipy", reason="needs the extra 'train'")

from scalegroup.data import (
    BrainShapes,
    DataError,
    collate_clouds,
    normalise_clouds,
    random_factors,
    random_rotations,
    rescale_clouds,
    rotate_clouds,
    write_shapes,
)
from scalegroup.errors import ScaleGroupError

NAMES = ("cerebellum_cortex", "accumbens")  # a large and a small structure


def write(path: Path, **changes: Any) -> Path:
    """A file of 12 subjects with two structures of 7 points each."""
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "points": rng.normal(size=(24, 7, 3)),
        "labels": np.arange(24) % 2,
        "class_names": ["caudate", "putamen"],
        "subjects": 1 + np.arange(24) // 2,
        "sides": np.arange(24) % 3,
        "volumes": np.arange(24) + 100,
    }
    write_shapes(path, **{**values, **changes})
    return path


def test_large_numbers_of_subjects_and_classes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    write_shapes(path, np.zeros((2, 3, 3)), [0, 299], [f"class {n}" for n in range(300)], [1001, 70000], [0, 1], [1, 2])
    data = BrainShapes(path, train=[1001], test=[70000])
    assert data.test.labels.tolist() == [299]


def test_the_file_is_read_and_split_by_subject(tmp_path: Path) -> None:
    data = BrainShapes(write(tmp_path / "shapes.npz").parent)
    assert data.classes == ("caudate", "putamen")
    assert len(data.train.labels) == 18
    assert data.test.points.shape == (6, 7, 3)
    assert data.test.points.dtype == np.float32
    np.testing.assert_array_equal(data.test.points, data.clouds.points[18:])
    np.testing.assert_array_equal(data.test.labels, [0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(data.subjects[:3], [1, 1, 2])
    assert data.sides[:3] == ("left", "right", "midline")
    assert data.volumes[0] == 100
    assert "2 classes, train 18, test 6 clouds" in repr(data)
    np.testing.assert_array_equal(data.of_subjects([2]).points, data.clouds.points[2:4])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"points": np.zeros((24, 7, 2))}, r"points_mm of the shape \(n, points, 3\), received \(24, 7, 2\)"),
        ({"points": np.full((24, 7, 3), np.nan)}, "finite coordinates, received NaN"),
        ({"labels": np.zeros(3, np.uint8)}, "each of the 24 clouds as labels"),
        ({"labels": np.full(24, 2)}, "labels from 0 to 1, received 2 to 2"),
        ({"sides": np.full(24, 3)}, "side from 0 to 2"),
    ],
)
def test_a_file_laid_out_otherwise_is_named(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=text):
        BrainShapes(write(tmp_path / "shapes.npz", **changes))


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an npz file, or a folder with one, received .* with 0"):
        BrainShapes(tmp_path)
    path = tmp_path / "shapes.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a readable npz file, received .*shapes\.npz"):
        BrainShapes(path)
    np.savez(path, labels=np.zeros(2))
    with pytest.raises(DataError, match="without points_mm, class_names"):
        BrainShapes(path)


def test_subjects_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "shapes.npz")
    with pytest.raises(DataError, match=r"subjects out of \[1, .*, received \(13,\)"):
        BrainShapes(path, test=[13])
    with pytest.raises(DataError, match=r"to learn from or to test on, received \[2\]"):
        BrainShapes(path, train=[1, 2], test=[2, 3])


def test_fewer_points_are_points_of_the_same_cloud(tmp_path: Path) -> None:
    clouds = BrainShapes(write(tmp_path / "shapes.npz")).train
    few = clouds.subsample(3, seed=1)
    assert few.points.shape == (18, 3, 3)
    for cloud, whole in zip(few.points, clouds.points, strict=True):
        assert {tuple(p) for p in cloud.tolist()} < {tuple(p) for p in whole.tolist()}
        assert len({tuple(p) for p in cloud.tolist()}) == 3
    np.testing.assert_array_equal(few.points, clouds.subsample(3, seed=1).points)
    assert (few.points != clouds.subsample(3, seed=2).points).any()
    with pytest.raises(ScaleGroupError, match="from 1 to 7, received 8"):
        clouds.subsample(8)


def test_a_batch_is_all_points_and_the_cloud_of_each() -> None:
    clouds = [torch.randn(4, 3), torch.randn(0, 3), torch.randn(2, 3)]
    pos, batch = collate_clouds(clouds)
    assert torch.equal(pos, torch.cat(clouds))
    assert batch.tolist() == [0] * 4 + [2] * 2
    pos, batch = collate_clouds(np.zeros((2, 5, 3), np.float32))
    assert pos.shape == (10, 3)
    with pytest.raises(ScaleGroupError, match=r"clouds of the shape \(points, dim\)"):
        collate_clouds([])
    with pytest.raises(ScaleGroupError, match=r"clouds of the shape \(points, dim\).*\(4, 2\)"):
        collate_clouds([torch.zeros(4, 3), torch.zeros(4, 2)])


def test_each_cloud_has_its_own_factor_and_rotation() -> None:
    pos, batch = collate_clouds([torch.randn(4, 3), torch.randn(5, 3)])
    factors, turns = torch.tensor([0.5, 2.0]), random_rotations(2)
    for cloud in range(2):
        mine = batch == cloud
        torch.testing.assert_close(rescale_clouds(pos, batch, factors)[mine], pos[mine] * factors[cloud])
        torch.testing.assert_close(rotate_clouds(pos, batch, turns)[mine], pos[mine] @ turns[cloud].T.float())
    with pytest.raises(ScaleGroupError, match="factors > 0"):
        rescale_clouds(pos, batch, torch.tensor([1.0, -1.0]))
    for move, few in ((rescale_clouds, torch.ones(1)), (rotate_clouds, torch.eye(3)[None]), (rotate_clouds, factors)):
        with pytest.raises(ScaleGroupError, match=r"one of shape .* for each of \d clouds"):
            move(pos, batch, few)


def test_halving_is_as_likely_as_doubling() -> None:
    logs = random_factors(4000, 0.5, 2.0, torch.Generator().manual_seed(0)).log2()
    assert logs.min() >= -1
    assert logs.max() <= 1
    assert abs(logs.mean()) < 4 * (1 / 3 / 4000) ** 0.5  # four standard errors of a uniform of width 2
    assert abs(logs.var() - 1 / 3) < 0.02
    with pytest.raises(ScaleGroupError, match="0 < low <= high"):
        random_factors(1, 2.0, 0.5)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_rotations_are_uniform(dim: int) -> None:
    turns = random_rotations(2000, dim, torch.Generator().manual_seed(0))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(dim).double().expand_as(turns))
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(2000).double())
    if dim > 1:  # Haar's measure: the entries have the mean 0 and the variance 1 / dim
        assert turns.mean(0).abs().max() < 4 * (1 / dim / 2000) ** 0.5
        assert (turns.square().mean(0) - 1 / dim).abs().max() < 0.04


def test_normalised_clouds_do_not_know_their_size_and_place() -> None:
    pos, batch = collate_clouds([torch.randn(6, 3), torch.randn(5, 3), torch.ones(2, 3)])
    normal = normalise_clouds(pos, batch)
    torch.testing.assert_close(normalise_clouds(3 * pos + 1, batch), normal, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(normalise_clouds(pos**3, batch), normal, atol=1e-2)
    radii = normal.norm(dim=1)
    torch.testing.assert_close(torch.stack([radii[batch == c].max() for c in range(2)]), torch.ones(2))
    assert (normal[batch == 2] == 0).all()
    assert normalise_clouds(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).shape == (0, 3)


def test_the_real_file(data_dir: Path) -> None:
    data = BrainShapes(data_dir / "brainshapes")
    assert len(data.classes) == 15
    assert data.clouds.points.shape == (321, 1024, 3)
    assert (len(data.train.labels), len(data.test.labels)) == (240, 81)
    largest, smallest = (data.clouds.points[data.clouds.labels == data.classes.index(name)] for name in NAMES)
    assert np.linalg.norm(largest, axis=2).mean() > 3 * np.linalg.norm(smallest, axis=2).mean()
