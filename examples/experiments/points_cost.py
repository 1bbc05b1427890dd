"""What a training step on point clouds costs: against the number of points, and for batches of brain structures."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

import scalegroup as sg
from scalegroup.benchmarks.point_baseline import DGCNN
from scalegroup.data import BrainShapes, collate_clouds
from scalegroup.models import PointClassifier

COUNTS = (256, 512, 1024, 2048, 4096, 8192)
LAYER = "`PointGroupConv`, 16 → 16 fields, 3 scales"
SMALL = "`PointClassifier`, 3 scales from 1 unit on"
ON_SHEETS, ON_BRAINS = ("DGCNN", SMALL, LAYER), ("DGCNN", "ours, relative", "ours, mm")


class Cost(NamedTuple):
    """One measurement: seconds of a training step, and MiB by which the process grows for it."""

    network: str
    points: int
    clouds: int
    seconds: float
    memory: float


class Layer(torch.nn.Module):
    """One convolution at the same points, with features that are learned too."""

    def __init__(self) -> None:
        super().__init__()
        field = 16 * sg.ScaleTranslationGroup(3, base=2.0, num_scales=3).regular
        self.conv = sg.nn.PointGroupConv(field, field)
        self.x = torch.nn.Parameter(torch.randn(1, field.size))

    def forward(self, pos: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        """`(points, dim)` to `(points, 48)`."""
        y: torch.Tensor = self.conv(self.x.expand(len(pos), -1).contiguous(), pos, batch)
        return y


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "DGCNN": partial(DGCNN, num_classes=15, embedding=80),
    "ours, relative": partial(PointClassifier, num_classes=15, num_scales=3, sigma=4.0, relative=True),
    "ours, mm": partial(PointClassifier, num_classes=15, num_scales=7, first=-1),
    SMALL: partial(PointClassifier, num_classes=15, num_scales=3),
    LAYER: Layer,
}


def sheet(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A bent surface with one point for each unit of area: its extent grows with the number of points."""
    generator = torch.Generator().manual_seed(0)
    plane = count**0.5 * torch.rand(count, 2, generator=generator)
    pos = torch.cat([plane, 3 * (plane / 8).sin().sum(dim=1, keepdim=True)], dim=1)
    return pos, torch.zeros(count, dtype=torch.long)


def brains(root: Path, count: int, clouds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of brain structures."""
    return collate_clouds(torch.from_numpy(BrainShapes(root).train.subsample(count).points[:clouds]))


def step(net: torch.nn.Module, pos: torch.Tensor, batch: torch.Tensor) -> None:
    """Forward and backward; neighbours are looked for anew."""
    net.zero_grad()
    net(pos, batch).square().mean().backward()


def cost(name: str, data: tuple[torch.Tensor, torch.Tensor], repeats: int) -> Cost:
    """In a process of its own, so that none inherits the memory of another."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = NETWORKS[name]()
    step(net, *(part[:64] for part in data))  # what torch loads and caches at first
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory("VmRSS")
    times = []
    for _ in range(repeats):
        start = time.process_time()
        step(net, *data)
        times.append(time.process_time() - start)
    clouds = int(data[1].max()) + 1
    grown = memory("VmHWM") - before
    return Cost(name, len(data[0]) // clouds, clouds, statistics.median(times), grown / 2**20)


def memory(field: str) -> float:
    """A line of Linux's account of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * int(next(line for line in lines if line.startswith(field)).split()[1])


def measured(root: Path, quick: bool) -> list[Cost]:
    """Networks and a layer on sheets of all sizes, networks on a batch of 16 brain structures of 1,024 points."""
    counts, clouds, points = ((64, 128), 2, 32) if quick else (COUNTS, 16, 1024)
    batch, repeats = brains(root, points, clouds), 1 if quick else 3
    on_sheets = [(name, sheet(count), repeats) for name in ON_SHEETS for count in counts]
    on_brains = [(name, batch, repeats) for name in ON_BRAINS]
    if quick:
        return [cost(*each) for each in on_sheets + on_brains]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(cost, on_sheets + on_brains, chunksize=1)
