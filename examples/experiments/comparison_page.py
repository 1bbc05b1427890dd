"""The page that `comparison.py` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Rows of the tables of figures, and what stands there.
ROWS = {
    "plain": "plain 3×3×3 convolutions",
    "ours": "scalegroup, four scales",
    "ours, octahedral": 'scalegroup, four scales, `rotations="octahedral"`',
    "ours, so3": 'scalegroup, four scales, `rotations="so3"`',
    "poster": "the poster as published (our version), four scales",
    "SESN": "SESN (our version), three scales",
    "escnn": "escnn, SO(3)",
    "e3nn": "e3nn, voxel convolution as it comes",
    "e3nn, alone": "e3nn, voxel convolution without its pointwise path",
}
POINTS = {
    "ours": "`PointGroupConv`, four scales",
    "ours, so3": '`PointGroupConv`, four scales, `rotations="so3"`',
    "e3nn": "e3nn, tensor product with a radial network",
}
CHANGES = ("scaled by √2", "scaled by 0.9", "turned by 90°", "turned at random")
WORKS = ("torch.export", "torch.compile, one graph", "deepcopy", "state dict the same in train and eval")
NOT = "not measured"

# What they have. Ours: docs/. The poster: its paper and code (github.com/wimmerth/scale-equivariant-3d-convnet). SESN:
# paper and code. escnn 1.0.11 and e3nn 0.6.0: their documentation and the code as installed.
FEATURES = """| | scalegroup | the poster's code | SESN | escnn | e3nn |
|---|---|---|---|---|---|
| axes of an image | 1 to 3 | 3 | 2 | 2, 3 | 3 |
| equivariant to scale | yes | yes | yes | no | no |
| equivariant to rotation | of the cube; with escnn SO(3), O(3) | no | no | SO(3), O(3) and their subgroups | O(3) |
| voxel size in mm | any, in each call | no | no | no | when a layer is built |
| point clouds | yes | no | no | yes | yes, what it is made for |
| diffusion MRI (position and q-space) | yes | no | no | no | not shipped |
| layers declare their error | yes, and tests hold them to it | no | no | no | no |
| `forward` takes | tensors | tensors | tensors | `GeometricTensor` | tensors |
| groups and bases of one's own | yes | no | no | groups | no |"""


def figures(rows: Mapping[str, Any], what: str) -> str:
    """The table of changes of a layer or of a network."""
    lines = [f"| {what} | " + " | ".join(CHANGES) + " |", "|---" * (len(CHANGES) + 1) + "|"]
    for name, title in ROWS.items():
        found = rows.get(name, {}).get("changes", {})
        cells = [f"{found[key]:.1g}" if (key := f"{what}, {change}") in found else NOT for change in CHANGES]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(rows: Mapping[str, Any]) -> str:
    """The table of weights and times."""
    lines = ["| layer between hidden fields | channels | weights | time over a plain 3×3×3 |", "|---|---|---|---|"]
    for name, title in ROWS.items():
        if name not in rows:
            lines.append(f"| {title} | {NOT} | {NOT} | {NOT} |")
            continue
        found = rows[name]["costs"]
        lines.append(f"| {title} | {found['channels']} | {found['weights']:,} | {found['time']:.2g} |")
    return "\n".join(lines)


def works(rows: Mapping[str, Any]) -> str:
    """The table of what goes through; of packages as they are, not of our versions of published code."""
    names = {"ours": "scalegroup", "escnn": "escnn", "e3nn": "e3nn"}
    lines = ["| one layer, eval mode | " + " | ".join(names.values()) + " |", "|---|---|---|---|"]
    for what in WORKS:
        cells = [("yes" if rows[name]["works"][what] else "no") if name in rows else NOT for name in names]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def points(rows: Mapping[str, Any]) -> str:
    """The table of layers on point clouds."""
    changes = ("scaled by √2", "scaled by 0.9", "turned at random", "shuffled")
    lines = [f"| layer on points | {' | '.join(changes)} | weights | ms |", "|---" * 7 + "|"]
    for name, title in POINTS.items():
        found = rows.get("points", {}).get(name, {})
        cells = [f"{found[change]:.1g}" if change in found else NOT for change in changes]
        cost = [f"{found['weights']}", f"{1e3 * found['seconds']:.2g}"] if found else [NOT, NOT]
        lines.append(f"| {title} | " + " | ".join([*cells, *cost]) + " |")
    return "\n".join(lines)


