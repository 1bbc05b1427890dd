"""Page and picture of `diffusion.py`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scalegroup.visual import new_figure

Array = npt.NDArray[np.float32]
SLICE = 5  # of the volume; through the front of the corpus callosum


def table(rows: Sequence[Mapping[str, Any]], measure: str) -> str:
    """Networks as rows, conditions as columns: mean over seeds and subsets, and how far the seeds' means differ."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    lines = [f"| | {' | '.join(conditions)} |", "|---" * (1 + len(conditions)) + "|"]
    for network in dict.fromkeys(row["network"] for row in rows):
        cells = []
        for condition in conditions:
            own = [row for row in rows if row["network"] == network and row["condition"] == condition]
            means = [
                np.mean([float(row[measure]) for row in own if row["seed"] == seed])
                for seed in dict.fromkeys(row["seed"] for row in own)
            ]
            spread = f" ± {np.ptp(means) / 2:.3f}" if len(means) > 1 else ""
            cells.append(f"{np.mean(means):.3f}{spread}" if means else "cannot")
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: Path, truth: Array, found: Mapping[str, Array], mask: npt.NDArray[np.bool_]) -> None:
    """One slice: the truth, what each network makes of it, and its error."""
    place = tuple(slice(indices.min(), indices.max() + 1) for indices in np.nonzero(mask[:, :, SLICE]))
    inside = mask[:, :, SLICE][place]
    figure = new_figure(1.9 * (1 + len(found)), 2.5)
    panels = figure.subplots(2, 1 + len(found), squeeze=False)
    style = {"origin": "lower", "interpolation": "nearest"}
    for column, (name, volume) in enumerate({"all 16 directions": truth, **found}.items()):
        image = np.where(inside, volume[:, :, SLICE][place], np.nan).T
        shown = panels[0, column].imshow(image, "gray", vmin=0, vmax=1, **style)
        panels[0, column].set_title(name, fontsize=8)
        if column:
            off = np.where(inside, (volume - truth)[:, :, SLICE][place], np.nan).T
            error = panels[1, column].imshow(off, "RdBu_r", vmin=-0.3, vmax=0.3, **style)
    for axes in panels.flat:
        axes.axis("off")
    for image, row, label in ((shown, 0, "FA"), (error, 1, "error")):
        bar = figure.colorbar(image, ax=panels[row], shrink=0.9)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    figure.savefig(path, dpi=160)


READING = """From 8 directions ours is ahead of dipy's fit, with other directions in every test: it has learned what the
voxels around say. The plain networks are far behind: the one is not told the directions, the other has to learn each of
the 16 by itself. **From 6 directions ours fails as the fit does**: where 6 hardly determine a tensor, its first layer,
whose sums over q-space are fits with a small ridge (`q_ridge`), amplifies noise as the tensor's fit does, and it has
not seen that in training. From 12 the fit is ahead: it is the very model of the truth, and shares nearly all of its
noise. Order does not matter, by construction. Turning through the plane and rescaling, which training has not shown,
cost nothing to speak of; a rescaled truth is smoother and easier for all, as the median shows. *plain, slots* has
learned with nine channels filled, and fails with thirteen."""


def write_page(
    folder: Path, rows: Sequence[Mapping[str, Any]], facts: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> Path:
    """The results as a page of the documentation."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("scalegroup", "torch", "monai", "dipy"))
    networks = dict.fromkeys(fact["network"] for fact in facts)
    costs = "; ".join(
        f"{name}: {next(fact['weights'] for fact in facts if fact['network'] == name):,}, "
        f"{np.mean([fact['minutes'] for fact in facts if fact['network'] == name]):.1f}"
        for name in networks
    )
    text = f"""# Fractional anisotropy from 8 of 16 directions

Command: `python examples/experiments/diffusion.py --seeds {" ".join(map(str, about["seeds"]))} \
--steps {about["steps"]}`; it writes
this page, `diffusion.csv` (one row per network, seed, condition and subset) and the picture.
{versions}; {platform.machine()}, one thread.

One scan, `../shared/data/dwi`: 16 directions at b = 928 s/mm² and one b=0 image, 64×64×20 voxels of 3.5×3.5×4.2 mm.
To be told is the map of fractional anisotropy (FA) that dipy's `TensorModel` (weighted least squares) fits to all of
them, from 8 of the 16. **There is one head only**: networks learn on its back ({about["voxels"][0]:,} voxels of brain)
and are tested on its front ({about["voxels"][1]:,}), each cut out as a volume of its own with 4 voxels (14 mm) between
that nobody sees. Every training step draws another subset in another order; the 5 tested subsets are none of these, and
are the same for all networks. What a network is told from 8 directions and the truth from 16 share their noise.

Mean over subsets and seeds, ± half the difference of the seeds. Weights, and minutes of one core per run:
{costs}.

Mean absolute error of FA in the brain:

{table(rows, "mae")}

Correlation with the truth in the brain:

{table([row for row in rows if float(row["correlation"])], "correlation")}

![FA of a test slice by all networks, and their errors](diffusion.png)

- *ours*: `models.DiffusionUNet` on positions and q-vectors, with
  `{about["settings"]}`:
  the first layer gathers all samples of a voxel at q = 0, and its result also goes past the U-Net, since anisotropy is
  as fine as the voxels and kernels of sigma = 1 would blur it away.
- *plain, channels*: MONAI's U-Net on b=0 and eight channels in the order in which the directions come. It is not told
  which they are, and cannot take other numbers of them.
- *plain, slots*: the same with one channel for each of the 16 directions, zero where it is missing: it can learn what
  each direction is, for this series alone, and has nothing to say on another set of gradients.
- *dipy, tensor fit*: the model that the truth is made with, from the same samples. Six random directions at times
  barely determine a tensor.
- *turned*: volume and gradients by 90°, in the plane of the slices or out of it (voxels are 3.5 mm in the plane, 4.2 mm
  through it). *rescaled*: the intensities, by `DiffusionScan.rescale`; the truth is fitted to the rescaled series.

All networks have two levels and about as many weights, and learn by AdamW with a one-cycle schedule up to 0.01 on one
patch of 12³ voxels per step. The plain ones take ten times as many steps. Patches are mirrored and turned at random in
the plane of the slices, gradients with them, but for *plain, slots*, whose channels stand for directions. Nothing was
rescaled or turned through the plane in training. Sizes, rates and widths were chosen on the training half alone, its
front six planes apart from the rest: there these settings of ours had a correlation of .954 with the truth, three other
kinds .84 to .92, and the fit .935. (A first trial of the plain networks, with few steps, and one of a similar network
of ours were seen on the test half.)

{READING}"""
    path = folder / "diffusion.md"
    path.write_text(text.rstrip() + "\n")
    return path
