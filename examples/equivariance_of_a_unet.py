"""
How equivariant is a U-Net?
===========================

``check_equivariance`` takes any network, also one that knows nothing of this library. Here MONAI's U-Net and ours,
which has the same arguments, both with random weights, both on volumes that are scaled by √2.
"""

from __future__ import annotations

import torch
from monai.networks.nets import UNet
from rich import print
from rich.progress import track

import scalegroup as sg
from scalegroup import visual

# %%
# Ours works on several scales: here 0.71, 1, 1.41 and 2 voxels.
torch.manual_seed(0)
shape = {"channels": (4, 8), "strides": (2,), "norm": "batch"}
monai = UNet(3, 1, 2, **shape).eval()
ours = sg.models.UNet(3, 1, 2, **shape, first=-1, num_scales=4, padding_mode="replicate").eval()

# %%
# MONAI's has no types that say what it takes, so the check has to be told.
nets = {"MONAI": (monai, {"dim": 3, "channels": 1}), "ours": (ours, {})}
reports = {
    name: sg.check_equivariance(net, scale=2**0.5, **told)
    for name, (net, told) in track(nets.items(), "measuring", transient=True)
}
for report in reports.values():
    print(f"{report}\n")

# %%
# Ours is looked at twice. Scale by scale it is all but exact. The largest part of its error comes last, from the
# projection: the output at a voxel is a mean over the scales, of which a computer has a finite window. The report says
# what would make it smaller.
for name, report in reports.items():
    print(f"{name} changes under scaling by {report.projected:.0%},")
print(f"and before the projection over its scales {100 * report.per_scale:.2g} %.")

# %%
# What the plain network does wrong, as a picture: scaled input in, and something else than the scaled output out.
figure = visual.plot_commuting_square(monai, scale=2**0.5, name="MONAI's\nU-Net")
figure.savefig("equivariance_of_a_unet.png", dpi=120)

# %%
# Where next: :doc:`/accuracy` and :doc:`/tutorials/04_segmenting_mri`.
