"""Neighbours: the tree and the blocks find the same, in the same order, and never in another cloud."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch

from scalegroup.engine import farthest_points, point_search
from scalegroup.engine.point_search import nearest, within
from scalegroup.errors import MissingExtraError, ScaleGroupError


def clouds(points: int, dim: int = 3, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(points + dim)
    pos = torch.rand(points, dim, generator=generator, dtype=dtype)
    return pos, torch.randint(0, 3, (points,), generator=generator)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_tree_and_the_blocks_find_the_same(dim: int, dtype: torch.dtype) -> None:
    pytest.importorskip("scipy")
    (pos, batch), (out, out_batch) = clouds(200, dim, dtype), clouds(70, dim, dtype)
    for sets in ((pos, 0.2, batch), (pos, 0.3), (pos, 0.2, batch, out, out_batch)):
        lists = [within(*sets, method=method).tolist() for method in ("tree", "blocks")]
        assert lists[0] == lists[1]
    found = [nearest(pos, 4, batch, out, out_batch, method=method) for method in ("tree", "blocks")]
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_points_at_the_radius_are_inside_for_both() -> None:
    pytest.importorskip("scipy")
    pos = torch.cartesian_prod(*[torch.arange(5.0) * 0.1] * 2)  # many distances that are the radius up to rounding
    lists = [within(pos, 0.2, method=method).tolist() for method in ("tree", "blocks")]
    assert lists[0] == lists[1]


def test_neighbours_are_those_of_the_distances() -> None:
    (pos, batch), (out, out_batch) = clouds(60), clouds(30)
    near = (torch.cdist(out.double(), pos.double()) <= 0.4) & (out_batch[:, None] == batch)
    assert within(pos, 0.4, batch, out, out_batch).tolist() == [row.nonzero()[:, 0].tolist() for row in near]
    assert within(pos, 0.4).tolist() != within(pos, 0.4, batch).tolist()


def test_blocks_may_be_small(monkeypatch: pytest.MonkeyPatch) -> None:
    pos, batch = clouds(100)
    whole = within(pos, 0.3, batch).tolist(), nearest(pos, 3, batch)[1]
    monkeypatch.setattr(point_search, "BLOCK", {"cpu": 64})
    assert within(pos, 0.3, batch).tolist() == whole[0]
    assert torch.equal(nearest(pos, 3, batch)[1], whole[1])


def test_clouds_with_too_few_points_have_neighbours_at_infinity() -> None:
    distances, index = nearest(torch.tensor([[0.0], [2.0], [5.0]]), 2, torch.tensor([0, 0, 1]))
    assert distances.tolist() == [[0, 2], [0, 2], [0, torch.inf]]
    assert index.tolist() == [[0, 1], [1, 0], [2, 0]]


def test_nothing_to_find() -> None:
    none = torch.zeros(0, 3)
    assert within(none, 1.0).tolist() == []
    assert within(torch.zeros(2, 3), 1.0, None, none).tolist() == []
    assert within(none, 1.0, None, torch.zeros(2, 3)).tolist() == [[], []]
    assert within(torch.zeros(1, 3), 1.0, torch.tensor([0]), torch.zeros(1, 3), torch.tensor([1])).tolist() == [[]]


def test_large_clouds_are_searched_by_a_tree_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    used: list[str] = []
    for name in ("_by_tree", "_by_blocks"):
        plain = getattr(point_search, name)

        def spy(*values: Any, plain: Any = plain, name: str = name) -> Any:
            used.append(name)
            return plain(*values)

        monkeypatch.setattr(point_search, name, spy)
    pos = torch.rand(point_search.TREE_FROM, 3)
    within(pos, 0.01)
    within(pos[1:], 0.01)
    monkeypatch.setattr(point_search, "find_spec", lambda name: None)
    within(pos, 0.01)
    assert used == ["_by_tree", "_by_blocks", "_by_blocks"]


def test_without_scipy_the_tree_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def refuse(name: str, *values: Any, **options: Any) -> Any:
        if name.startswith("scipy"):
            raise ModuleNotFoundError(name=name)
        return plain(name, *values, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"scalegroup\[points\]"):
        within(torch.rand(3, 3), 1.0, method="tree")


def test_unknown_searches_are_refused() -> None:
    with pytest.raises(ScaleGroupError, match="a search out of"):
        within(torch.rand(3, 3), 1.0, method="grid")


class TestFarthestPoints:
    def test_each_is_the_farthest_from_those_before(self) -> None:
        pos, _ = clouds(80, dtype=torch.float64)
        chosen = farthest_points(pos, count=20).tolist()
        distances = torch.cdist(pos, pos)
        assert chosen[0] == int((pos - pos.mean(0)).norm(dim=1).argmax())
        for n in range(1, 20):
            assert chosen[n] == int(distances[:, chosen[:n]].amin(1).argmax())

    def test_moved_turned_rescaled_and_reordered_clouds_give_the_same_points(self) -> None:
        pos, batch = clouds(90, dtype=torch.float64)
        chosen = farthest_points(pos, batch, ratio=0.3)
        order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
        assert torch.equal(order[farthest_points(pos[order], batch[order], ratio=0.3)], chosen)
        turn = torch.linalg.qr(torch.rand(3, 3, dtype=torch.float64)).Q
        assert torch.equal(farthest_points(0.37 * pos @ turn + 5, batch, ratio=0.3), chosen)

    def test_each_cloud_is_sampled_alone(self) -> None:
        pos, batch = clouds(40)
        chosen = farthest_points(pos, batch, ratio=0.25)
        sizes = torch.bincount(batch)
        assert torch.bincount(batch[chosen]).tolist() == [-(-int(n) // 4) for n in sizes]  # rounded up
        own = torch.nonzero(batch == 1)[:, 0]
        assert torch.equal(own[farthest_points(pos[own], ratio=0.25)], chosen[batch[chosen] == 1])

    def test_copies_are_taken_last_and_never_twice(self) -> None:
        pos = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
        assert sorted(farthest_points(pos, count=4).tolist()) == [0, 1, 2, 3]
        assert set(farthest_points(pos, count=2).tolist()) == {2, 0}

    def test_few_points(self) -> None:
        assert farthest_points(torch.zeros(0, 3), ratio=0.5).tolist() == []
        assert farthest_points(torch.zeros(1, 3), count=7).tolist() == [0]
        assert farthest_points(torch.rand(3, 2), ratio=1).shape == (3,)

    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            ({}, "either a ratio or a count"),
            ({"ratio": 0.5, "count": 2}, "either a ratio or a count"),
            ({"ratio": 0.0}, "ratio, a number in"),
            ({"ratio": 1.5}, "ratio, a number in"),
            ({"count": 0}, "count, an integer"),
            ({"count": 1.5}, "count, an integer"),
        ],
    )
    def test_amounts_that_make_no_sense(self, amount: dict[str, Any], text: str) -> None:
        with pytest.raises(ScaleGroupError, match=text):
            farthest_points(torch.rand(5, 3), **amount)
