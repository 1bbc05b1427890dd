"""Kernels and fields of vectors that turn, and how exactly whole networks do: the figures of tutorial 9.

    python examples/experiments/rotations.py              # a minute; needs escnn

Random weights. Writes `rotations.md` (tables) and two pictures. "so3", "so2" and "o3" come from escnn; the errors of
the symmetries of the grid need it as little as the networks do.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import affine_transform

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models import UNet, turning_fields
from scalegroup.testing import Blobs, centred, equivariance_error, rotation_error
from scalegroup.training.report import open_console
from scalegroup.visual import new_figure

Array = npt.NDArray[np.float64]
QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
MIRROR = np.diag([-1.0, 1.0, 1.0])
EXACT: dict[str, Any] = {"norm": "batch", "padding_mode": "replicate", "num_scales": 2, "first": 0}
FIELD_SIZE, KERNEL_SIZE = 61, 41


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--quick", action="store_true", help="one network, one seed: does it run?")
    return parser.parse_args()


# Pictures, in the plane


def kernels(out_type: FieldType) -> list[Array]:
    """All kernels of order 2 from a scalar image to one field, as `(components, size, size)`: responses to a point."""
    conv = nn.GroupConv(1 * out_type.group.scalar, out_type, order=2, sigma=5.0, bias=False).double()  # type: ignore[attr-defined]
    point = torch.zeros(1, 1, KERNEL_SIZE, KERNEL_SIZE, dtype=torch.float64)
    point[..., KERNEL_SIZE // 2, KERNEL_SIZE // 2] = 1.0
    found = []
    with torch.no_grad():
        for n in range(conv.weight.shape[-1]):
            conv.weight.zero_()[..., n] = 1.0
            found.append(conv(point)[0].flip(1, 2).numpy())  # the kernel is read as K(u) f(x + u)
    return found


def show_map(axes: Any, values: Array, title: str) -> None:
    """A kernel of one number at each point."""
    most = np.abs(values).max()
    axes.imshow(values.T, cmap="RdBu_r", vmin=-most, vmax=most, origin="lower")
    _finish(axes, title)


def show_arrows(axes: Any, vectors: Array, title: str, step: int = 4, background: Array | None = None) -> None:
    """A field of vectors `(2, size, size)`; axis 0 of space runs to the right, axis 1 upwards."""
    places = np.arange(step // 2, vectors.shape[1], step)
    x, y = np.meshgrid(places, places, indexing="ij")
    u, v = vectors[:, x, y]
    if background is not None:
        axes.imshow(background.T, cmap="Greys", origin="lower", vmin=0, vmax=2 * background.max())
    axes.quiver(x, y, u, v, color="#0072B2", pivot="mid", scale=1.1 * len(places) * np.hypot(u, v).max(), width=0.008)
    axes.set_aspect("equal")
    _finish(axes, title)


def _finish(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")


def draw_kernels(path: Path) -> None:
    """Kernels that SO(2) allows, and one of D4 with its four turned components."""
    figure = new_figure(7.2, 3.7)
    top, bottom = figure.subplots(2, 4)
    turning = ScaleTranslationGroup(2, num_scales=1, rotations="so2")
    for axes, kernel in zip(top[:2], kernels(1 * turning.regular), strict=True):
        show_map(axes, kernel[0], "so2: image → scalar")
    for axes, kernel in zip(top[2:], kernels(1 * turning.irrep(1)), strict=True):
        show_arrows(axes, kernel, "so2: image → vector")
    square = ScaleTranslationGroup(2, num_scales=1, rotations="c4")
    rng = np.random.default_rng(3)
    found = kernels(1 * square.quotient())
    mixed = sum(rng.normal() * kernel / np.abs(kernel).max() for kernel in found)
    for n, axes in enumerate(bottom):
        show_map(axes, mixed[n], f"c4: image → direction {n + 1} of 4")  # type: ignore[index]
    figure.savefig(path, dpi=200)


def draw_field(path: Path) -> float:
    """A network that makes vectors, of an image and of the turned image; returns the error in the picture."""
    torch.manual_seed(2)
    group = ScaleTranslationGroup(2, num_scales=1, rotations="so2")
    hidden, vectors = 4 * group.regular + 4 * group.irrep(1), 1 * group.irrep(1)
    gate = nn.Gate(hidden)
    options: dict[str, Any] = {"order": 2, "sigma": 2.0}
    first, second = (nn.GroupConv(*types, **options) for types in ((1 * group.scalar, gate.in_type), (hidden, vectors)))
    net = nn.Sequential(first, gate, second).double().eval()
    angle = radians(35.0)
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    scene = Blobs.random(1 * group.scalar, 11.0, (3.5, 5.5), count=10, seed=6)
    turned = scene.act(group.element(k=turn.tolist()))
    with torch.no_grad():
        images = [blobs.sample([centred(FIELD_SIZE)] * 2) for blobs in (scene, turned)]
        before, after = (net(x)[0].numpy() for x in images)
    figure = new_figure(7.2, 2.6)
    panels = figure.subplots(1, 3)
    moved = _turned(before, turn)
    show_arrows(panels[0], before, "f(x)", 5, images[0][0, 0].numpy())
    show_arrows(panels[1], moved, "f(x), turned by 35°", 5, images[1][0, 0].numpy())
    show_arrows(panels[2], after, "f(x turned by 35°)", 5, images[1][0, 0].numpy())
    figure.savefig(path, dpi=200)
    inner = _disc(FIELD_SIZE, 0.35 * FIELD_SIZE)
    return float(np.linalg.norm((after - moved)[:, inner]) / np.linalg.norm(after[:, inner]))


def _turned(field: Array, turn: Array) -> Array:
    """`(L_k f)(x) = k f(k⁻¹ x)`, by cubic splines."""
    centre = np.full(2, (FIELD_SIZE - 1) / 2)
    parts = [affine_transform(part, turn.T, centre - turn.T @ centre) for part in field]
    return np.asarray(np.einsum("ij,jxy->ixy", turn, np.stack(parts)))


def _disc(size: int, radius: float) -> npt.NDArray[np.bool_]:
    x = np.arange(size) - (size - 1) / 2
    return np.asarray(np.hypot(*np.meshgrid(x, x)) < radius)


# Tables


def network(rotations: str | None, seed: int, **options: Any) -> UNet:
    """A U-Net of two levels in eval mode, with the statistics of one pass over blobs."""
    torch.manual_seed(seed)
    net = UNet(3, 1, 2, (4, 4), (2,), rotations=rotations, **{**EXACT, **options})
    for module in net.modules():
        if hasattr(module, "momentum"):
            module.momentum = 1.0
    scans = Blobs.random(1 * ScaleTranslationGroup(3, num_scales=1).scalar, 4.0, batch=4, seed=5)
    with torch.no_grad():
        net.train()(scans.sample([centred(13)] * 3).float())
    return net.eval()


def random_rotation(seed: int) -> Array:
    """By no special angle about no special axis."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def errors(rotations: str | None, sigma: float, seeds: Sequence[int]) -> list[float]:
    """The worst over the seeds under a quarter turn, a mirror, a random rotation, and a step of scale."""
    field = 1 * ScaleTranslationGroup(3, num_scales=1, rotations="o3").scalar
    types: dict[str, Any] = {"in_type": field, "out_type": 2 * field}
    found = []
    for seed in seeds:
        net = network(rotations, seed, sigma=sigma)
        maps = [rotation_error(net, k.tolist(), size=13, **types).error for k in (QUARTER, MIRROR)]
        blobs = rotation_error(net, random_rotation(seed).tolist(), "blobs", **types).error
        scaled = network(rotations, seed, sigma=sigma, scale_pool=None)
        found.append([*maps, blobs, equivariance_error(scaled, 2**0.5, size=57, width=(2.0, 3.0)).per_scale])
    return [float(worst) for worst in np.array(found).max(axis=0)]


