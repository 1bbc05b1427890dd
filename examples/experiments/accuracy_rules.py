"""The rules of accuracy, each kept and broken, measured with this library.

    python examples/experiments/accuracy_rules.py [--quick] [--results docs/results]

Most rows are errors under dilation by 1/0.9 on a torus, float64, where inputs are known exactly and nothing is
interpolated; others say what they are. Three seeds of weights, the mean of the
worst scale. Writes accuracy_rules.md.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accuracy import EXACT, Row, calibrated, calibration, measured, table

import scalegroup as sg
from scalegroup import nn
from scalegroup.kernels import product_error, sample_taps
from scalegroup.testing import equivariance_error

BAND, ALL = math.pi / 2, 0.9 * math.pi  # radians per voxel: what the rules promise, and all that a grid holds
WIDE = 24  # voxels: nothing is cut off
MEANS = {2: torch.nn.AvgPool2d, 3: torch.nn.AvgPool3d}
MAXIMA = {2: torch.nn.MaxPool2d, 3: torch.nn.MaxPool3d}
HEADS = ("rule", "", "setting", "measured here", "contract")
INTRO = """\
Each rule that the layers follow, once kept and once broken: relative errors of the worst scale inside the window, mean
of three seeds. *limit* and *reduced*: what no rule removes, and what makes it smaller. *contract* is the figure that
the library was designed by, measured on other networks and inputs. Layers that stride stand behind an exact lifting.
What to do about each is in [accuracy](../accuracy.md)."""
KEPT, BROKEN, LIMIT, REDUCED = "kept", "broken", "limit", "reduced"


class Cut(nn.GroupConv):
    """Sampled taps of one half-width in voxels at all scales, as published code has them."""

    radius = 2

    def build(self) -> None:
        """As the layer does, but with the taps cut."""
        super().build()
        for i, scale in enumerate(self.scales):
            taps = sample_taps(self.basis, self.sigma * scale, radius=self.radius, method="sampled")
            self.keep_taps(f"taps_{i}_1_0", taps)


class Cut5(Cut):
    """Wide enough for scale 1, and for no other."""

    radius = 5


class FixedBlur(nn.ScaleBlurPool):
    """The same blur at all scales: that of scale 1."""

    def build(self) -> None:
        """As the layer does, but with the taps of scale 1."""
        super().build()
        for i in range(len(self.scales)):
            self.keep_scale(i, 1.0)


class Plain(nn.EquivariantModule):
    """A layer that knows nothing of scales, applied to all of them."""

    def __init__(self, field: sg.FieldType, layer: torch.nn.Module) -> None:
        super().__init__(field, field)
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, field.size, *space)` to `(batch, field.size, *space')`."""
        return self.layer(x)


