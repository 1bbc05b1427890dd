"""Haar grids: how exact networks on them are, and what they cost.

    python examples/experiments/haar.py [--quick] [--results docs/results]

Part 1: whole U-Nets with random weights under dilation by the base, error of each scale on its own grid, with blobs and
on the torus; beside each its negative twin, whose grids are not aligned for the last stride. Part 2: time and peak
memory of a training step and of inference, relative to MONAI's plain U-Net of the same channels in the same process.
Writes both as tables.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accuracy import INTERIOR, WIDTHS, Row, calibrated, calibration, table
from monai.networks.nets import BasicUNet
from monai.networks.nets import UNet as PlainUNet

import scalegroup as sg
from scalegroup.models import ScaleChannels, UNet
from scalegroup.nn import run_of_scales
from scalegroup.testing import equivariance_error

IMAGE = 1 * sg.ScaleTranslationGroup().scalar


def plain(channels: tuple[int, ...]) -> torch.nn.Module:
    """MONAI's U-Net, with ReLU and two convolutions in each residual unit."""
    strides = (2,) * (len(channels) - 1)
    return PlainUNet(3, 1, 3, channels, strides, num_res_units=2, act="relu", norm="batch")


# Statistics of each volume know its share of background, which changes with the size of the content; and a maximum over
# the scales was measured here before the mean by confidence became the default.
EXACT = {"norm": "batch", "padding_mode": "replicate", "scale_pool": "max"}


def ours(channels: tuple[int, ...], **options: Any) -> UNet:
    """Our U-Net with the same units, on the scales 0 … 3 unless others are named."""
    options = {"num_scales": 4, "first": 0, "train_scales": None, **EXACT, **options}
    return UNet(3, 1, 3, channels, (2,) * (len(channels) - 1), num_res_units=2, act="relu", **options)


# Part 1


