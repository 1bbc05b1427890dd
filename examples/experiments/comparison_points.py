"""Convolutions on point clouds, ours and e3nn's: what they do when a cloud is scaled, turned or shuffled."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.interop.escnn import EscnnGroup

MAPS, SIGMA, SUPPORT = 4, 0.25, 3.0  # in a cube of side 2, whose points are .13 apart
Layer = Callable[[Tensor], Tensor]  # from positions (points, 3) to maps (points, MAPS, scales)


class E3nnPoints(torch.nn.Module):
    """A convolution put together from e3nn's parts as its guide does it: harmonics of the edges times a radial network.

    `F'(x_i) = N^-1/2 Σ_j F(x_j) ⊗_w(|x_ij|) Y(x_ij)` over the N neighbours within a radius.
    """

    def __init__(self, radius: float) -> None:
        super().__init__()
        from e3nn import math, o3
        from e3nn.nn import FullyConnectedNet

        self.radius, self.harmonics = radius, o3.Irreps.spherical_harmonics(2)
        self.product = o3.FullyConnectedTensorProduct("0e", self.harmonics, f"{MAPS}x0e", shared_weights=False)
        self.radial = FullyConnectedNet([10, 16, self.product.weight_numel], torch.nn.functional.silu)
        self.basis = lambda x: math.soft_one_hot_linspace(x, 0.0, radius, 10, basis="smooth_finite", cutoff=True)
        self.angular = lambda x: o3.spherical_harmonics(self.harmonics, x, normalize=True, normalization="component")

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        """Features `(points, 1)` and positions `(points, 3)` to `(points, MAPS)`."""
        i, j = (torch.cdist(pos, pos) < self.radius).nonzero(as_tuple=True)
        edges = pos[j] - pos[i]
        weights = self.radial(self.basis(edges.norm(dim=1)).mul(10**0.5))
        messages = self.product(x[j], self.angular(edges), weights)
        return torch.zeros(len(pos), MAPS).to(x).index_add(0, i, messages) / (len(i) / len(pos)) ** 0.5


def layers(base: float) -> dict[str, tuple[torch.nn.Module, Layer, int]]:
    """The modules, how they are called, and their number of scales, for a step of the scales."""
    found: dict[str, tuple[torch.nn.Module, Layer, int]] = {}
    for name, rotations in (("ours", None), ("ours, so3", "so3")):
        group = sg.ScaleTranslationGroup(3, base, 4, rotations)
        conv = nn.PointGroupConv(1 * group.scalar, MAPS * group.regular, sigma=SIGMA, support=SUPPORT).double()
        found[name] = conv, lambda pos, conv=conv: conv(torch.ones_like(pos[:, :1]), pos).unflatten(1, (MAPS, 4)), 4
    if find_spec("e3nn"):
        net = E3nnPoints(SUPPORT * SIGMA).double()
        found["e3nn"] = net, lambda pos, net=net: net(torch.ones_like(pos[:, :1]), pos).unflatten(1, (MAPS, 1)), 1
    return found


def measure_points(seeds: int = 3, count: int = 500) -> dict[str, dict[str, float]]:
    """Relative changes in the L2 norm, weights, and seconds, by the names of the table.

    Args:
        seeds: of weights and clouds, over which changes are averaged. Default 3.
        count: points of a cloud. Default 500.
    """
    found: dict[str, dict[str, float]] = {}
    known: Any = EscnnGroup("so3")
    for seed in range(seeds):
        pos = 2 * torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        turn = torch.from_numpy(known.sample(seed).matrix)
        for factor, words in ((2**0.5, "scaled by √2"), (1 / 0.9, "scaled by 0.9")):
            torch.manual_seed(seed)
            for name, (module, layer, scales) in layers(factor).items():
                row = found.setdefault(name, {})
                with torch.no_grad():
                    y, larger = layer(pos), layer(factor * pos)
                    turned, shuffled = layer(pos @ turn.T), layer(pos[order])
                if scales > 1:
                    y_moved, larger = y[..., :-1], larger[..., 1:]
                else:
                    y_moved = y
                row[words] = row.get(words, 0.0) + relative(larger, y_moved) / seeds
                row["turned at random"] = row.get("turned at random", 0.0) + relative(turned, y) / (2 * seeds)
                row["shuffled"] = row.get("shuffled", 0.0) + relative(shuffled, y[order]) / (2 * seeds)
                row["weights"] = sum(parameter.numel() for parameter in module.parameters())
    for name, (_, layer, _) in layers(2**0.5).items():
        found[name]["seconds"] = min(seconds(layer, pos) for _ in range(3))
    return found


def relative(value: Tensor, wanted: Tensor) -> float:
    """`‖value - wanted‖ / ‖wanted‖`."""
    return float((value - wanted).norm() / wanted.norm())


def seconds(layer: Layer, pos: Tensor) -> float:
    """Processor time of one call, with the search for neighbours."""
    start = time.process_time()
    with torch.no_grad():
        layer(pos)
    return time.process_time() - start
