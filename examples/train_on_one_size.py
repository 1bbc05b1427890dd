"""
Train on one size, test on others
=================================

Two U-Nets learn to find discs and rings, all of one size, and are then asked about larger and smaller ones, which
neither of them has seen.
"""

from __future__ import annotations

import numpy as np
import torch
from rich import print
from rich.progress import track
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

import scalegroup as sg
from scalegroup import visual

STEPS, SIZES = 150, (0.5, 0.71, 1.0, 1.41, 2.0)


# %%
# Images with one disc (class 1) and one ring (class 2) on noise. To tell them apart, a network has to look as far as
# the hole is wide. The canvas grows with what is drawn on it, as a scan of a larger head has more voxels.
def draw(count: int, size: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Images and labels; at size 1 the radii are 8 to 10 pixels of 48."""
    side = round(48 * size)
    y, x = np.mgrid[:side, :side] / size
    labels = np.zeros((count, side, side), dtype=np.int64)
    for label in labels:
        for kind, column in zip((1, 2), rng.permutation([12, 36]), strict=True):
            distance = np.hypot(y - rng.integers(12, 36), x - column) / rng.uniform(8, 10)
            label[(distance < 1) & ((kind == 1) | (distance > 0.5))] = kind
    images = (labels > 0) + rng.normal(scale=0.2, size=labels.shape)
    return torch.from_numpy(images[:, None]).float(), torch.from_numpy(labels)


# %%
# The same steps for both. ``sg.methods.unet("plain")`` is a U-Net of ordinary 3×3 convolutions; it gets a level more,
# and has ten times the weights.
def train(name: str, net: torch.nn.Module) -> None:
    """Adam on fresh images, all of size 1."""
    rng, optimiser = np.random.default_rng(0), torch.optim.Adam(net.parameters(), lr=0.01)
    weights = torch.tensor([0.1, 1.0, 1.0])  # most pixels are background
    for _ in track(range(STEPS), f"training {name}", transient=True):
        images, labels = draw(8, 1.0, rng)
        loss = cross_entropy(net(images), labels, weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def dice(net: torch.nn.Module, size: float) -> list[float]:
    """Overlap with the truth on 16 new images: 1 is perfect; mean of both classes."""
    images, labels = draw(16, size, np.random.default_rng(1))
    with torch.no_grad():
        found = net.eval()(images).argmax(1)
    truth, found = (one_hot(label, 3)[..., 1:] for label in (labels, found))
    return (2 * (truth * found).sum((1, 2)) / (truth + found).sum((1, 2))).mean(1).tolist()


torch.manual_seed(0)
nets = {
    "plain": sg.methods.unet("plain", 2, 1, 3, channels=(8, 16, 32), strides=(2, 2)),
    "ours": sg.models.UNet(2, 1, 3, channels=(8, 16), strides=(2,)),
}
for name, net in nets.items():
    train(name, net)

# %%
# Ours stays where it was; the plain network knows the size that it was shown.
curves = []
print("Dice at size", "  ".join(f"{size:4g}" for size in SIZES))
for name, net in nets.items():
    scores = {size: dice(net, size) for size in SIZES}
    print(f"{name:>12}", "  ".join(f"{np.mean(score):.2f}" for score in scores.values()))
    curves.append(visual.Curve(name, scores))
figure = visual.plot_dice_curves(curves)
figure.savefig("train_on_one_size.png", dpi=150)

# %%
# Where next: :doc:`/tutorials/03_classifier` and :doc:`/results/poster_hippocampus`.
