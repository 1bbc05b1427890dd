"""Ours beside the poster's code, SESN, escnn and e3nn: what a layer and a small network do when the input changes.

    python examples/experiments/comparison.py --results docs/results    # three minutes of one core

Random weights, smooth inputs (blobs of 2 to 3 voxels), float32, one thread. The poster's code and SESN are our versions
of the published methods (`sg.methods`); escnn and e3nn are their own packages. What is not installed is not measured:
its rows stay as `comparison.json` has them from a machine that had it. Writes `comparison.json` and `comparison.md`.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from comparison_page import ROWS, write_page
from comparison_points import measure_points
from torch import Tensor

import scalegroup as sg
from scalegroup import nn
from scalegroup.benchmarks.table import machine
from scalegroup.fields import FieldType
from scalegroup.interop.escnn import EscnnGroup
from scalegroup.testing import equivariance_error, rotation_error
from scalegroup.training.report import open_console, progress_bar

MAPS = 4  # of numbers, that every layer and every network makes of an image
WIDTH = 9  # voxels, of the kernels of escnn and e3nn: as wide as ours at scale 1
FACTORS = {"scaled by √2": 2**0.5, "scaled by 0.9": 1 / 0.9}  # a factor and its inverse compare the same inputs
QUARTER = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
VECTORS: dict[str, Any] = {"octahedral": "T1", "so3": 1}  # the names of their representation
FIELDS, VOLUME, ROUNDS = 8, 24, 5  # of the timed layers: fields, voxels per axis, runs

Pair = tuple[torch.nn.Module, torch.nn.Module]
Types = tuple[tuple[int, int], tuple[int, int]]  # numbers and vectors that go in, and that come out


class Case:
    """A library: how its layers are made for a group, and what they return.

    Args:
        build: a layer from an image to `MAPS` maps and a network of two layers, for a step of the scales.
        timed: a layer between hidden fields, and its number of channels.
        scales: of its window; 0 if it has none.
        last: whether the last scale of its window is 1, as published by Wimmer et al., instead of the first.
    """

    def __init__(
        self, build: Callable[[float], Pair], timed: Callable[[], tuple[torch.nn.Module, int]], scales: int, last: bool
    ) -> None:
        self.build, self.timed, self.scales, self.last = build, timed, scales, last

    def types(self, base: float) -> tuple[FieldType, FieldType]:
        """The image, and the maps; of a group with all rotations, under which both are numbers."""
        count = max(1, self.scales)
        first = 1 - count if self.last else 0
        group = sg.ScaleTranslationGroup(3, base, count, rotations="so3", first=first)
        return 1 * group.scalar, MAPS * (group.regular if self.scales else group.scalar)


# The libraries ------------------------------------------------------------------------------------------------------


def plain(base: float) -> Pair:
    """Ordinary 3×3×3 convolutions."""
    conv = [torch.nn.Conv3d(channels, MAPS, 3, padding=1) for channels in (1, 1, MAPS)]
    return conv[0], torch.nn.Sequential(conv[1], torch.nn.SiLU(), conv[2])


def ours(base: float, rotations: str | None = None) -> Pair:
    """Four scales; with rotations half of the hidden fields are vectors."""
    group = sg.ScaleTranslationGroup(3, base, 4, rotations)
    image, maps, numbers = 1 * group.scalar, MAPS * group.regular, MAPS // 2 * group.regular
    hidden = maps if rotations is None else numbers + MAPS // 2 * group.irrep(VECTORS[rotations])
    act = nn.Pointwise(hidden, torch.nn.SiLU()) if rotations is None else nn.NormActivation(hidden)
    return nn.GroupConv(image, maps), nn.Sequential(nn.GroupConv(image, hidden), act, nn.GroupConv(hidden, maps))


def ours_timed(rotations: str | None = None) -> tuple[torch.nn.Module, int]:
    """From hidden fields to hidden fields."""
    group = sg.ScaleTranslationGroup(3, num_scales=4, rotations=rotations)
    numbers = FIELDS * group.regular
    hidden = numbers if rotations is None else numbers + FIELDS * group.irrep(VECTORS[rotations])
    return nn.GroupConv(hidden, hidden), hidden.size


def published(name: str, scales: int) -> Case:
    """A method of `sg.methods`, with the factor as the step of its scales."""

    def build(base: float) -> Pair:
        parts = sg.methods.get(name).parts(3, base, scales)
        net = torch.nn.Sequential(parts.lift(1, MAPS), parts.act(MAPS), parts.conv(MAPS, MAPS))
        return parts.lift(1, MAPS), net

    def timed() -> tuple[torch.nn.Module, int]:
        parts = sg.methods.get(name).parts(3, None, scales)
        return parts.conv(FIELDS, FIELDS), parts.field(FIELDS).size

    return Case(build, timed, scales, last=name == "wimmer2022")


class Shared(torch.nn.Module):
    """A layer of another library. The measurements copy modules, which neither library's layers bear."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self


