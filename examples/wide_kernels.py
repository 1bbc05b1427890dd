"""
Wide kernels at the price of narrow ones
========================================

A kernel must be several times as wide as its Gaussian to be equivariant: 9 voxels and more. As a dense array that would
cost 9³ multiplications per voxel and pair of channels. A product of three one-dimensional functions is applied axis by
axis, and costs about as much as a kernel of 3³.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rich import print
from rich.progress import track

import scalegroup as sg
from scalegroup import nn, visual

WIDTHS, CHANNELS, ROUNDS = (5, 9, 13, 17), 8, 5


# %%
# Layers with the same channels on the same volume: a group convolution of one scale by both methods of computing it,
# and an ordinary 3×3×3 convolution to compare with.
def layer(width: int, method: str) -> nn.GroupConv:
    """A convolution whose kernels are so many voxels wide."""
    group = sg.ScaleTranslationGroup(dim=3, num_scales=1)
    field = CHANNELS * group.regular
    return nn.GroupConv(field, field, order=2, support=4.5, sigma=(width - 1) / 9, method=method).eval()


def milliseconds(run: Callable[[], object]) -> float:
    """Processor time of one run."""
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


# %%
# They take turns on one core, and the fastest of their runs counts: what else the computer does only adds to it.
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(1, CHANNELS, 32, 32, 32)
plain = torch.nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
nets = {(method, width): layer(width, method) for method in ("dense", "separable") for width in WIDTHS}
times: dict[tuple[str, int], list[float]] = {key: [] for key in [*nets, ("plain", 3)]}
with torch.no_grad():
    for _ in track(range(ROUNDS), "measuring", transient=True):
        for key, net in [*nets.items(), (("plain", 3), plain)]:
            times[key].append(milliseconds(lambda net=net: net(x)))
best = {key: min(values) for key, values in times.items()}

# %%
# The functions are 10, fewer than the 27 weights of a 3×3×3 kernel: the layer is cheaper than a plain one, at any
# width.
for width in WIDTHS:
    dense, separable = (best[method, width] / best["plain", 3] for method in ("dense", "separable"))
    print(
        f"{width:>2} voxels wide: {separable:.1f} times a plain 3×3×3 convolution; as a dense kernel {dense:.1f} times"
    )
lines = {method: {width: best[method, width] for width in WIDTHS} for method in ("dense", "separable")}
speeds = [visual.Speed(method, values) for method, values in lines.items()]
speeds.append(visual.Speed("plain 3×3×3", dict.fromkeys(WIDTHS, best["plain", 3])))
figure = visual.plot_speeds({f"{CHANNELS} channels, 32³ voxels": speeds})
figure.savefig("wide_kernels.png", dpi=150)
