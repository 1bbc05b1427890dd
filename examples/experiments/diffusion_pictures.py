"""The pictures of tutorial 10 (docs/tutorials/): what dilations do to six dimensions, and a scan as a field on them.

python examples/experiments/diffusion_pictures.py --results docs/results
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import scalegroup as sg
from scalegroup.data import diffusion_phantom, fractional_anisotropy
from scalegroup.visual import new_figure

TITLES = {
    "p": 'acts_on="p"\na larger object, tissue as before',
    "q": 'acts_on="q"\nslower diffusion',
    "joint": 'acts_on="joint"\nthe same tissue, magnified',
}


def signal(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Two tissues side by side, one of fast and one of slow diffusion."""
    fast, slow = np.exp(-((p + 1.2) ** 2)), np.exp(-((p - 1.2) ** 2))
    return np.asarray(fast * np.exp(-6 * q**2) + slow * np.exp(-1.5 * q**2))


def draw_dilations(path: Path) -> None:
    """A signal over one axis of p and one of q, and where a dilation by √2 of each group takes it."""
    p, q = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-1.5, 1.5, 121), indexing="ij")
    figure = new_figure(8.4, 2.5)
    panels = figure.subplots(1, 4, sharey=True)
    images = {"signal E(p, q)": signal(p, q)}
    for acts_on, title in TITLES.items():
        back = ~sg.DiffusionGroup(acts_on, dim=1).element(s=2**0.5)
        images[title] = signal(back.act(p[..., None])[..., 0], back.act_q(q[..., None])[..., 0])
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        axes.imshow(image.T, origin="lower", extent=(-5, 5, -1.5, 1.5), aspect="auto", cmap="magma", vmin=0, vmax=1)
        axes.contour(p, q, images["signal E(p, q)"], levels=[0.3], colors="white", linewidths=0.8, linestyles=":")
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("position p", fontsize=8)
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("q = sqrt(b / b_ref)", fontsize=8)
    figure.savefig(path, dpi=160)


def draw_scan(path: Path) -> None:
    """The phantom: one slice along two gradients and its anisotropy, and the samples of q-space with two voxels."""
    scan = diffusion_phantom((32, 32, 16), directions=32)
    along_x, along_z = (1 + int(np.argmax(np.abs(scan.gradients[1:, axis]))) for axis in (0, 2))
    maps = {
        "signal, gradient along x": scan.signal[along_x, :, :, 8],
        "signal, gradient along z": scan.signal[along_z, :, :, 8],
        "anisotropy (dipy)": fractional_anisotropy(scan)[:, :, 8],
    }
    figure = new_figure(9.6, 2.6)
    shape = figure.add_gridspec(1, 5)
    for column, (title, image) in enumerate(maps.items()):
        axes = figure.add_subplot(shape[column])
        axes.imshow(image.T, origin="lower", cmap="gray", vmin=0, vmax=1 if column == 2 else 0.8)
        for name, (x, y) in VOXELS.items():
            axes.plot(x, y, "o", markersize=4, markerfacecolor="none", color=COLOURS[name])
        axes.set_title(title, fontsize=8)
        axes.axis("off")
    for column, (name, place) in enumerate(VOXELS.items(), start=3):
        _draw_samples(figure.add_subplot(shape[column], projection="3d"), scan, name, place)
    figure.savefig(path, dpi=160)


VOXELS = {"ring of fibres": (25, 16), "tissue": (16, 21)}
COLOURS = {"ring of fibres": "#D55E00", "tissue": "#0072B2"}


def _draw_samples(axes: Any, scan: Any, name: str, place: tuple[int, int]) -> None:
    """The samples of one voxel where they are in q-space, and at their antipodes; darker for less signal."""
    q, values = scan.q(), scan.signal[:, place[0], place[1], 8]
    both = np.concatenate([q, -q])
    axes.scatter(*both.T, c=np.tile(values, 2), cmap="viridis", vmin=0, vmax=0.8, s=14, depthshade=False)
    axes.set_title(f"q-space of a voxel:\n{name}", fontsize=8, color=COLOURS[name])
    axes.set_box_aspect((1, 1, 1), zoom=0.85)
    for axis, label in zip((axes.xaxis, axes.yaxis, axes.zaxis), "xyz", strict=True):
        axis.set_ticks([-1, 0, 1])
        axis.set_tick_params(labelsize=6, pad=-3)
        axis.set_label_text(f"q{label}", fontsize=7)
        axis.labelpad = -9


def main() -> None:
    """Both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the pictures")
    folder = parser.parse_args().results
    folder.mkdir(parents=True, exist_ok=True)
    draw_dilations(folder / "diffusion_dilations.png")
    draw_scan(folder / "diffusion_phantom.png")


if __name__ == "__main__":
    main()