class Escnn(Shared):
    """escnn's convolution of SO(3) on plain tensors."""

    def __init__(self, types: Types, width: int = WIDTH) -> None:
        super().__init__()
        from escnn import gspaces
        from escnn import nn as escnn

        space = gspaces.rot3dOnR3()
        so3 = space.fibergroup
        fields = [escnn.FieldType(space, n * [so3.irrep(0)] + m * [so3.irrep(1)]) for n, m in types]
        self.conv = escnn.R3Conv(*fields, width, padding=width // 2, bias=False, initialize=False)
        torch.nn.init.normal_(self.conv.weights, std=0.1)
        self.wrap = escnn.GeometricTensor

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.wrap(x, self.conv.in_type)).tensor  # type: ignore[no-any-return]


class E3nn(Shared):
    """The convolution on voxels that e3nn ships, with or without the pointwise path that it adds."""

    def __init__(self, types: Types, width: int = WIDTH, pointwise: bool = True) -> None:
        super().__init__()
        from e3nn import o3
        from e3nn.nn.models.v2104.voxel_convolution import Convolution

        fields = [f"{n}x0e + {m}x1o" if m else f"{n}x0e" for n, m in types]
        self.conv = Convolution(*fields, o3.Irreps.spherical_harmonics(2), diameter=width, num_radial_basis=5)
        if not pointwise:
            torch.nn.init.zeros_(self.conv.sc.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


class Lengths(torch.nn.Module):
    """Each number and each vector times a sigmoid of its length: equivariant to rotations in any basis of them."""

    def __init__(self, numbers: int, vectors: int) -> None:
        super().__init__()
        self.split = numbers, vectors

    def forward(self, x: Tensor) -> Tensor:
        numbers, vectors = x[:, : self.split[0]], x[:, self.split[0] :].unflatten(1, (self.split[1], 3))
        length = vectors.square().sum(2, keepdim=True).add(1e-12).sqrt()
        return torch.cat([torch.nn.functional.silu(numbers), (vectors * length.sigmoid()).flatten(1, 2)], 1)


def theirs(layer: Callable[[Types], torch.nn.Module]) -> Case:
    """A library of rotations: numbers and vectors (n, m), no scales."""
    image, hidden, maps = (1, 0), (MAPS // 2, MAPS // 2), (MAPS, 0)

    def build(base: float) -> Pair:
        return layer((image, maps)), torch.nn.Sequential(
            layer((image, hidden)), Lengths(*hidden), layer((hidden, maps))
        )

    return Case(build, lambda: (layer(((FIELDS, FIELDS), (FIELDS, FIELDS))), 4 * FIELDS), 0, last=False)


def cases() -> dict[str, Case]:
    """All that can be measured here, by the names of the table."""
    found = {
        "plain": Case(plain, lambda: (torch.nn.Conv3d(32, 32, 3, padding=1), 32), 0, last=False),
        "ours": Case(ours, ours_timed, 4, last=False),
        "ours, octahedral": Case(
            lambda base: ours(base, "octahedral"), lambda: ours_timed("octahedral"), 4, last=False
        ),
        "ours, so3": Case(lambda base: ours(base, "so3"), lambda: ours_timed("so3"), 4, last=False),
        "poster": published("wimmer2022", 4),
        "SESN": published("sosnovik2019", 3),
        "escnn": theirs(Escnn),
    }
    if find_spec("e3nn"):
        found |= {"e3nn": theirs(E3nn), "e3nn, alone": theirs(partial(E3nn, pointwise=False))}
    return found


# What is measured ----------------------------------------------------------------------------------------------------


def without_bias(module: torch.nn.Module) -> torch.nn.Module:
    """A constant would make every change look smaller."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    return module.eval()


def changes(case: Case, seeds: int, size: int | None) -> dict[str, float]:
    """Relative changes of a layer and of a network, the mean over random weights and inputs."""
    found: dict[str, list[float]] = {}
    so3: Any = EscnnGroup("so3")
    for seed in range(seeds):
        for words, factor in FACTORS.items():
            torch.manual_seed(seed)
            image, maps = case.types(factor)
            options: Any = {"in_type": image, "out_type": maps, "seed": seed, "dtype": torch.float32}
            for what, module in zip(("layer", "network"), map(without_bias, case.build(factor)), strict=True):
                error = equivariance_error(module, factor, size=size, **options).error
                found.setdefault(f"{what}, {words}", []).append(error)
                if factor == FACTORS["scaled by √2"]:
                    quarter = rotation_error(module, so3.element(QUARTER), "lattice", size=size and 13, **options)
                    turned = rotation_error(module, so3.sample(seed), "blobs", size=size, **options)
                    found.setdefault(f"{what}, turned by 90°", []).append(quarter.error)
                    found.setdefault(f"{what}, turned at random", []).append(turned.error)
    return {key: statistics.fmean(values) for key, values in found.items()}


def costs(case: Case, rounds: int, volume: int) -> dict[str, float]:
    """Weights of a layer between hidden fields, and its time over that of a plain one with as many channels."""
    torch.manual_seed(0)
    layer, channels = case.timed()
    unit = torch.nn.Conv3d(channels, channels, 3, padding=1)
    x = torch.randn(1, channels, volume, volume, volume)
    times: dict[torch.nn.Module, list[float]] = {layer.eval(): [], unit: []}
    with torch.no_grad():
        for _ in range(rounds):
            for module, runs in times.items():
                start = time.process_time()
                module(x)
                runs.append(time.process_time() - start)
    count = sum(parameter.numel() for parameter in layer.parameters())
    return {"channels": channels, "weights": count, "time": min(times[layer]) / min(times[unit])}


def works(case: Case) -> dict[str, bool]:
    """What users do with layers: does it go through?"""
    layer = case.timed()[0]
    x = torch.randn(1, case.timed()[1], 12, 12, 12)
    with torch.no_grad():
        before = layer.eval()(x)
    keys = set(layer.train().state_dict())
    layer.eval()
    tried: dict[str, Callable[[], object]] = {
        "torch.export": lambda: torch.export.export(layer, (x,)),
        "torch.compile, one graph": lambda: torch.compile(layer, backend="eager", fullgraph=True)(x),
        "deepcopy": lambda: copy.deepcopy(getattr(layer, "conv", layer)),
    }
    return {name: succeeds(run) for name, run in tried.items()} | {
        "state dict the same in train and eval": keys == set(layer.state_dict()),
        "finite": bool(before.isfinite().all()),
    }


def succeeds(run: Callable[[], object]) -> bool:
    """Whether it raises nothing."""
    try:
        run()
    except Exception:
        return False
    return True


def main() -> None:
    """Measures what is installed, keeps the rest, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--only", nargs="+", default=[], help="rows to measure; default: all that is installed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = open_console()
    kept = options.results / "comparison.json"
    rows: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    seeds, size, rounds, volume = (1, 25, 1, 12) if options.quick else (3, None, ROUNDS, VOLUME)
    found = {name: case for name, case in cases().items() if name in options.only or not options.only}
    with progress_bar() as bar:
        task = bar.add_task("measuring", total=len(found), note="")
        for name, case in found.items():
            bar.update(task, note=name)
            row = {"changes": changes(case, seeds, size), "costs": costs(case, rounds, volume), "works": works(case)}
            rows[name] = row | {"machine": machine(1, "cpu")}
            bar.advance(task)
        points = measure_points(seeds, 100 if options.quick else 500)
        rows["points"] = rows.get("points", {}) | {name: row for name, row in points.items() if name in found}
    options.results.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({name: rows[name] for name in (*ROWS, "points") if name in rows}, indent=1) + "\n")
    console.print(write_page(options.results, rows), markup=False)


if __name__ == "__main__":
    main()
