"""Batch norms whose statistics are shared by grids, and the tracing that brings the grids together."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.models.shared_norm import GridsTogether, SharedBatchNorm, convert_shared_norm


def grids(channels: int = 2, batch: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = [(8, 6), (4, 4), (2, 3)]
    return [i + torch.randn(batch, channels, *s, generator=generator).double() for i, s in enumerate(sizes)]


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return module.double()


def network(**options: Any) -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4, **options), torch.nn.ReLU(inplace=True)
    )


# conversion


def test_conversion_keeps_all_but_the_class() -> None:
    net = randomised(network())
    net(grids()[0])
    before, weights = net.state_dict(), list(net.parameters())
    plain = copy.deepcopy(net)
    assert convert_shared_norm(net) is net
    assert type(net[1]) is SharedBatchNorm
    assert list(net.state_dict()) == list(before)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert all(a is b for a, b in zip(net.parameters(), weights, strict=True))
    for _ in (net.train(), plain.train()), (net.eval(), plain.eval()):  # on one tensor it is torch's batch norm
        assert torch.equal(net(grids()[1]), plain(grids()[1]))
    plain.load_state_dict(net.state_dict())


def test_a_norm_in_two_places_stays_one() -> None:
    norm = torch.nn.BatchNorm1d(2)
    net = convert_shared_norm(torch.nn.ModuleList([norm, torch.nn.Sequential(norm)]))
    assert net[0] is net[1][0]
    assert type(convert_shared_norm(torch.nn.BatchNorm3d(1))) is SharedBatchNorm


@pytest.mark.parametrize("norm", [torch.nn.SyncBatchNorm(2), torch.nn.LazyBatchNorm2d()])
def test_norms_that_cannot_be_shared_are_refused(norm: torch.nn.Module) -> None:
    plain = torch.nn.BatchNorm2d(2)
    with pytest.raises(ScaleGroupError, match=f"not synchronised or lazy, received {type(norm).__name__}"):
        convert_shared_norm(torch.nn.Sequential(plain, norm))
    assert type(plain) is torch.nn.BatchNorm2d  # all or nothing


def test_an_input_without_channels_is_refused() -> None:
    with pytest.raises(ScaleGroupError, match=r"an input \(batch, channels"):
        SharedBatchNorm(2)(torch.zeros(2))


# statistics


def concatenated(xs: list[Tensor]) -> Tensor:
    return torch.cat([x.flatten(2) for x in xs], dim=2)


@given(momentum=st.none() | st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_statistics_are_those_of_the_concatenated_samples(momentum: float | None, seed: int) -> None:
    torch.manual_seed(seed)
    shared = randomised(SharedBatchNorm(2, momentum=momentum))
    plain = torch.nn.BatchNorm1d(2, momentum=momentum).double()
    plain.load_state_dict(shared.state_dict())
    xs = [x.requires_grad_() for x in grids()]
    like = [x.detach().clone().requires_grad_() for x in xs]
    for _ in range(2):
        ys, wanted = shared(xs), plain(concatenated(like))
    torch.testing.assert_close(concatenated(ys), wanted)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(shared, name), getattr(plain, name))
    assert shared.num_batches_tracked == 2  # one step, whatever the number of grids
    concatenated(ys).pow(3).sum().backward()
    wanted.pow(3).sum().backward()
    for x, y in zip(xs, like, strict=True):
        torch.testing.assert_close(x.grad, y.grad)


def test_statistics_of_each_grid_alone_are_others() -> None:
    shared = SharedBatchNorm(2).double()
    together, alone = shared(grids()), [shared(x) for x in grids()]
    assert all((a - b).abs().max() > 0.1 for a, b in zip(together, alone, strict=True))


def test_in_eval_mode_each_grid_is_normalised_as_if_alone() -> None:
    shared = SharedBatchNorm(2).double()
    shared(grids())
    shared.eval()
    before = shared.running_mean.clone()
    for together, x in zip(shared(grids()), grids(), strict=True):
        assert torch.equal(together, shared(x))
    assert torch.equal(shared.running_mean, before)
    assert not shared.needs_all_grids
    assert SharedBatchNorm(2, track_running_stats=False).eval().needs_all_grids


# tracing


class Branching(torch.nn.Module):
    """Residual connection, concatenation, parameters, methods, keyword arguments, a shared module, two modes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.BatchNorm2d(3)
        self.inner = network()
        self.last = torch.nn.Conv2d(4, 3, 1)
        self.gain = torch.nn.Parameter(torch.tensor([2.0]))

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Any:
        if extra is not None:
            raise RuntimeError("never given")
        y = self.inner(torch.cat([x[:, :1], x[:, 1:]], dim=1))
        y = self.norm(self.last(y)) + self.norm(input=self.first(x))
        size = x.shape[2:]
        y = torch.nn.functional.interpolate(y, size=size).mul(self.gain) + x.mean()
        unused = y.sum()  # noqa: F841
        return (y, [y + 1]) if self.training else y