def made_by(rows: Mapping[str, Any]) -> str:
    """Where and when."""
    lines: dict[str, list[str]] = {}
    for name in ROWS:
        if name in rows:
            place = rows[name]["machine"]
            words = f"{place['processor']}, Python {place['python']}, torch {place['torch']}, {place['date'][:10]}"
            lines.setdefault(words, []).append(name)
    return "; ".join(f"{words} ({', '.join(names)})" if len(lines) > 1 else words for words, names in lines.items())


def write_page(folder: Path, rows: Mapping[str, Any]) -> str:
    """Writes `comparison.md` into a folder and returns its text."""
    text = text_of(rows)
    (folder / "comparison.md").write_text(text)
    return text


def text_of(rows: Mapping[str, Any]) -> str:
    """The page.

    Args:
        rows: what was measured, by the names of `ROWS`.
    """
    return f"""# Beside other libraries

`python examples/experiments/comparison.py --results docs/results`, on {made_by(rows)}; one thread, float32. \
escnn 1.0.11, e3nn 0.6.0.
The poster's method and SESN are our versions, made after papers and code; escnn and e3nn are the packages.
What libraries are made for differs: escnn and e3nn know nothing of scale and do not claim to, and SESN is for images.
Their rows say what happens if they meet scaled volumes all the same.

## What they have

{FEATURES}

Tried with the installed packages:

{works(rows)}

With the versions above; escnn's layer in a wrapper that takes tensors. escnn has `export()` to plain PyTorch modules,
which is not tried here.

Which for what: for images and volumes whose objects or voxels differ in size, this library. For molecules, and wherever
fields of high degree turn, e3nn. For images that turn, and for subgroups of rotations and mirrorings in all their
variety, escnn; its groups work inside this library too ({{doc}}`/howto/escnn`).

## How much the output changes

Relative change `‖f(g x) − g f(x)‖ / ‖f(x)‖` under a transformation g, random weights, no biases, the mean of three
seeds. Scaling: Gaussian blobs of 2 to 3 voxels on 48³, of the worst scale channel inside the window; a library without
scales: of its maps. The step of the scales is the factor, √2 or 1/0.9 (the two directions compare the same pair of
inputs). 90°: white noise on 17³. At random: blobs on 41³. Kernels of escnn and e3nn are 9 voxels wide, as ours are at
scale 1. One layer makes 4 maps of an image; the network has a layer, an activation, and a layer. e3nn adds a pointwise
path to its convolution, which no scaling and no rotation changes, and which is much larger than the convolution before
training: the last row is without it. The published steps of the poster's scales are 1/0.9; at √2 its narrowest kernels
are a third of a voxel wide.

{figures(rows, "layer")}

{figures(rows, "network")}

Errors below 1e-5 are those of float32 and of the comparison itself. What the tables leave out: after a projection over
the finite window of scales a network of ours changes by 5 to 50 % under a step of √2
([accuracy](accuracy.md)), and so do the others that have scales.

## On points

One layer from a cloud of 500 points in a cube to 4 maps, float64, relative changes in the L2 norm, the mean of three
seeds. e3nn's parts are put together as its guide does it (harmonics of the edges, a radial network on ten functions of
the distance, one radius); ours looks at four scales, of which the smallest has the same radius. Times are of one call,
with the search for neighbours; the largest of our scales sees most of the cloud.

{points(rows)}

## What it costs

Eight hidden fields on every scale (with rotations eight numbers and eight vectors), 24³ voxels, no gradient; the
time over that of an ordinary 3×3×3 convolution with as many channels, fastest of five runs in turns. An
ordinary layer mixes all channels with all, layers with scales mix those of one scale: beside one plain convolution for
each scale ours takes .9 to 1.5 of the time ([speed](speed.md)). escnn keeps its kernel in eval mode, e3nn makes it in
each call.

{costs(rows)}

More: [published methods](methods.md), [our convolution beside escnn's](escnn_cost.md), [accuracy](accuracy.md),
[point clouds](points.md), [speed](speed.md).
"""
