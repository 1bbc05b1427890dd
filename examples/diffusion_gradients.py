"""
Gradients in any order
======================

A diffusion-weighted scan has one volume for each magnetic gradient. A network that takes them as channels learns their
order, and can do nothing with a scan of another one. Here they are samples of a function of two vectors, position and
gradient: their order, their signs and their number do not matter.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from rich import print

import scalegroup as sg
from scalegroup.data import diffusion_phantom

# %%
# A made-up scan: a ring of fibres and a straight bundle, seen along 16 directions.
scan = diffusion_phantom((20, 20, 12), directions=16)
x, q = torch.from_numpy(scan.signal)[None].float(), torch.from_numpy(scan.q()).float()
print("a scan of", x.shape[1], "volumes, one of them without a gradient")

# %%
# From signals and gradients to a map; these settings are good for maps as fine as the voxels. The weights are random;
# the order does not matter for any weights.
torch.manual_seed(0)
fine = {"q_pool": "origin", "q_sigma": 1.0, "q_ridge": 0.001, "voxelwise": True}
net = sg.models.DiffusionUNet(q_channels=(8,), channels=(4, 8), strides=(2,), **fine).eval()
shuffle = torch.randperm(len(q))
with torch.no_grad():
    y = net(x, q)
    shuffled, flipped = net(x[:, shuffle], q[shuffle]), net(x, -q)
    mistaken, half = net(x[:, shuffle], q), net(x[:, ::2], q[::2])
others = {
    "gradients shuffled": shuffled,
    "gradients with the other sign": flipped,
    "every second gradient left out": half,
    "signals shuffled, gradients not": mistaken,
}
print("change of the map, relative to its own spread:")
for what, other in others.items():
    print(f"{float((other - y).std() / y.std()):9.1g}  {what}")

# %%
# A slice of the signal along one gradient, of the map, and of its change if signals and gradients no longer match.
figure = Figure(figsize=(9, 3), layout="constrained")
panels = {
    "signal along one gradient": x[0, 1],
    "a map (random weights)": y[0, 0],
    "change: signals shuffled": (mistaken - y)[0, 0],
}
for axes, (title, volume) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
    image = axes.imshow(volume[:, :, volume.shape[2] // 2].T, cmap="gray", origin="lower")
    figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
figure.savefig("diffusion_gradients.png", dpi=130)

# %%
# Where next: :doc:`/tutorials/10_diffusion_mri` and :doc:`/results/diffusion`.
