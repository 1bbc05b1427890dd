"""What was chosen for `scale_channels.py`, and by what: networks, projections, ways to find the window of scales.

    python examples/experiments/scale_channels_choices.py --root ../shared/data/Task04_Hippocampus

Exploration: 10 training and 10 validation volumes of the split with seed 5, none of which `scale_channels.py` tests
on; 300 steps, one seed. A trained network is kept and not trained again. Writes `scale_channels_choices.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scale_channels_page import table
from scale_windows import (
    BASE,
    SHIFTS,
    Head,
    OneScaleAtATime,
    Scores,
    agreement,
    dice,
    features,
    fit_head,
    known_shift,
    labels_of,
    mean_scores,
    phases_at_random,
    without_object,
)
from torch import Tensor

from scalegroup.data import Decathlon, Scan, load, rescale
from scalegroup.data.rescale import Canvas, rescale_label
from scalegroup.models import Projection
from scalegroup.models.projection import foreground_confidence
from scalegroup.models.scale_selection import select_window
from scalegroup.training import DataConfig, ModelConfig, Segmentation, SegmentationData, TrainerConfig, fit
from scalegroup.training.run import Reseed, quiet_lightning

FACTORS = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6)
COLUMNS: tuple[tuple[float, Canvas], ...] = (
    *((factor, "proportional") for factor in FACTORS),
    *((factor, "fixed") for factor in (0.5, 0.63, 1.6)),
)
Columns = Sequence[tuple[float, Canvas]]
MEAN = {"projection": "mean"}
FIRST = ModelConfig("channels", (16, 32, 64), (2, 2), options=MEAN)
NETWORKS: dict[str, tuple[ModelConfig, dict[str, Any]]] = {
    "first guess: SiLU, runs of 3, rate .01": (FIRST, {}),
    "PReLU (chosen)": (replace(FIRST, act="prelu"), {}),
    "rate .003": (FIRST, {"learning_rate": 0.003}),
    "750 steps": (FIRST, {"max_epochs": 75}),
    "runs of 1": (replace(FIRST, options={**MEAN, "train_scales": 1}), {}),
    "all 6 scales in each step": (replace(FIRST, options={**MEAN, "train_scales": 6}), {}),
    "cheap runs more often": (replace(FIRST, options={**MEAN, "run_weights": "cheap"}), {}),
    "projection logsumexp": (replace(FIRST, options={"projection": "logsumexp"}), {}),
    "projection attention": (replace(FIRST, options={"projection": "attention"}), {}),
    "batch norm": (replace(FIRST, norm="batch"), {}),
    "four levels, rate .005": (replace(FIRST, channels=(16, 32, 64, 128), strides=(2, 2, 2)), {"learning_rate": 0.005}),
    "zoom 0.7 … 1.4": (FIRST, {"zoom": (0.7, 1.4)}),
    "PReLU, zoom 0.7 … 1.4": (replace(FIRST, act="prelu"), {"zoom": (0.7, 1.4)}),
    "PReLU, zoom 0.5 … 1.6": (replace(FIRST, act="prelu"), {"zoom": (0.5, 1.6)}),
    "PReLU, resolution 0.5 … 1 (chosen, too)": (replace(FIRST, act="prelu"), {"coarsen": 0.5}),
    "admissible: less a blur of 4 samples": (FIRST, {}),
}
CHOSEN, ADMISSIBLE = "PReLU (chosen)", "admissible: less a blur of 4 samples"
MODES = ("mean", "taper", "logsumexp", "max", "mixture", "voxel_confidence", "volume_confidence")
WIDE_MODES = ("mean", "taper", "volume_confidence")


class LessBlur(torch.nn.Module):
    """`x` minus `x` blurred by a Gaussian of a fixed width in samples: on every grid in proportion to its scale."""

    kernel: Tensor

    def __init__(self, width: float = 4.0) -> None:
        super().__init__()
        self.radius = round(3 * width)
        taps = torch.exp(-0.5 * (torch.arange(-self.radius, self.radius + 1) / width) ** 2)
        self.register_buffer("kernel", taps / taps.sum(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The shape of `x`."""
        channels, blurred = x.shape[1], x
        for axis in range(2, 5):
            shape = [1, 1, 1, 1, 1]
            shape[axis] = -1
            pads = [self.radius if axis == 4 - i // 2 else 0 for i in range(6)]
            kernel = self.kernel.reshape(shape).repeat(channels, 1, 1, 1, 1)
            blurred = F.conv3d(F.pad(blurred, pads, "replicate"), kernel, groups=channels)
        return x - blurred


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--runs", type=Path, default=Path("runs/scale_channels_choices"), help="checkpoints")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--quick", action="store_true", help="two tiny networks, one epoch: does it run?")
    return parser.parse_args()


