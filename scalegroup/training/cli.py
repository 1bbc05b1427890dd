"""The command line: `scalegroup fit`, `scalegroup test`, `scalegroup demo`, `scalegroup bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import auto_cli
from rich.console import Console

from scalegroup.benchmarks.cases import all_cases
from scalegroup.benchmarks.run import chosen
from scalegroup.benchmarks.run import run as run_benchmarks
from scalegroup.data import DataError, load
from scalegroup.data.rescale import Canvas
from scalegroup.errors import ScaleGroupError
from scalegroup.nn import with_window
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.demo import demo
from scalegroup.training.evaluate import TEST_SCALES, dice_at_scales, summarise
from scalegroup.training.module import Segmentation, stored_cases
from scalegroup.training.report import ShowProgress, dice_rows, dice_table, open_console, progress_bar, write_csv
from scalegroup.training.run import fit as run_fit


def fit(
    data: DataConfig,
    model: ModelConfig | None = None,
    trainer: TrainerConfig | None = None,
    out: Path | None = None,
    resume: bool = True,
) -> None:
    """Trains a segmentation network on a folder of labelled scans.

    Args:
        data: which scans.
        model: which network.
        trainer: how it is trained.
        out: folder of the run; default runs/<data>-<model>.
        resume: go on from the last epoch if the folder holds an interrupted run.
    """
    model, trainer = model or ModelConfig(), trainer or TrainerConfig()
    out = out or Path("runs") / f"{data.name}-{model.name}"
    console = open_console()
    with progress_bar() as bar:
        best = run_fit(data, model, trainer, out, resume, [ShowProgress(bar, f"training {model.name}")])
    console.print(f"best checkpoint: {best}\nnow test it: scalegroup test --ckpt {best}")


def test(
    ckpt: Path,
    root: Path | None = None,
    scales: tuple[float, ...] = TEST_SCALES,
    canvas: Canvas = "proportional",
    num_scales: int | None = None,
    first: int = 0,
    csv: Path | None = None,
) -> None:
    """Reports the hard Dice of each class on the run's test scans, rescaled by several factors.

    Args:
        ckpt: a checkpoint that `scalegroup fit` wrote.
        root: where the data are now, if not where they were in training.
        scales: factors by which the test scans are rescaled, as a list: --scales "[0.8, 1, 1.25]".
        canvas: "proportional": the grid grows with the content; "fixed": it stays.
        num_scales: scales of the network's window in this test; default: as many as in training.
        first: the steps by which this window starts below (negative) or above that of training.
        csv: file for one row per scale, scan and class; default test.csv beside the checkpoint.
    """
    module = Segmentation.load(ckpt)
    if not scales or min(scales) <= 0:
        raise ScaleGroupError("at least one scale, all > 0", scales, "leave --scales out for the default")
    names = stored_cases(module.hparams, ckpt)["test"]
    stored = {key: value for key, value in module.hparams["data"].items() if key != "cases"}
    data = DataConfig(**{**stored, "root": root or Path(stored["root"])})
    opened, channels = data.open(), module.hparams["in_channels"]
    if opened.classes != module.classes or len(opened.channels) != channels:
        wanted = f"data of {channels} channels and the classes {module.classes}, as in training"
        found = f"{len(opened.channels)} channels and {opened.classes} in {data.root}"
        raise DataError(wanted, found, "give the data of the training run as --root")
    torch.set_num_threads(module.trainer_config.threads)
    if num_scales is not None or first:
        module.network = with_window(module.network, num_scales, first)
    scans = [load(case) for case in data.named(names)]
    with progress_bar() as bar:
        task = bar.add_task("testing", total=len(scans) * len(scales), note="")
        rows = dice_at_scales(module, scans, scales, canvas, lambda: bar.advance(task))
    csv = csv or ckpt.with_name("test.csv")
    write_csv(csv, dice_rows(rows))
    console = open_console()
    console.print(dice_table(f"hard Dice on {len(scans)} test scans, rescaled", summarise(rows)))
    console.print(f"every scan: {csv}")


def bench(
    quick: bool = False,
    results: Path | None = None,
    threads: int = 2,
    device: Literal["cpu", "cuda"] = "cpu",
    limit: float = 20.0,
    only: str = "",
) -> None:
    """Measures how fast layers and a training step are, by all methods, beside dense and plain convolutions.

    Args:
        quick: tiny cases, in less than a minute: does it run?
        results: folder for speed.md, speed.json and speed.png; default: the tables are only shown.
        threads: threads of torch.
        device: what to measure.
        limit: seconds for one run; longer ones are stopped, or not started.
        only: words that the names of cases have to have, such as --only "k=9 C=16 forward" or --only "U-Net".
    """
    options = {"--only": f"'{only}'" * bool(only), "--device": device, "--threads": threads, "--limit": f"{limit:g}"}
    given = [f"{name} {value}" for name, value in options.items() if value]
    run_benchmarks(
        chosen(all_cases(quick), only.split()),
        open_console(),
        progress_bar(),
        device=device,
        threads=threads,
        limit=limit,
        results=results,
        command=" ".join(["scalegroup bench", *["--quick"] * quick, *given]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; a user's error is one line on standard error and the exit status 2."""
    words = [_long_form(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    try:
        auto_cli([fit, test, demo, bench], args=words, as_positional=False)
    except ScaleGroupError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"scalegroup: {error}", markup=False)
        raise SystemExit(2) from error


def _long_form(word: str) -> str:
    """`--data hippocampus` and `--model plain` are short for `--data.name` and `--model.name`, a flag for its truth."""
    if word == "--quick":
        return "--quick=true"
    option, equals, value = word.partition("=")
    return f"{option}.name{equals}{value}" if option in ("--data", "--model") else word
