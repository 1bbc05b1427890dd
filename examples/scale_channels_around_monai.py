"""
Make any network scale-equivariant
==================================

``ScaleChannels`` runs a network of yours on grids of several scales, with the same weights, and puts the answers
together. Its layers stay as they are, ReLU and strides included. Here MONAI's U-Net.
"""

from __future__ import annotations

import torch
from monai.networks.nets import UNet
from rich import print

import scalegroup as sg
from scalegroup import visual

# %%
# One line. The scales are 1, 1.41, 2 and 2.83 voxels. Each grid costs less than the one before: four scales of an image
# cost twice the network, of a volume one and a half times.
torch.manual_seed(0)
monai = UNet(2, 1, 2, channels=(8, 16), strides=(2,), norm="batch").eval()
net = sg.models.ScaleChannels(monai, spatial_dims=2, first=0, num_scales=4).eval()
print(net.summary(space=(64, 64)))

# %%
# Before: the output of a scaled image is not the scaled output. After: each scale channel is exact up to the lifting to
# its grid, and what remains is the projection over a finite window of scales. More scales make it smaller.
before = sg.check_equivariance(monai, scale=2**0.5, dim=2, channels=1)
after = sg.check_equivariance(net)
wide = sg.check_equivariance(sg.with_window(net, num_scales=8, first=-2))
print(f"MONAI's U-Net changes by {before.projected:.0%} under scaling by √2.")
print(f"In ScaleChannels each scale changes by {100 * after.per_scale:.2g} %,")
print(f"their mean by {after.projected:.0%},")
print(f"and with eight scales in place of four by {wide.projected:.0%}.")

# %%
# The same image and the same weights, once more as a picture.
figure = visual.plot_commuting_square(net, scale=2**0.5)
figure.savefig("scale_channels_around_monai.png", dpi=120)

# %%
# Where next: :doc:`/howto/monai` and :doc:`/results/scale_channels`.