def test_a_network_on_one_grid_is_itself() -> None:
    net = convert_shared_norm(randomised(Branching()))
    twin = copy.deepcopy(net)
    x = grids()[0]
    ((y, (z,)),) = GridsTogether()(net, [x])
    wanted, (other,) = twin(x)
    assert torch.equal(y, wanted)
    assert torch.equal(z, other)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), twin.buffers(), strict=True))


def test_equal_grids_are_one_batch() -> None:
    net = convert_shared_norm(randomised(Branching()))
    twin = copy.deepcopy(net)
    xs = grids()[0].split(1)
    ys = GridsTogether()(net, [x - x.mean() for x in xs])
    wanted, _ = twin(torch.cat([x - x.mean() for x in xs]))
    torch.testing.assert_close(torch.cat([y for y, _ in ys]), wanted)
    torch.testing.assert_close(net.norm.running_var, twin.norm.running_var)


def test_modes_have_traces_of_their_own() -> None:
    net, together = convert_shared_norm(randomised(Branching())), GridsTogether()
    assert isinstance(together(net, grids())[0], tuple)
    assert together.needed(net)
    net.eval()
    assert not together.needed(net)
    for y, x in zip(together(net, grids()), grids(), strict=True):
        assert torch.equal(y, net(x))


def test_traces_are_neither_copied_nor_pickled_nor_saved() -> None:
    together = GridsTogether()
    together.trace(convert_shared_norm(network()))
    copies: list[Callable[[Any], Any]] = [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
    assert together._traces
    for make in copies:
        assert not make(together)._traces
        assert len(make(together)(convert_shared_norm(network()).double(), grids())) == 3


class Looking(torch.nn.Module):
    """Decides by the values it sees."""

    def __init__(self, *inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y if y.sum() > 0 else -y


def test_the_way_to_the_norms_must_be_traceable_and_nothing_else() -> None:
    net = convert_shared_norm(torch.nn.Sequential(Looking(torch.nn.Conv2d(2, 4, 1)), torch.nn.BatchNorm2d(4)))
    assert len(GridsTogether()(net.double(), grids())) == 3
    with pytest.raises(ScaleGroupError, match=r"traced, received Looking, of which torch.fx says.*; use instance"):
        GridsTogether().trace(convert_shared_norm(Looking(network())))


class Asking(torch.nn.Module):
    """Takes what is no tensor for nothing, as a trace's proxy is."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.drop = network(), torch.nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.drop(self.inner(x)) if isinstance(x, Tensor) else self.inner(x)


def test_a_trace_that_went_astray_is_noticed() -> None:
    net = convert_shared_norm(Asking()).double()
    with pytest.raises(ScaleGroupError, match=r"received Asking, of which the trace by torch\.fx does something else"):
        GridsTogether()(net, grids())
    net.drop.eval()  # now both ways are the same
    assert len(GridsTogether()(net, grids())) == 3


def test_the_comparison_leaves_no_trace() -> None:
    net = convert_shared_norm(torch.nn.Sequential(network(), torch.nn.Dropout(0.5))).double()
    together, twin = GridsTogether(), copy.deepcopy(net)
    torch.manual_seed(5)
    first = together(net, grids())
    torch.manual_seed(5)
    for y, z in zip(first, together(twin, grids()), strict=True):  # the second time nothing is compared
        assert torch.equal(y, z)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), twin.buffers(), strict=True))


class Counting(torch.nn.Module):
    """Counts its steps, where no trace looks."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.steps = self.steps + 1
        y: Tensor = self.inner(x)
        return y


def test_a_check_finds_what_a_trace_leaves_out_and_changes_nothing() -> None:
    net = convert_shared_norm(Counting()).double().eval()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(
        ScaleGroupError, match=r"received Counting, of which the trace by torch\.fx does something else"
    ):
        GridsTogether().check(net, grids()[0])
    GridsTogether().check(net)  # without an input it can only be traced
    GridsTogether().check(net, torch.zeros(1, 5, 1, 1).double())  # refused by the network itself
    assert not any(part.training for part in net.modules())
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