class Normalised(nn.EquivariantModule):
    """Multiplies each scale by a power of it: what another factor than s^-d in the kernels does."""

    def __init__(self, field: sg.FieldType, power: float) -> None:
        super().__init__(field, field)
        self.powers = torch.tensor(field.group.scales).repeat(field.num_fields) ** power

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, field.size, *space)` to the same."""
        return x * self.powers.to(x).view(-1, *[1] * (x.ndim - 2))


class Rules:
    """All rows; sizes and seeds of the measurement."""

    def __init__(self, size: int, seeds: int, volume: int, dim: int = 3) -> None:
        self.size, self.seeds, self.volume = size, seeds, volume
        self.dim = dim
        self.group = sg.ScaleTranslationGroup(dim, base=1 / 0.9, num_scales=4)
        self.image, self.hidden = 2 * self.group.scalar, 4 * self.group.regular

    def torus(self, make: Callable[[], torch.nn.Module], wmax: float = BAND, worst_of_all: bool = False) -> str:
        """The error of the worst scale inside the window (or of all), the mean over the seeds."""
        errors = []
        for seed in range(self.seeds):
            torch.manual_seed(seed)
            found = equivariance_error(make(), protocol="torus", size=self.size, seed=seed, wmax=wmax)
            errors.append(max(found.channels) if worst_of_all else found.per_scale)
        return f"{sum(errors) / len(errors):.1e}"

    def stack(self, activation: torch.nn.Module, oversample: int = 1, sigma: float = 1.0) -> nn.Sequential:
        """Three layers, two activations."""
        fields = [self.image, self.hidden, self.hidden, self.hidden]
        convs = [nn.GroupConv(a, b, sigma=sigma) for a, b in pairwise(fields)]
        acts = [nn.Pointwise(self.hidden, activation, oversample) for _ in range(2)]
        return nn.Sequential(convs[0], acts[0], convs[1], acts[1], convs[2])

    def half_width(self) -> Iterator[Row]:
        """Kernels that are cut off."""
        rule = "half-width"
        for order in (2, 4):
            basis = sg.HermiteBasis(order)
            taps = [sample_taps(basis, 1.0, radius=2, method="sampled")] * 3
            errors = [product_error(taps, [product]) for product in basis.products]
            said = "4–23 % for each basis function" if order == 2 else ""
            found = f"{100 * min(errors):.2g} to {100 * max(errors):.2g} %"
            yield rule, BROKEN, f"kernels: 5 samples at sigma 1, order {order}", found, said
        for order, support, said in ((0, 4.5, "2e-6"), (2, 4.5, "5e-5"), (4, 4.5, "4e-4"), (2, 4.0, "")):
            for method in ("sampled", "auto"):
                error = sample_taps(sg.HermiteBasis(order), 1.0, support, method=method).predicted_error
                name = f"kernels: {support:g} widths at sigma 1, order {order}, one axis, {method}"
                yield rule, KEPT, name, f"{error:.1e}", said if method == "sampled" else ""
        yield rule, BROKEN, "lifting: 5 samples at all scales", self.torus(partial(Cut, self.image, self.hidden)), ""
        error = self.torus(partial(Cut5, self.image, self.hidden, support=4.5))
        yield rule, BROKEN, "lifting: 11 samples at all scales, enough for the first", error, ""
        error = self.torus(partial(nn.GroupConv, self.image, self.hidden))
        yield rule, KEPT, "lifting: each scale its own 4.5 widths", error, "≤ 3e-4"

    def width(self) -> Iterator[Row]:
        """Kernels that are too narrow for the voxels, apart from cutting them off."""
        rule, basis = "sigma", sg.HermiteBasis(4)
        for sigma, said in ((0.73, "70 %"), (1.0, "1e-3"), (1.5, "4e-9")):
            for band, name in ((BAND, "π/2"), (math.pi, "π")):
                error = sample_taps(basis, sigma, radius=WIDE, method="sampled", band=band).predicted_error
                contract = said if (band == BAND) == (sigma >= 1.0) else ""
                kind = KEPT if sigma >= 1 else BROKEN
                yield rule, kind, f"kernels: order 4 sampled at sigma {sigma:g}, below {name}", f"{error:.1e}", contract
        for sigma in (0.73, 1.0):
            error = sample_taps(basis, sigma, method="fitted").predicted_error
            yield rule, KEPT, f"kernels: order 4 fitted at sigma {sigma:g}, below π/2", f"{error:.1e}", ""

    def normalisation(self) -> Iterator[Row]:
        """Another factor than s^-d."""
        for layers in (1, 3):
            fields = [self.image, *[self.hidden] * layers]

            def make(power: float, fields: list[sg.FieldType] = fields) -> nn.Sequential:
                parts = []
                for a, b in pairwise(fields):
                    parts += [nn.GroupConv(a, b, method="spectral"), Normalised(b, power)]
                return nn.Sequential(*parts)

            name = f"{layers} layer{'s' * (layers > 1)}"
            for power, kind, kernel in ((self.dim / 2, BROKEN, "s^(-d/2)"), (0.0, KEPT, "s^-d")):
                said = "a power of s" if power else ""
                yield "factor of the kernels", kind, f"{kernel}, {name}", self.torus(partial(make, power)), said

    def strides(self) -> Iterator[Row]:
        """A coarser grid, behind an exact lifting of white inputs."""
        hidden = self.hidden
        kinds: list[tuple[str, str, str, Callable[[], nn.EquivariantModule]]] = [
            (BROKEN, "convolution, sigma 1 in units of its input", "0.32", partial(self.conv, 0.5)),
            (KEPT, "convolution, sigma 1 in units of its output", "", partial(self.conv, 1.0)),
            (BROKEN, "mean of 2×2×2 voxels", "", lambda: Plain(hidden, MEANS[self.dim](2))),
            (BROKEN, "maximum of 2×2×2 voxels", "", lambda: Plain(hidden, MAXIMA[self.dim](2))),
            (BROKEN, "the same Gaussian at all scales", "0.06", partial(FixedBlur, hidden)),
            (
                KEPT,
                "Gaussian proportional to the scale (ScaleBlurPool)",
                "0.003–0.01",
                partial(nn.ScaleBlurPool, hidden),
            ),
            (KEPT, "the same, sigma 1.4", "", partial(nn.ScaleBlurPool, hidden, sigma=1.4)),
        ]
        for kind, name, said, make in kinds:
            for wmax, band in ((BAND, "π/2"), (ALL, "0.9 π")):
                error = self.torus(lambda make=make: nn.Sequential(self.exact_lift(), make()), wmax)
                yield "stride 2", kind, f"{name}; input below {band}", error, said if wmax == ALL else ""

    def conv(self, sigma: float) -> nn.GroupConv:
        """A layer of stride 2."""
        return nn.GroupConv(self.hidden, self.hidden, stride=2, sigma=sigma)

    def exact_lift(self) -> nn.GroupConv:
        """A lifting without an error."""
        return nn.GroupConv(self.image, self.hidden, method="spectral")

    def activations(self) -> Iterator[Row]:
        """Frequencies that no grid holds."""
        said = {
            ("ReLU", 1.0): "6.6e-2",
            ("ReLU", 1.5): "3.2e-2",
            ("SiLU", 1.0): "1.6e-2",
            ("SiLU", 1.5): "3.2e-3",
            ("SiLU oversampled by 2", 1.0): "3.9e-3",
            ("SiLU oversampled by 2", 1.5): "3.4e-5",
        }
        for (name, sigma), contract in said.items():
            act = torch.nn.ReLU() if name == "ReLU" else torch.nn.SiLU()
            error = self.torus(partial(self.stack, act, 1 + ("oversampled" in name), sigma))
            kind = BROKEN if name == "ReLU" else KEPT
            yield "activations", kind, f"three layers, {name}, sigma {sigma:g}", error, contract
        group = sg.ScaleTranslationGroup(2, num_scales=4, sampling="haar")
        hidden = 4 * group.regular
        parts = [nn.GroupConv(1 * group.scalar, hidden, basis="free"), nn.Pointwise(hidden, torch.nn.ReLU())]
        net = nn.Sequential(*parts, nn.GroupConv(hidden, hidden, basis="free"))
        error = equivariance_error(net, protocol="torus").per_scale
        yield (
            "activations",
            KEPT,
            "ReLU on a grid for each scale (sampling='haar'), free kernels, 2-D",
            f"{error:.1e}",
            "",
        )

    def norms(self) -> Iterator[Row]:
        """Statistics that know how much of the volume is background."""
        cases = (
            (BROKEN, "instance norm, canvas fixed", nn.InstanceNorm, "blobs"),
            (KEPT, "instance norm, canvas grows with the content", nn.InstanceNorm, "torus"),
            (KEPT, "batch norm in eval mode, canvas fixed", nn.BatchNorm, "blobs"),
        )
        group = sg.ScaleTranslationGroup(self.dim, base=2.0, num_scales=3)
        image, hidden = 1 * group.scalar, 4 * group.regular
        for kind, name, norm, protocol in cases:
            torch.manual_seed(0)
            net = nn.Sequential(nn.GroupConv(image, hidden), norm(hidden))
            calibrated(net, calibration(image, self.volume))
            size = {"size": 18} if protocol == "torus" else {}
            error = equivariance_error(net, protocol=protocol, **size).per_scale
            yield "statistics of norms", kind, f"{name}, factor 2", f"{error:.1e}", ""

    def published(self) -> Iterator[Row]:
        """The poster's U-Net as its code has it; random weights after one calibration pass."""
        torch.manual_seed(0)
        net = sg.methods.unet("wimmer2022", dim=self.dim, in_channels=1, out_channels=2)
        calibrated(net, calibration(1 * self.group.scalar, self.volume))
        options: dict[str, Any] = {"scale": 1 / 0.9, "size": self.volume, "dtype": torch.float32, "out_spacing": 1.0}
        report = sg.check_equivariance(net, **options)
        yield "all", BROKEN, "published U-Net, factor 1/0.9, worst scale", f"{100 * report.per_scale:.0f} %", "> 100 %"
        yield "all", BROKEN, "published U-Net, factor 1/0.9, output", f"{100 * report.projected:.0f} %", ""

    def boundary(self) -> Iterator[Row]:
        """Scales that are read and not there; 2-D, order 2."""
        for padding, kind in (("zeros", BROKEN), ("replicate", BROKEN), ("valid", KEPT)):

            def make(padding: str = padding) -> nn.Sequential:
                lift = nn.GroupConv(self.image, self.hidden)
                return nn.Sequential(
                    lift, nn.GroupConv(self.hidden, *self.behind(padding), scale_extent=2, scale_padding=padding)
                )

            name = f"two neighbouring scales mixed, scale_padding='{padding}', worst of all scales"
            yield (
                "end of the window",
                kind,
                name,
                self.torus(make, worst_of_all=True),
                "exact" if padding == "valid" else "",
            )

    def behind(self, padding: str) -> tuple[sg.FieldType]:
        """The output of a layer that mixes two scales."""
        return (self.hidden,)

    def projections(self, channels: tuple[int, ...]) -> Iterator[Row]:
        """A U-Net per scale and projected; blobs, factor √2, random weights."""
        said = {
            (4, False): ("40 %", "48 %"),
            (6, False): ("40 %", "48 %"),
            (6, "lifting"): ("25–33 %", "25–33 %"),
            (6, "encoder"): ("11 %", "15 %"),
        }
        strides = (2,) * (len(channels) - 1)
        for admissible in (False, "lifting", "encoder"):
            for num_scales in (4, 6):
                torch.manual_seed(0)
                options: dict[str, Any] = {"sampling": "uniform", "first": 0, "num_scales": num_scales, **EXACT}
                unet = sg.models.UNet(
                    self.dim, 1, 2, channels, strides, scale_pool=None, admissible=admissible, **options
                )
                calibrated(unet, calibration(unet.in_type, self.volume))
                errors = measured(unet, self.volume)
                kind = REDUCED if admissible else LIMIT
                name = f"U-Net, {num_scales} scales" + (f", admissible={admissible!r}" if admissible else "")
                contract = said.get((num_scales, admissible), ("", ""))
                inner = errors.channels[:3]  # the kernels of coarser ones see the border from everywhere
                per_scale = f"{100 * min(inner):.2g} to {100 * max(inner):.2g} %"
                yield "window", KEPT, f"{name}, per scale", per_scale, "" if admissible else "0.1–0.7 %"
                yield (
                    "window",
                    kind,
                    f"{name}, maximum over the scales",
                    f"{100 * errors.projected_max:.0f} %",
                    contract[0],
                )
                yield (
                    "window",
                    kind,
                    f"{name}, mean over the scales",
                    f"{100 * errors.projected_mean:.0f} %",
                    contract[1],
                )

    def rows(self, channels: tuple[int, ...]) -> Iterator[Row]:
        """All rules."""
        yield from self.half_width()
        yield from self.width()
        yield from self.normalisation()
        yield from self.strides()
        yield from self.activations()
        yield from self.norms()
        yield from self.boundary()
        yield from self.projections(channels)
        yield from self.published()


def main() -> None:
    """All rules, as one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and in 2-D: does it run?")
    parser.add_argument("--results", type=Path, default=None, help="folder for accuracy_rules.md")
    options = parser.parse_args()
    rules = Rules(18, 1, 48, dim=2) if options.quick else Rules(36, 3, 48)
    text = table(HEADS, rules.rows((2, 2) if options.quick else (4, 8)))
    if options.results is not None:
        options.results.mkdir(parents=True, exist_ok=True)
        machine = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
        command = "`python examples/experiments/accuracy_rules.py --results docs/results`"
        page = f"# The rules of accuracy, kept and broken\n\n{command} on {machine}\n\n{INTRO}\n\n{text}\n"
        (options.results / "accuracy_rules.md").write_text(page)


if __name__ == "__main__":
    main()
