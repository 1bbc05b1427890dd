"""How equivariant the layers and the U-Net are: the figures of the README, measured.

    python examples/experiments/accuracy.py [--quick] [--results docs/results]

Part 1, torus (float64, 54 and 60 points, band-limited white inputs up to π/2): layers and stacks of three, beside the
published setting. Part 2, blobs (factor base): a U-Net of three levels with random weights after one calibration pass,
per scale channel and after each projection, on its own window and on a wider one, beside MONAI's U-Net. Writes a
Markdown table of each part. How fast the layers are is measured by `scalegroup bench`.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import torch

import scalegroup as sg
from scalegroup import nn
from scalegroup.kernels import sample_taps
from scalegroup.nn.scale_pool import MODES
from scalegroup.testing import Blobs, EquivarianceErrors, centred, equivariance_error

Row = tuple[object, ...]
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"oversample": 2},
    {"admissible": "lifting"},
    {"admissible": "encoder"},
    {"admissible": "encoder", "oversample": 2},
)
# Blobs no smaller than a stride of 4 holds, and far from the border, which the widest kernels see from 51 voxels.
WIDTHS, INTERIOR = (3.0, 4.0), 0.4


class Published(nn.GroupConv):
    """The published kernels: five sampled taps per axis at every scale (Wimmer et al., their code's basis)."""

    def build(self) -> None:
        """As the layer does, but with taps cut to two voxels on either side."""
        super().build()
        for i, scale in enumerate(self.scales):
            taps = sample_taps(self.basis, self.sigma * scale, radius=2, method="sampled")
            self.keep_taps(f"taps_{i}_1_0", taps)


def calibrated(net: torch.nn.Module, x: torch.Tensor) -> torch.nn.Module:
    """The network in eval mode, its running statistics those of one pass over `x`."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm | torch.nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    with torch.no_grad():
        net.train()(x)
    return net.eval()


def torus_rows(size: int, seeds: int) -> Iterator[Row]:
    """Layers and stacks on the torus: name, target, worst error over scales and seeds."""
    group = sg.ScaleTranslationGroup(dim=3, base=1 / 0.9, num_scales=4)
    image, hidden = 2 * group.scalar, 4 * group.regular

    def stack(oversample: int) -> nn.Sequential:
        def act() -> nn.Pointwise:
            return nn.Pointwise(hidden, torch.nn.SiLU(), oversample)

        return nn.Sequential(
            nn.GroupConv(image, hidden), act(), nn.GroupConv(hidden, hidden), act(), nn.GroupConv(hidden, hidden)
        )

    def spectral(*fields: sg.FieldType) -> nn.Sequential:
        return nn.Sequential(*(nn.GroupConv(a, b, method="spectral") for a, b in pairwise(fields)))

    cases: list[tuple[str, str, Callable[[], nn.EquivariantModule]]] = [
        ("lifting, order 2, sigma 1.0", "≤ 3e-4", lambda: nn.GroupConv(image, hidden, order=2)),
        ("lifting, order 4, sigma 1.0", "≤ 2e-3", lambda: nn.GroupConv(image, hidden, order=4)),
        ("lifting, order 2, sigma 1.5", "≤ 3e-5", lambda: nn.GroupConv(image, hidden, order=2, sigma=1.5)),
        ("lifting, order 2, sigma 1.0, spectral", "≤ 1e-12", lambda: spectral(image, hidden)),
        ("three linear layers, spectral", "≤ 1e-12", lambda: spectral(image, hidden, hidden, hidden)),
        ("published: order 4, sigma .729, 5 taps", "≥ 3e-2", lambda: Published(image, hidden, order=4, sigma=0.729)),
        ("three layers, SiLU", "≤ 2e-2", lambda: stack(1)),
        ("three layers, SiLU oversampled by 2", "≤ 5e-3", lambda: stack(2)),
    ]
    for name, target, make in cases:
        errors = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            errors.append(equivariance_error(make(), protocol="torus", size=size, seed=seed).channels)
        per_scale = [" ".join(f"{e:.1e}" for e in channel) for channel in zip(*errors, strict=True)]
        mean = sum(max(channels) for channels in errors) / len(errors)
        yield name, target, f"{mean:.1e}", f"{max(map(max, errors)):.1e}", " · ".join(per_scale)


# Statistics of each volume know its share of background, which changes with the size of the content.
EXACT = {"norm": "batch", "padding_mode": "replicate"}


def unet_rows(size: int, channels: tuple[int, ...], kinds: tuple[dict[str, Any], ...]) -> Iterator[Row]:
    """The U-Net, blobs, factor base: per scale, and projected by every mode on two windows; MONAI's beside it."""
    strides = (2,) * (len(channels) - 1)
    for kind in kinds:
        torch.manual_seed(0)
        unet = sg.models.UNet(
            3, 1, 2, channels, strides, scale_pool=None, sampling="uniform", num_scales=4, first=0, **{**EXACT, **kind}
        )
        calibrated(unet, calibration(unet.in_type, size))
        for window, num_scales, first in (("0 … 3", 4, 0), ("-1 … 6", 8, -1)):
            regular = sg.with_window(unet, num_scales, first)
            errors = measured(regular, size)
            projected = [f"{errors.projected_max:.2f}", f"{errors.projected_mean:.2f}"]
            for mode in MODES[2:]:
                torch.manual_seed(0)
                net = nn.Sequential(regular, nn.ScalePool(regular.out_type, mode))
                projected.append(f"{measured(net, size).projected:.2f}")
            own = errors.channels[-first : -first + 3]  # the scale channels that both windows have
            per_scale = " ".join(f"{e:.1e}" for e in own)
            name = ", ".join(f"{key}={value}" for key, value in kind.items()) or "defaults"
            yield f"ours, {name}", window, per_scale, f"{errors.border:.0e}", *projected
    try:
        from monai.networks.nets import UNet as PlainUNet
    except ImportError:
        return
    torch.manual_seed(0)
    plain = PlainUNet(3, 1, 2, channels, strides, norm="batch", act="swish")
    calibrated(plain, calibration(1 * sg.ScaleTranslationGroup().scalar, size))
    error = measured(plain, size, scale=2**0.5, dim=3, channels=1)
    yield "MONAI's U-Net", "", "", f"{error.border:.0e}", f"{error.projected:.2f}", *[""] * (len(MODES) - 1)


def measured(net: torch.nn.Module, size: int, **options: Any) -> EquivarianceErrors:
    """Errors under the factor base, inputs and comparison the same for all networks."""
    return equivariance_error(net, size=size, width=WIDTHS, interior=INTERIOR, dtype=torch.float32, **options)


def calibration(field: sg.FieldType, size: int) -> torch.Tensor:
    """One batch of blobs for the running statistics."""
    return Blobs.random(field, 0.25 * size, WIDTHS, batch=2, seed=1).sample([centred(size)] * field.group.dim).float()


def table(heads: Row, rows: Iterator[Row]) -> str:
    """A Markdown table, printed line by line as it grows."""
    lines = []
    for row in chain((heads, ("---",) * len(heads)), rows):
        lines.append("| " + " | ".join(map(str, row)) + " |")
        print(lines[-1], flush=True)  # noqa: T201
    return "\n".join(lines)


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--results", type=Path, default=None, help="folder for accuracy.md")
    options = parser.parse_args()
    size, seeds = (18, 1) if options.quick else (54, 3)
    parts = [
        "## Torus, float64, factor 1/0.9, input white up to π/2",
        table(
            ("layer", "target", "worst scale, mean over seeds", "worst of all", "per scale (seed seed seed)"),
            torus_rows(size, seeds),
        ),
        "## U-Net, blobs, factor √2, random weights: per-scale and projected error",
        table(
            ("network", "window", "per scale, from s = 1", "border", *MODES),
            unet_rows(24, (2, 4), KINDS[:1]) if options.quick else unet_rows(128, (8, 16, 32), KINDS),
        ),
    ]
    if options.results is not None:
        options.results.mkdir(parents=True, exist_ok=True)
        machine = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
        text = "# Accuracy, measured\n\n`python examples/experiments/accuracy.py --results docs/results` on " + machine
        (options.results / "accuracy.md").write_text("\n\n".join([text, *parts]) + "\n")


if __name__ == "__main__":
    main()