@dataclass(frozen=True)
class Setting:
    """The data and the size of an exploration."""

    data: DataConfig
    runs: Path
    quick: bool

    @property
    def columns(self) -> Columns:
        """Factors and canvases of the tests."""
        return COLUMNS[::3] if self.quick else COLUMNS

    @property
    def proportional(self) -> Columns:
        """Those whose canvas grows with the content."""
        return [column for column in self.columns if column[1] == "proportional"]

    def scans(self, part: str) -> list[Scan]:
        """The scans of one part of the split."""
        return [load(case) for case in getattr(self.data.split(), part)]

    def folder(self, name: str) -> Path:
        """What belongs to a network."""
        return self.runs / "".join(letter if letter.isalnum() else "-" for letter in name)

    def trained(self, name: str) -> OneScaleAtATime:
        """A network by its name, from its checkpoint or trained now."""
        model, changes = NETWORKS[name]
        changes = {"max_epochs": 30, **changes}
        if self.quick:
            model, changes = replace(model, channels=(2, 4), strides=(2,)), {**changes, "max_epochs": 1}
        trainer = TrainerConfig(**{"batch_size": 1, **changes})
        out = self.folder(name)
        if name == ADMISSIBLE:
            return OneScaleAtATime(self._admissible(model, trainer, out).network)  # type: ignore[arg-type]
        return OneScaleAtATime(Segmentation.load(fit(self.data, model, trainer, out)).network)  # type: ignore[arg-type]

    def _admissible(self, model: ModelConfig, trainer: TrainerConfig, out: Path) -> Segmentation:
        """By hand, as a configuration knows no such network; the last weights, not the best."""
        lightning.seed_everything(trainer.seed, verbose=False)
        module: Any = Segmentation(model, trainer, Decathlon(self.data.root).classes, 1)
        module.network.backbone = torch.nn.Sequential(LessBlur(), module.network.backbone)
        kept = out / "weights.pt"
        if kept.is_file():
            module.load_state_dict(torch.load(kept, weights_only=True))
            return module.eval()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        with quiet_lightning():
            lightning.Trainer(
                accelerator="cpu",
                max_epochs=trainer.max_epochs,
                limit_val_batches=0,
                enable_checkpointing=False,
                callbacks=[Reseed(trainer.seed)],
                **quiet,
            ).fit(module, SegmentationData(self.data.split(), trainer))
        out.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), kept)
        return module.eval()


Table = dict[str, list[list[float]]]  # for each line and column the Dice of every volume


def compared(setting: Setting, names: Sequence[str]) -> Table:
    """Each network on its own window, on the one moved by the known factor, and its ideal."""
    lines: Table = {}
    for name in names:
        net = setting.trained(name)
        kept = setting.folder(name) / "dice.json"
        if not kept.is_file():
            kept.write_text(json.dumps(on_known_windows(net, setting.scans("validation"), setting.proportional)))
        for what, cells in json.loads(kept.read_text()).items():
            lines[name + what] = cells
    return lines


def on_known_windows(net: OneScaleAtATime, scans: Sequence[Scan], columns: Columns) -> Table:
    """Three lines: Dice on the network's window, on the moved one, and of the ideal."""
    project: Any = net.network.projection
    lines: Table = {what: [[] for _ in columns] for what in ("", ": moved", ": ideal")}
    for scan in scans:
        with torch.inference_mode():
            at_one = labels_of(project(Scores(net, scan.image).window(0)))[0].numpy().astype(np.uint8)
            for i, (factor, canvas) in enumerate(columns):
                image, label = rescale(scan.image, scan.label, factor, canvas)
                scores = Scores(net, image)
                for what, shift in (("", 0), (": moved", known_shift(factor))):
                    lines[what][i].append(dice(labels_of(project(scores.window(shift)))[0], label))
                lines[": ideal"][i].append(dice(torch.from_numpy(rescale_label(at_one, factor, canvas)), label))
    return lines


