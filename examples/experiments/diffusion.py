"""Fractional anisotropy from 8 of 16 gradient directions: a network on positions and q-vectors beside plain ones.

    python examples/experiments/diffusion.py --root ../shared/data/dwi

What dipy fits to all 16 directions is to be told from 8 of them, another 8 in every training step and others in the
test. There is one scan: networks learn on the back of the head and are tested on the front, with a gap between that
nobody sees. Every finished run leaves its measurements under `--runs` and is not repeated. `--part memory` measures
one forward pass and one training step on the whole series instead.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusion_memory import write_memory
from diffusion_page import draw, write_page
from torch import Tensor, nn

import scalegroup as sg
from scalegroup.data import DiffusionScan, fractional_anisotropy, read_diffusion
from scalegroup.training import ModelConfig, parameter_count
from scalegroup.training.models import build_model, match_parameters
from scalegroup.training.report import open_console, progress_bar, write_csv

Array = npt.NDArray[np.float32]
SERIES = "dti_tra_dir16_AP_9_134431.nii.gz"
TRAINED, TESTED = slice(0, 34), slice(38, 64)  # of the second axis, from back to front; 4 voxels, 14 mm, between
DIRECTIONS, ALL = 8, 16
DRAWS = 5  # subsets of directions for each test
PATCH = 12
RATE = 1e-2
IN_PLANE = ((0, -1, 0), (1, 0, 0), (0, 0, 1))  # a quarter turn in the plane of the slices, whose voxels are square
THROUGH = ((1, 0, 0), (0, 0, -1), (0, 1, 0))  # a quarter turn of the slices, which are 4.2 mm apart


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/dwi"))
    parser.add_argument("--runs", type=Path, default=Path("runs/diffusion"), help="measurements of finished runs")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of page, table and picture")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--part", choices=("task", "memory"), default="task")
    parser.add_argument("--quick", action="store_true", help="two steps, tiny networks: does it run?")
    return parser.parse_args()


# The task


@dataclass(frozen=True)
class Sample:
    """What a network is given: some samples of a scan, where they are in q-space, and which of the series they are."""

    signal: Tensor  # (1, samples, *space)
    q: Tensor  # (samples, 3)
    slots: tuple[int, ...]

    @classmethod
    def of(cls, scan: DiffusionScan, slots: Sequence[int]) -> Sample:
        """These samples of a scan, in this order."""
        few = scan.subset(slots)
        return cls(torch.from_numpy(few.signal)[None], torch.from_numpy(few.q()).float(), tuple(slots))


@dataclass(frozen=True)
class Condition:
    """One kind of test."""

    directions: int = DIRECTIONS
    change: Callable[[DiffusionScan], DiffusionScan] = lambda scan: scan
    shuffled: bool = False


CONDITIONS = {
    "as trained": Condition(),
    "order shuffled": Condition(shuffled=True),
    "6 directions": Condition(6),
    "12 directions": Condition(12),
    "turned in plane": Condition(change=lambda scan: scan.turn(IN_PLANE)),
    "turned through plane": Condition(change=lambda scan: scan.turn(THROUGH)),
    "rescaled by 0.75": Condition(change=lambda scan: scan.rescale(0.75)),
    "rescaled by 1.5": Condition(change=lambda scan: scan.rescale(1.5)),
}


def subsets(directions: int, draws: int) -> list[tuple[int, ...]]:
    """The tested subsets: b=0 and some directions, the same for all networks."""
    rng = np.random.default_rng(directions)
    return [(0, *(1 + rng.permutation(ALL)[:directions]).tolist()) for _ in range(draws)]


Lesson = tuple[Sample, Tensor, Tensor]  # what is seen, what is to be told, and where


def lessons(scan: DiffusionScan, truth: Array, seed: int, size: int) -> Iterator[Lesson]:
    """Patches with 8 random directions in random order, none a subset of the test; their anisotropy and mask."""
    rng = np.random.default_rng(seed)
    kept = {frozenset(slots) for slots in subsets(DIRECTIONS, DRAWS)}
    while True:
        slots = [0, *(1 + rng.permutation(ALL)[:DIRECTIONS]).tolist()]
        starts = [int(rng.integers(0, n - size + 1)) for n in scan.mask.shape]
        place = tuple(slice(start, start + size) for start in starts)
        if frozenset(slots) not in kept and scan.mask[place].mean() > 0.2:
            part = scan.crop(place)
            yield Sample.of(part, slots), torch.from_numpy(truth[place]), torch.from_numpy(part.mask)


def turned(lesson: Lesson, rng: np.random.Generator) -> Lesson:
    """The patch and its gradients mirrored and turned by quarter turns in the plane of the slices, at random."""
    sample, *maps = lesson
    axes = [axis for axis in range(3) if rng.random() < 0.5]
    order = [1, 0, 2] if rng.random() < 0.5 else [0, 1, 2]
    signs = torch.tensor([-1.0 if axis in axes else 1.0 for axis in range(3)])
    signal = sample.signal.flip([2 + axis for axis in axes]).permute(0, 1, *(2 + axis for axis in order))
    target, mask = (each.flip(axes).permute(order) for each in maps)
    return Sample(signal, (sample.q * signs)[:, order], sample.slots), target, mask


# The networks


class Ours(nn.Module):
    """A network on positions and q-vectors.

    Args:
        quick: a tiny one.
    """

    # As fine as voxels: Gaussians of 0.6 voxels would leave a correlation of 0.92 of the true map with itself.
    SETTINGS: Mapping[str, Any] = {
        "sigma": 0.5,
        "first": -1,
        "num_scales": 2,
        "strides": (1,),
        "q_pool": "origin",
        "q_sigma": 1.0,
        "q_ridge": 1e-3,
        "voxelwise": True,
    }
    turns, patience = True, 1

    def __init__(self, quick: bool) -> None:
        super().__init__()
        sizes = ((2,), (2, 2)) if quick else ((32,), (16, 16))
        self.network = sg.models.DiffusionUNet(1, *sizes, **self.SETTINGS)

    def forward(self, sample: Sample) -> Tensor:
        """Anisotropy of shape `(*space)`."""
        found: Tensor = self.network(sample.signal, sample.q)
        return found[0, 0]


class Plain(nn.Module):
    """MONAI's U-Net on the samples as channels, of about as many weights as ours, and with ten times as many steps.

    Args:
        quick: a tiny one.
        slots: False: b=0 and eight channels, in the order in which the directions come; it cannot take other numbers of
            them. True: one channel for each direction of the series, zero where it is missing.
    """

    patience = 10  # steps for one of ours, which costs several times as much

    def __init__(self, quick: bool, slots: bool) -> None:
        super().__init__()
        self.slots, self.channels = slots, 1 + (ALL if slots else DIRECTIONS)
        self.turns = not slots  # a turned volume would have other directions than those its channels stand for
        plain = ModelConfig("plain", (1, 2), (2,), norm="batch", act="prelu")
        target = parameter_count(Ours(quick))
        self.network = build_model(match_parameters(plain, target, self.channels, 1), self.channels, 1)

    def forward(self, sample: Sample) -> Tensor:
        """Anisotropy of shape `(*space)`."""
        x, space = sample.signal, sample.signal.shape[2:]
        if self.slots:
            x = x.new_zeros(1, self.channels, *space).index_copy(1, torch.tensor(sample.slots), x)
        margins = [n % 2 for n in space]
        padded = nn.functional.pad(x, [m for margin in reversed(margins) for m in (0, margin)])
        found: Tensor = self.network(padded)
        return found[0, 0, : space[0], : space[1], : space[2]]


NETWORKS: Mapping[str, Callable[[bool], Ours | Plain]] = {
    "ours": Ours,
    "plain, channels": lambda quick: Plain(quick, slots=False),
    "plain, slots": lambda quick: Plain(quick, slots=True),
}


def train(net: Ours | Plain, found: Iterator[Lesson], steps: int, seed: int, name: str) -> None:
    """Mean absolute error in the brain, AdamW, a one-cycle schedule."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
    with progress_bar() as bar:
        task = bar.add_task(f"{name}, seed {seed}", total=steps, note="")
        for _ in range(steps):
            lesson = next(found)
            sample, target, mask = turned(lesson, rng) if net.turns else lesson
            loss = (net(sample) - target)[mask].abs().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            bar.update(task, advance=1, note=f"loss {loss.item():.3f}")


