"""
The commuting square
====================

A network is equivariant to scaling if it does not matter what comes first: scale the image and run the network, or run
the network and scale its output. This script builds a small network, draws both ways around the square, and measures
by how much they differ.
"""

from __future__ import annotations

import torch
from rich import print

import scalegroup as sg
from scalegroup import nn, visual

# %%
# Two convolutions with a norm and a smooth activation between them. A ``regular`` field has one copy of each map for
# every scale of the group: 1, 1.41, 2 and 2.83.
torch.manual_seed(0)
group = sg.ScaleTranslationGroup(dim=3, base=2**0.5, num_scales=4)
image, hidden = 1 * group.scalar, 4 * group.regular
net = nn.Sequential(
    nn.GroupConv(image, hidden, order=2),
    nn.BatchNorm(hidden),
    nn.Pointwise(hidden, torch.nn.SiLU()),
    nn.GroupConv(hidden, hidden, order=2),
).eval()

# %%
# Scaling the image by √2 scales each map and moves it to the next scale. The report compares exactly that, for each
# scale by itself. The *negative twin* is the difference if the output were not scaled at all: it must be large.
report = sg.check_equivariance(net, scale=group.base)
print(str(report))
print(f"The two ways around the square differ by {100 * report.per_scale:.2g} %.")

# %%
# The same as a picture: the image and its scaled copy above, what the network makes of them below.
figure = visual.plot_commuting_square(net, scale=group.base)
figure.savefig("commuting_square.png", dpi=120)

# %%
# Where next: :doc:`/tutorials/01_scale_translation_group` and :doc:`/concepts/truncated_window`.