class Candidates:
    """The windows at all shifts of one scan: what they predict, and scores by which to choose."""

    def __init__(self, scores: Scores, shifts: Sequence[int] = SHIFTS) -> None:
        self.windows = {shift: scores.window(shift) for shift in shifts}
        self.predicted = {shift: labels_of(mean_scores(window))[0] for shift, window in self.windows.items()}

    def dice(self, label: npt.NDArray[np.uint8], shift: int) -> float:
        """Dice of the prediction."""
        return dice(self.predicted[shift], label)

    def confidence(self, shift: int) -> float:
        """Mean probability of the predicted foreground."""
        return float(foreground_confidence(mean_scores(self.windows[shift])))

    def neighbours(self, shift: int) -> float:
        """Mean Dice between the predictions of this window and of those beside it."""
        beside = [other for other in (shift - 1, shift + 1) if other in self.predicted]
        return float(np.mean([dice(self.predicted[shift], self.predicted[other]) for other in beside]))

    def scales(self, shift: int) -> float:
        """Mean Dice between the predictions of the window's scales and its own."""
        return float(np.mean(agreement(self.windows[shift])))


def searched(net: OneScaleAtATime, heads: tuple[Head, Head], scans: Sequence[Scan], columns: Columns) -> Table:
    """Dice of the windows that each score chooses."""
    lines: Table = {}
    for scan in scans:
        for i, (factor, canvas) in enumerate(columns):
            image, label = rescale(scan.image, scan.label, factor, canvas)
            scores = Scores(net, image)
            tried = Candidates(scores)
            ways: dict[str, Callable[[], int]] = {
                "confidence": lambda tried=tried: max(SHIFTS, key=tried.confidence),
                "confidence, climbing": lambda scores=scores: int(
                    select_window(scores, 6, mean_scores, SHIFTS, climb=True)[1]
                ),
                "confidence, every second step": lambda tried=tried: max(SHIFTS[::2], key=tried.confidence),
                "agreement of neighbouring windows": lambda tried=tried: max(SHIFTS, key=tried.neighbours),
                "agreement of the window's scales": lambda tried=tried: max(SHIFTS, key=tried.scales),
                "head: confidence and agreement (chosen)": lambda scores=scores: heads[0](features(scores.window(0))),
                "head: and predicted size": lambda scores=scores: heads[1](features(scores.window(0), 0, True)),
                "known factor": lambda factor=factor: known_shift(factor),
                "best for the truth, not to be had": lambda tried=tried, label=label: max(
                    SHIFTS, key=partial(tried.dice, label)
                ),
            }
            for name, way in ways.items():
                lines.setdefault(name, [[] for _ in columns])[i].append(dice(tried.predicted[way()], label))
            if canvas == "proportional":
                between = Candidates(Scores(net, image, spacing=BASE**-0.5), SHIFTS[:-1])
                both = [
                    (own.confidence(shift), own.predicted[shift]) for own in (tried, between) for shift in own.windows
                ]
                best = max(both, key=lambda pair: pair[0])[1]
                lines.setdefault("confidence, half steps", [[] for _ in columns])[i].append(dice(best, label))
    return lines


def projected(net: OneScaleAtATime, scans: Sequence[Scan], columns: Columns) -> Table:
    """Dice of other projections and wider windows at test time."""
    lines: Table = {}
    for scan in scans:
        for i, (factor, canvas) in enumerate(columns):
            image, label = rescale(scan.image, scan.label, factor, canvas)
            scores = Scores(net, image)
            for first, count in ((0, 6), (-1, 8), (-2, 10)):
                for mode in MODES if count == 6 else WIDE_MODES:
                    with torch.inference_mode():
                        labels = labels_of(Projection(mode)(scores.window(first, count)))[0]
                    name = f"{first - 2} … {first - 3 + count}, {mode}"
                    lines.setdefault(name, [[] for _ in columns])[i].append(dice(labels, label))
    return lines


