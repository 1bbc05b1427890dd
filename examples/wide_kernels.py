"""
Wide kernels at the price of narrow ones
========================================

A kernel must be several times as wide as its Gaussian to be equivariant: 9 voxels and more. As a dense array that would
cost 9³ multiplications per voxel and pair of channels. A product of three one-dimensional functions is applied axis by
axis, and costs about as much as a kernel of 3³.
"""

from __future__ import annotations

import time
from itertools import product

import torch
from rich import print
from rich.progress import track

import scalegroup as sg
from scalegroup import nn, visual

METHODS, WIDTHS = ("dense", "separable"), (5, 9, 13, 17)
CHANNELS, ROUNDS = 8, 5
PLAIN = "plain 3×3×3", 3


# %%
# Layers with the same channels on the same volume: a group convolution of one scale, computed in two ways, and an
# ordinary 3×3×3 convolution to compare with.
def layer(method: str, width: int) -> nn.GroupConv:
    """A convolution whose kernels are so many voxels wide."""
    field = CHANNELS * sg.ScaleTranslationGroup(dim=3, num_scales=1).regular
    return nn.GroupConv(field, field, sigma=(width - 1) / 9, method=method).eval()


def milliseconds(net: torch.nn.Module, x: torch.Tensor) -> float:
    """Processor time of one forward pass."""
    start = time.process_time()
    net(x)
    return 1000 * (time.process_time() - start)


# %%
# They take turns on one core, and the fastest of their runs counts: what else the computer does only adds to it.
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(1, CHANNELS, 32, 32, 32)
nets = {key: layer(*key) for key in product(METHODS, WIDTHS)}
nets[PLAIN] = torch.nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
best = dict.fromkeys(nets, float("inf"))
with torch.no_grad():
    for _ in track(range(ROUNDS), "measuring", transient=True):
        best = {key: min(best[key], milliseconds(net, x)) for key, net in nets.items()}

# %%
# The basis has 10 functions, fewer than a 3×3×3 kernel has weights: the layer is cheaper than a plain one, at any
# width.
print("times as long as a plain 3×3×3 convolution:")
for width in WIDTHS:
    dense, separable = (best[method, width] / best[PLAIN] for method in METHODS)
    print(f"{width:>4} voxels wide: {separable:.2f}, as a dense kernel {dense:.1f}")
speeds = [visual.Speed(m, {width: best[m, width] for width in WIDTHS}) for m in METHODS]
speeds.append(visual.Speed(PLAIN[0], dict.fromkeys(WIDTHS, best[PLAIN])))
figure = visual.plot_speeds({f"{CHANNELS} channels, 32³ voxels": speeds})
figure.savefig("wide_kernels.png", dpi=150)

# %%
# Where next: :doc:`/engine` and :doc:`/results/speed`.
