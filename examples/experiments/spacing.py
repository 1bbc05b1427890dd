"""One object through voxels of several sizes: how much the answer of the same weights changes.

    python examples/experiments/spacing.py

Random weights; Gaussian blobs of 2.5 to 3.5 mm at random places in a cube of 35 mm, sampled at 1 mm and at other
spacings. The error is relative, in the L2 norm, away from the border (6 mm), on the grid on which both answers lie:
the layer's own for the lifting layer, the scan's for networks. Prints the table of docs/howto/spacing.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.engine import resample
from scalegroup.testing import Blobs, centred

EXTENT, MARGIN = 35.0, 6.0  # mm
SPACINGS = ((1.0, 1.0, 2.5), (1.4, 1.4, 1.4))
LABELS = ("1 × 1 × 2.5 mm", "1.4 mm", "1.4 mm, spacing not told")


def scan(spacing: Sequence[float]) -> Tensor:
    """The object: `(1, 1, *space)`."""
    scene = Blobs.random(1 * sg.ScaleTranslationGroup(dim=3).scalar, EXTENT / 6, (2.5, 3.5))
    return scene.sample([centred(round(EXTENT / size), size) for size in spacing])


def inner(x: Tensor, spacing: Sequence[float]) -> Tensor:
    """What lies farther from the border than the margin."""
    cut = [round(MARGIN / size) for size in spacing]
    return x[(..., *[slice(n, -n) for n in cut])]


def relative(y: Tensor, wanted: Tensor, spacing: Sequence[float]) -> float:
    """The error away from the border."""
    y, wanted = inner(y, spacing), inner(wanted, spacing)
    return float((y - wanted).norm() / wanted.norm())


def errors(name: str, net: torch.nn.Module, own_grid: bool) -> str:
    """A line of the table."""
    one = (1.0, 1.0, 1.0)
    with torch.no_grad():
        wanted = net(scan(one))
        found = []
        for spacing, told in ((SPACINGS[0], True), (SPACINGS[1], True), (SPACINGS[1], False)):
            y = net(scan(spacing), spacing=spacing) if told else net(scan(spacing))
            if own_grid and not told:  # then it lies on the voxels: bring it to where the wanted answer is
                y = resample(y, wanted.shape[2:], [1 / size for size in spacing])
            there = wanted if own_grid else resample(wanted, y.shape[2:], spacing)
            found.append(f"{relative(y, there, one if own_grid else spacing):.1e}")
    return "| " + " | ".join([name, *found]) + " |"


def main() -> None:
    """The table."""
    lines = [f"| network | {' | '.join(LABELS)} |", "|---|---|---|---|"]
    group = sg.ScaleTranslationGroup(dim=3, num_scales=2)
    for sigma in (1.5, 2.0):
        torch.manual_seed(0)
        options = {"order": 2, "sigma": sigma, "padding_mode": "replicate"}
        conv = nn.GroupConv(1 * group.scalar, 2 * group.regular, **options).double().eval()  # type: ignore[arg-type]
        lines.append(errors(f"lifting `GroupConv(order=2, sigma={sigma:g})`", conv, own_grid=True))
    networks = {
        "`UNet()`, by default": {},
        '`UNet(norm="batch")`': {"norm": "batch"},
        '`UNet(norm="batch", scale_pool="max")`': {"norm": "batch", "scale_pool": "max"},
        '`UNet(norm="batch", basis="free", scale_pool="max")`': {"norm": "batch", "basis": "free", "scale_pool": "max"},
        '`UNet(sampling="uniform", first=0, num_scales=3)`': {"sampling": "uniform", "first": 0, "num_scales": 3},
    }
    for name, settings in networks.items():
        torch.manual_seed(0)
        net = sg.models.UNet(3, 1, 2, (4, 8, 16), (2, 2), **settings).double().eval()  # type: ignore[arg-type]
        lines.append(errors(name, net, own_grid=False))
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