def networks(channels: tuple[int, ...]) -> dict[str, Callable[..., UNet | ScaleChannels]]:
    """Networks that return the fields of all scales; `share` spoils how grids are aligned."""
    wide = (*channels, channels[-1], channels[-1], channels[0]) if len(channels) == 3 else (channels[0],) * 6

    def aligned(net: UNet, share: int) -> UNet:
        if net.lift is not None:
            net.lift.divisor //= share
        return net

    def around(make: Callable[[], torch.nn.Module], divisor: int) -> ScaleChannels:
        return ScaleChannels(make(), first=0, num_scales=3, projection=None, divisor=divisor)

    stride = 2 ** (len(channels) - 1)

    return {
        "U-Net, every scale on the voxels, ReLU": lambda share=1: ours(channels, sampling="uniform", scale_pool=None),
        "U-Net, Haar grids, Hermite kernels, ReLU": lambda share=1: aligned(ours(channels, scale_pool=None), share),
        "U-Net, Haar grids, free 3×3×3 kernels, ReLU": lambda share=1: aligned(
            ours(channels, basis="free", scale_pool=None), share
        ),
        "ScaleChannels(monai UNet), ReLU": lambda share=1: around(partial(plain, channels), stride // share),
        "ScaleChannels(monai BasicUNet), leaky ReLU, max pooling": lambda share=1: around(
            lambda: BasicUNet(3, 1, 3, wide), 16 // share
        ),
    }


def errors(net: torch.nn.Module, protocol: str, size: int) -> tuple[float, ...]:
    """Per-scale errors under one step of the base (two on the torus, where sizes must be whole)."""
    types = {"out_type": 3 * net.lift.out_type} if isinstance(net, ScaleChannels) else {}
    options = {"width": WIDTHS, "interior": INTERIOR} if protocol == "blobs" else {}
    found = equivariance_error(net, protocol=protocol, size=size, dtype=torch.float32, **options, **types)  # type: ignore[arg-type]
    return found.channels


def equivariance_rows(sizes: dict[str, int], channels: tuple[int, ...]) -> Iterator[Row]:
    """Network, protocol, error of each scale, and those of the negative twin."""
    for name, make in networks(channels).items():
        for protocol, size in sizes.items():
            torch.manual_seed(0)
            net = calibrated(make(), calibration(IMAGE, size))
            found = errors(net, protocol, size)
            twin = ""
            if "every scale" not in name and protocol == "blobs":  # grids that tile a period have no other alignment
                torch.manual_seed(0)
                twin = shown(errors(calibrated(make(share=2), calibration(IMAGE, size)), protocol, size))
            yield name, protocol, shown(found), twin


def shown(values: tuple[float, ...]) -> str:
    """The numbers in a row."""
    return " ".join(f"{value:.1e}" for value in values)


# Part 2


def costs(channels: tuple[int, ...]) -> dict[str, Callable[[], torch.nn.Module]]:
    """What is compared with the plain network."""
    return {
        "MONAI's U-Net": lambda: plain(channels),
        "ours, scales 0 … 3 on the voxels": lambda: ours(channels, sampling="uniform"),
        "ours, Haar grids 0 … 3, Hermite": lambda: ours(channels),
        "ours, Haar grids 0 … 3, free kernels": lambda: ours(channels, basis="free"),
        "ScaleChannels(MONAI's), 0 … 3": lambda: ScaleChannels(
            plain(channels), first=0, num_scales=4, train_scales=None
        ),
        "ours, Haar grids -2 … 3, free kernels, 3 random": lambda: ours(
            channels, basis="free", first=-2, num_scales=6, train_scales=3
        ),
        "ScaleChannels(MONAI's), -2 … 3, 3 random": lambda: ScaleChannels(plain(channels)),
    }


def step(net: torch.nn.Module, x: torch.Tensor) -> None:
    """Forward and backward."""
    net.zero_grad()
    net(x).square().mean().backward()


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def training_times(net: torch.nn.Module, x: torch.Tensor) -> float:
    """Seconds of one training step; the mean over all runs of scales if they are drawn."""
    count = getattr(net, "train_scales", None)
    if count is None:
        return timed(lambda: step(net, x))
    net.train_scales, window = None, net.lift if isinstance(net, ScaleChannels) else net
    times = []
    for start in range(sg.nn.module.group_of(window.in_type).num_scales - count + 1):  # type: ignore[union-attr, arg-type]
        with run_of_scales(window, start, count):  # type: ignore[type-var]
            times.append(timed(lambda: step(net, x)))
    net.train_scales = count
    return statistics.mean(times)


def compare(name: str, channels: tuple[int, ...], size: int, repeats: int) -> tuple[float, float]:
    """Training step and inference of one network over those of the plain one, medians of turns."""
    torch.manual_seed(0)
    x, reference, net = torch.randn(1, 1, size, size, size), plain(channels), costs(channels)[name]()
    ratios = []
    for train in (True, False):
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(repeats):
            for own, module in ((False, reference), (True, net)):
                if train:
                    times[own].append(training_times(module.train(), x))
                else:
                    with torch.inference_mode():
                        times[own].append(timed(partial(module.eval(), x)))
        ratios.append(statistics.median(times[True]) / statistics.median(times[False]))
    return ratios[0], ratios[1]


def peak(name: str, channels: tuple[int, ...], size: int, train: bool) -> float:
    """Bytes by which the process grows for one training step (or one inference) of a network."""
    torch.manual_seed(0)
    x, net = torch.randn(1, 1, size, size, size), costs(channels)[name]()
    small = x[..., :32, :32, :32]
    if train:
        step(net, small)  # what torch loads and caches at first
    else:
        torch.inference_mode()(net.eval())(small)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far, which a process inherits from its parent
    before = memory("VmRSS")
    for _ in range(6 if train else 1):  # runs of scales are drawn
        if train:
            step(net, x)
        else:
            torch.inference_mode()(net.eval())(x)
    return memory("VmHWM") - before


def memory(field: str) -> float:
    """A line of Linux's account of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * int(next(line for line in lines if line.startswith(field)).split()[1])


def cost_rows(size: int, channels: tuple[int, ...], repeats: int, count: int) -> Iterator[Row]:
    """Each measurement in a process of its own, so that none inherits the memory of another."""
    context = multiprocessing.get_context("spawn")
    for name, make in islice(costs(channels).items(), count):
        with context.Pool(1, maxtasksperchild=1) as pool:
            training, inference = pool.apply(compare, (name, channels, size, repeats))
            memory = [pool.apply(peak, (name, channels, size, train)) / 2**20 for train in (True, False)]
        weights = sum(p.numel() for p in make().parameters())
        yield name, f"{weights:,}", f"{training:.2f}", f"{inference:.2f}", *(f"{m:.0f} MiB" for m in memory)


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--part", choices=("equivariance", "cost", "both"), default="both")
    parser.add_argument("--results", type=Path, default=None, help="folder for haar_equivariance.md and haar_cost.md")
    options = parser.parse_args()
    channels, size, repeats = ((2, 4), 32, 1) if options.quick else ((16, 32, 64), 64, 5)
    sizes = {"blobs": 64, "torus": 64} if options.quick else {"blobs": 128, "torus": 64}
    small = (2, 4) if options.quick else (4, 8, 16)
    if options.part != "cost":
        heads: Row = ("network", "input", "per scale, from s = 1", "negative twin")
        rows = equivariance_rows(sizes, small)
        text = f"Error of each scale, factor √2 (blobs) and 2 (torus), random weights, channels {small}."
        write(options.results, "equivariance", text, table(heads, rows), BASIC)
    if options.part != "equivariance":
        heads = ("network", "weights", "training step", "inference", "memory, training", "memory, inference")
        rows = cost_rows(size, channels, repeats, 1 if options.quick else 7)
        text = (
            f"Times relative to MONAI's U-Net, channels {channels}, {size}³ voxels, {torch.get_num_threads()} threads; "
        )
        text += "memory: what the process grows by at its peak."
        write(options.results, "cost", text, table(heads, rows))


BASIC = (
    "BasicUNet has instance norms, which see how much of the volume is background: exact on the torus, where the "
    "volume grows with its content, and not on blobs in a volume of one size."
)


def write(folder: Path | None, part: str, *texts: str) -> None:
    """A page of results."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
    command = f"python examples/experiments/haar.py --part {part} --results docs/results"
    title = f"# Haar grids: {part}\n\n`{command}` on {machine}"
    (folder / f"haar_{part}.md").write_text("\n\n".join([title, *texts]) + "\n")


if __name__ == "__main__":
    main()