# The tests


def references(scan: DiffusionScan, slots: Sequence[int]) -> Array:
    """What dipy's own fit makes of these samples."""
    return fractional_anisotropy(scan.subset(slots))


def errors(found: Array, truth: Array, mask: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Mean absolute error and correlation in the brain; no correlation of a constant."""
    guess, right = found[mask].astype(np.float64), truth[mask].astype(np.float64)
    spread = guess.std() * right.std()
    correlation = float(((guess - guess.mean()) * (right - right.mean())).mean() / spread) if spread > 1e-9 else 0.0
    return {"mae": round(float(np.abs(guess - right).mean()), 5), "correlation": round(correlation, 5)}


Predict = Callable[[DiffusionScan, Sequence[int]], Array | None]


def test(predict: Predict, scan: DiffusionScan, draws: int) -> Iterator[dict[str, Any]]:
    """One row for each condition and subset that the network can take."""
    for name, condition in CONDITIONS.items():
        changed = condition.change(scan)
        truth = fractional_anisotropy(changed)
        for draw_, slots in enumerate(subsets(condition.directions, draws)):
            order = (slots[0], *np.random.default_rng(draw_).permutation(slots[1:]).tolist())
            found = predict(changed, order if condition.shuffled else slots)
            if found is not None:
                yield {"condition": name, "draw": draw_, **errors(found, truth, changed.mask)}


def one_run(name: str, seed: int, scans: Sequence[DiffusionScan], truth: Array, options: argparse.Namespace) -> Path:
    """Trains and tests one network, unless its measurements are there already; the folder that holds them."""
    out = options.runs / f"{name.replace(', ', '-')}-{seed}"
    if (out / "test.csv").is_file():
        return out
    draws = 1 if options.quick else DRAWS
    torch.manual_seed(seed)
    net = NETWORKS[name](options.quick)
    start = time.process_time()
    size = 8 if options.quick else PATCH
    train(net, lessons(scans[0], truth, seed, size), options.steps * net.patience, seed, name)
    facts = {
        "network": name,
        "seed": seed,
        "minutes": (time.process_time() - start) / 60,
        "weights": parameter_count(net),
    }
    net.eval()

    @torch.inference_mode()
    def predict(scan: DiffusionScan, slots: Sequence[int]) -> Array | None:
        sample = Sample.of(scan, slots)
        if isinstance(net, Plain) and not net.slots and len(slots) != net.channels:
            return None
        return np.asarray(net(sample).numpy())

    out.mkdir(parents=True, exist_ok=True)
    (out / "facts.json").write_text(json.dumps(facts))
    np.save(out / "first.npy", predict(scans[1], subsets(DIRECTIONS, 1)[0]))
    write_csv(
        out / "test.csv", [{"network": name, "seed": seed, **row} for row in test(predict, scans[1], draws)]
    )  # last
    return out


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A run's measurements."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def task(options: argparse.Namespace) -> Path:
    """All runs, then page, table and picture."""
    scan = read_diffusion(options.root / SERIES)
    around = (slice(24, 40), slice(3, 11)) if options.quick else (slice(None), slice(None))
    scans = [scan.crop((around[0], part, around[1])) for part in (TRAINED, TESTED)]
    truths = [fractional_anisotropy(part) for part in scans]
    outs = [one_run(name, seed, scans, truths[0], options) for seed, name in product(options.seeds, options.networks)]
    rows = [row for out in outs for row in rows_of(out / "test.csv")]
    draws = 1 if options.quick else DRAWS
    constant = float(np.median(truths[0][scans[0].mask]))
    for name, predict in (
        ("dipy, tensor fit", references),
        ("median of the training half", lambda scan, slots: np.full(scan.mask.shape, constant, np.float32)),
    ):
        rows += [{"network": name, "seed": "", **row} for row in test(predict, scans[1], draws)]
    options.results.mkdir(parents=True, exist_ok=True)
    write_csv(options.results / "diffusion.csv", rows)
    first = {name: np.load(out / "first.npy") for name, out in zip(options.networks, outs, strict=False)}
    first["dipy, tensor fit"] = references(scans[1], subsets(DIRECTIONS, 1)[0])
    draw(options.results / "diffusion.png", truths[1], first, scans[1].mask)
    facts = [json.loads((out / "facts.json").read_text()) for out in outs]
    about = {"voxels": [int(part.mask.sum()) for part in scans], "steps": options.steps, "seeds": options.seeds}
    about["settings"] = ", ".join(f"{name}={value}" for name, value in Ours.SETTINGS.items())
    return write_page(options.results, rows, facts, about)


def main() -> None:
    """The part that was asked for."""
    options = arguments()
    torch.set_num_threads(1)
    if options.quick:
        options.steps, options.seeds = 2, options.seeds[:1]
    page = write_memory(options.results, options.quick) if options.part == "memory" else task(options)
    open_console().print(page.read_text())


if __name__ == "__main__":
    main()
