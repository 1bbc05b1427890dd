"""
One object, two grids
=====================

Scans have thick slices or thin ones, and the object does not care. Tell the network the size of the voxels, and the
same weights give the same answer at the same places of the body.
"""

from __future__ import annotations

import numpy as np
import torch
from rich import print

import scalegroup as sg
from scalegroup import visual
from scalegroup.engine import resample
from scalegroup.testing import Blobs, centred

# %%
# An object that is known as a formula, so that both scans of it are exact: cubes of 1 mm, and slices of 3 mm.
thin, thick = (1.0, 1.0, 1.0), (3.0, 1.0, 1.0)  # mm
image = 1 * sg.ScaleTranslationGroup(dim=3).scalar
thing = Blobs.random(image, radius=8.0, width=(2.5, 3.5), count=12)
scans = {}
for spacing in (thin, thick):
    places = [centred(round(45 / size), size) for size in spacing]  # in mm from the middle
    scans[spacing] = thing.sample(places).float()
for scan in scans.values():
    print("a scan of", "×".join(map(str, scan.shape[2:])), "voxels")

# %%
# Random weights are enough to see it; for trained ones see the results that are linked below.
torch.manual_seed(0)
net = sg.models.UNet(3, 1, 3, channels=(4, 8), strides=(2,), norm="batch").eval()
with torch.no_grad():
    wanted = net(scans[thin], spacing=thin)
    told, untold = net(scans[thick], spacing=thick), net(scans[thick])

# %%
# The answer on cubes is brought to the thick slices, where the others are, and compared away from the border.
there = resample(wanted, told.shape[2:], thick)
middle = (..., slice(3, -3), slice(8, -8), slice(8, -8))
errors = [(y - there)[middle].norm() / there[middle].norm() for y in (told, untold)]
print(f"With the spacing the answer differs by {errors[0]:.1%}, without it by {errors[1]:.1%}.")


# %%
# The surest of three classes at each voxel, seen from the side. Slices are drawn as thick as they are.
def side(volume: torch.Tensor) -> np.ndarray:
    """The middle plane along the first and second axis, in pixels of 1 mm."""
    return volume[0, :, :, volume.shape[3] // 2].repeat_interleave(3, dim=0).numpy()


answers = {"cubes of 1 mm": there, "3 mm, told": told, "3 mm, not told": untold}
labels = {name: side(y.argmax(1)) for name, y in answers.items()}
row = visual.Panel("slices of 3 mm", side(scans[thick][:, 0]), labels)
figure = visual.plot_slices([row], classes=("class 1", "class 2"))
figure.savefig("anisotropic_voxels.png", dpi=150)

# %%
# Where next: :doc:`/howto/spacing` and :doc:`/results/resolution_transfer`.