def emptied(net: OneScaleAtATime, scans: Sequence[Scan]) -> str:
    """Confidence and agreement with and without an object."""
    lines, draw = [], np.random.default_rng(0)
    kinds: dict[str, Callable[[Scan], Any]] = {
        "scans as they are": lambda scan: scan.image,
        "half as large, window moved": lambda scan: rescale(scan.image, scan.label, 0.5)[0],
        "object replaced": lambda scan: without_object(scan, draw),
        "phases at random": lambda scan: phases_at_random(scan, draw),
    }
    for name, image in kinds.items():
        rows = []
        for scan in scans:
            tried = Candidates(Scores(net, image(scan)))
            shift = max(SHIFTS, key=tried.confidence)
            still, moved = (int((tried.predicted[s] > 0).sum()) for s in (0, shift))
            rows.append((still, moved, tried.confidence(shift), tried.scales(shift)))
        still, moved, sure, agreed = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
        ranges = [f"{values.min():.2f} … {values.max():.2f}" for values in (sure, agreed)]
        lines.append([name, f"{still.mean():.0f}", f"{moved.mean():.0f}", *ranges])
    return table(
        ["", "foreground voxels, not moved", "moved by confidence", "confidence", "agreement of scales"], lines
    )


def dice_lines(lines: Table, columns: Columns) -> str:
    """Means over the volumes."""
    header = [f"{factor:g}" if canvas == "proportional" else f"{factor:g} fixed" for factor, canvas in columns]
    rows = [[name, *(f"{np.mean(cell):.3f}" if cell else "–" for cell in cells)] for name, cells in lines.items()]
    return table(["factor", *header], rows)


def main() -> None:
    """All of it, then the page."""
    options = arguments()
    data = DataConfig("hippocampus", options.root, train=10, validation=10, test=8, seed=5)
    names = list(NETWORKS)
    if options.quick:
        data, names = replace(data, train=1, validation=1, test=1), [CHOSEN, ADMISSIBLE]
    setting = Setting(data, options.runs, options.quick)
    torch.set_num_threads(1)
    networks = dice_lines(compared(setting, names), setting.proportional)
    net, held_out, learnt = setting.trained(CHOSEN), setting.scans("validation"), setting.scans("train")
    heads = (fit_head(net, learnt), fit_head(net, learnt, volume=True))
    with torch.inference_mode():
        ways = dice_lines(searched(net, heads, held_out, setting.columns), setting.columns)
        projections = dice_lines(projected(net, held_out, setting.proportional), setting.proportional)
        nothing = emptied(net, held_out)
    options.results.mkdir(parents=True, exist_ok=True)
    text = TEXT.format(networks=networks, ways=ways, projections=projections, nothing=nothing)
    (options.results / "scale_channels_choices.md").write_text(text)


TEXT = """# ScaleChannels: what was chosen, and by what

Command: `python examples/experiments/scale_channels_choices.py`. Hippocampus, 10 training volumes, 300 steps \
(unless the name says
otherwise), one seed; hard Dice, mean of both classes over 10 validation volumes of the split with seed 5, rescaled by
the factor, the canvas with it or fixed. None of these volumes is among those of the test in
[scale_channels.md](scale_channels.md). One seed: differences below .01 mean little.

What it says: instance norm and PReLU, as MONAI's U-Net has them, are better than batch norm and SiLU; runs of one,
three or all six scales end alike, and the fewer the cheaper; a training with zoom makes the unmoved window better
and the moved one no better; subtracting a blur (an admissible input) brings nothing here, nor do attention and
log-sum-exp in training. Every score finds the window; half steps between the candidates add at most .005, every
second step loses at most .006; size is no better a guide than confidence and agreement. With the plain mean a wider
window is worse. Weighted by each scale's confidence in the volume it needs no search at all, and the window may be
wider. The scales of a window agree where there is an object, and not where there is none; confidence alone tells
them apart less clearly.

## Networks

Lines: the window -2 … 3 of training; moved by the known factor; the ideal, which is the prediction at factor 1,
rescaled as the labels are, against the rescaled truth.

{networks}

## Which window, if the factor is not known

The network marked as chosen. Candidates are the windows moved by -2 … 2 steps; "climbing" tries finer ones only as long
as they are surer.

{ways}

## Projections and wider windows at test time

The same network, trained with the mean. Windows from the finest to the coarsest scale, in steps of √2 from the voxel.

{projections}

## Volumes without an object

{nothing}
"""

if __name__ == "__main__":
    main()