def error_table(quick: bool) -> str:
    """Errors of U-Nets of two levels, for several groups and widths of the kernels."""
    groups = ["so3"] if quick else [None, "octahedral", "full_octahedral", "so3", "o3"]
    lines = ["| rotations | sigma | 90° | mirrored | any rotation | scale √2 |", "|---|---|---|---|---|---|"]
    for rotations in groups:
        for sigma in (1.4,) if quick else (1.0, 1.4):
            cells = [f"{error:.1e}" for error in errors(rotations, sigma, range(1 if quick else 3))]
            lines.append(f"| {rotations or 'none'} | {sigma:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def weight_table() -> str:
    """Numbers in a level of 8 fields and weights of a convolution between two such levels, order 2."""
    lines = [
        "| rotations | 8 fields | numbers per point and scale | weights | weights per number² |",
        "|---|---|---|---|---|",
    ]
    for rotations in (None, "octahedral", "full_octahedral", "so3", "o3"):
        group = ScaleTranslationGroup(3, num_scales=1, rotations=rotations)
        field = turning_fields(group, 8)
        conv = nn.GroupConv(field, field, order=2, bias=False)
        weights = sum(p.numel() for p in conv.parameters())
        names = str(field) if "quotient" not in str(field) else "4*regular + 4*quotient (axes)"
        cells = [rotations or "none", f"`{names}`", field.size, weights, f"{weights / field.size**2:.2f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """The pictures, then the page."""
    options = arguments()
    torch.set_num_threads(1)
    options.results.mkdir(parents=True, exist_ok=True)
    draw_kernels(options.results / "rotations_kernels.png")
    shown = draw_field(options.results / "rotations_field.png")
    page = f"""# Networks with rotations: errors and weights

Command: `python examples/experiments/rotations.py`; it writes this page, \
`rotations_kernels.png` and `rotations_field.png`.

`UNet(3, 1, 2, (4, 4), (2,), norm="batch", padding_mode="replicate")` with two scales on Haar grids, order 2, random
weights, float64; the worst of three seeds. 90° and mirrored: white noise on 13³ voxels, nothing interpolated. Any
rotation: blobs of 2 to 2.5 voxels on 41³ voxels, compared in a ball, with the projection over the scales. Scale: the
scale channel inside the window, blobs of 2 to 3 voxels on 57³. Errors relative to the output, in the L2 norm.

{error_table(options.quick)}

{weight_table()}

Error in `rotations_field.png`, in the inner disc: {shown:.1e}.
"""
    (options.results / "rotations.md").write_text(page)
    open_console().print(page)


if __name__ == "__main__":
    main()
