"""
Point clouds of any size
========================

On points nothing is sampled or interpolated: kernels are evaluated where the neighbours are. A cloud that is twice as
large fills the next scale with the same numbers, to rounding.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from rich import print

import scalegroup as sg
from scalegroup import nn

# %%
# Points on a bent surface, and the same points at twice the size.
torch.manual_seed(0)
u, v = torch.rand(2, 800, dtype=torch.float64) * 2 - 1
small = 10 * torch.stack([u, v, u**2 - 0.5 * v**2], dim=1)
large = 2 * small

# %%
# A layer: fields on three scales, each twice the one before.
group = sg.ScaleTranslationGroup(dim=3, base=2.0, num_scales=3)
lift = nn.PointGroupConv(1 * group.scalar, 4 * group.regular, order=2, sigma=1.0).double()
ones = torch.ones(800, 1, dtype=torch.float64)  # the points carry nothing but themselves
with torch.no_grad():
    y, moved = (lift(ones, cloud).unflatten(1, (4, 3)) for cloud in (small, large))
error = float((moved[:, :, 1:] - y[:, :, :-1]).abs().max() / y.abs().max())
print(f"Twice the size is one scale further, to {error:.0e}.")

# %%
# A whole network whose scores do not depend on size or place at all: it measures each cloud in its own spacing.
net = sg.models.PointClassifier(
    num_classes=5,
    channels=(4, 8),
    strides=(4, 4),
    sigma=4.0,  # spacings of the points
    relative=True,
)
net = net.double().eval()
with torch.no_grad():
    scores, others = net(small), net(3.7 * small + 50)
change = float((scores - others).abs().max())
print(f"Scores of a cloud 3.7 times as large, elsewhere: {change:.0e} off.")

# %%
# One map of the layer: scale 1 of the small cloud, scale 2 of the large one, and what that has at scale 1.
figure = Figure(figsize=(9, 3.2), layout="constrained")
panels = (
    ("size 1, scale 1", small, y[:, 0, 0]),
    ("size 2, scale 2", large, moved[:, 0, 1]),
    ("size 2, scale 1", large, moved[:, 0, 0]),
)
for place, (title, cloud, values) in enumerate(panels, start=1):
    axes = figure.add_subplot(1, 3, place, projection="3d")
    axes.scatter(
        *cloud.T.numpy(),
        c=values.numpy(),
        cmap="RdBu_r",
        s=6,
        vmin=-float(y[:, 0].abs().max()),
        vmax=float(y[:, 0].abs().max()),
    )
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=6)
figure.savefig("point_cloud.png", dpi=150)

# %%
# Where next: :doc:`/tutorials/08_point_clouds` and :doc:`/results/points`.
