"""What the commands of the command line do; their arguments are its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from torch.utils.data import DataLoader

from scalegroup.benchmarks.cases import all_cases
from scalegroup.benchmarks.compare.networks import chosen_dims, chosen_names
from scalegroup.benchmarks.compare.run import keep, learn_methods, measure_methods
from scalegroup.benchmarks.compare.tasks import TASKS
from scalegroup.benchmarks.run import chosen
from scalegroup.benchmarks.run import run as run_benchmarks
from scalegroup.data import DataError, Split, load_all
from scalegroup.data.rescale import Canvas
from scalegroup.errors import ScaleGroupError
from scalegroup.nn import with_window
from scalegroup.training.config import DataConfig, ModelConfig, TrainerConfig
from scalegroup.training.datamodule import SegmentationData
from scalegroup.training.evaluate import TEST_SCALES, Rescaled, summarise
from scalegroup.training.inputs import Scans, find_inputs
from scalegroup.training.memory import EnoughMemory
from scalegroup.training.module import Segmentation, stored_cases
from scalegroup.training.report import (
    Advance,
    CollectDice,
    ShowProgress,
    dice_rows,
    dice_table,
    open_console,
    progress_bar,
    write_csv,
)
from scalegroup.training.run import DEFAULTS, Run, quiet_lightning
from scalegroup.training.writer import WriteLabels


def fit(
    data: DataConfig,
    model: ModelConfig,
    trainer: TrainerConfig,
    out: Path | None = None,
    resume: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Trains a segmentation network on a folder of labelled scans.

    Args:
        data: which scans.
        model: which network.
        trainer: how it is trained.
        out: folder of the run; default runs/<data>-<model>.
        resume: go on from the last epoch if the folder holds an interrupted run.
        settings: as for `Run`.
    """
    out = out or Path("runs") / f"{data.name}-{model.label}"
    with progress_bar() as bar:
        best = Run(data, model, trainer, out, resume, [ShowProgress(bar, f"training {model.label}")], settings).start()
    open_console().print(f"best checkpoint: {best}\nnow test it: scalegroup test --ckpt {best}")


def validate(ckpt: Path, root: Path | None = None, trainer: Mapping[str, Any] | None = None) -> None:
    """Reports the hard Dice of each class on the run's validation scans.

    Args:
        ckpt: a checkpoint that `scalegroup fit` wrote.
        root: where the data are now, if not where they were in training.
        trainer: arguments of Lightning's Trainer.
    """
    module = Segmentation.load(ckpt)
    data = stored_data(module, root)
    scans = tuple(data.named(stored_cases(module.hparams, ckpt)["validation"]))
    batches = SegmentationData(Split((), scans, ()), module.trainer_config, skip_bad=data.skip_bad)
    with quiet_lightning():
        (found,) = _trainer(module, trainer).validate(module, batches, verbose=False)
    table = {name.removeprefix("val_dice/").replace("val_dice", "mean"): {1.0: found[name]} for name in found}
    count = len(batches.scans("validation"))
    open_console().print(dice_table(f"hard Dice on {count} validation scans", table))


def test(
    ckpt: Path,
    root: Path | None = None,
    scales: tuple[float, ...] = TEST_SCALES,
    canvas: Canvas = "proportional",
    num_scales: int | None = None,
    first: int = 0,
    csv: Path | None = None,
    trainer: Mapping[str, Any] | None = None,
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
        trainer: arguments of Lightning's Trainer.
    """
    module = Segmentation.load(ckpt)
    if not scales or min(scales) <= 0:
        raise ScaleGroupError("at least one scale, all > 0", scales, "leave --scales out for the default")
    data = stored_data(module, root)
    cases = data.named(stored_cases(module.hparams, ckpt)["test"])
    if num_scales is not None or first:
        module.network = with_window(module.network, num_scales, first)
    scans, skipped = load_all(cases, data.skip_bad)
    items = Rescaled(scans, scales, canvas)
    with progress_bar() as bar, quiet_lightning():
        collect = CollectDice(module.classes)
        run = _trainer(module, trainer, collect, Advance(bar, "testing", len(items)))
        if run.world_size > 1:
            raise ScaleGroupError("one device for a test", run.world_size, "leave --trainer.devices out")
        run.test(module, DataLoader(items, batch_size=None), verbose=False)
    csv = csv or ckpt.with_name("test.csv")
    write_csv(csv, dice_rows(collect.rows))
    console = open_console()
    console.print(dice_table(f"hard Dice on {len(scans)} test scans, rescaled", summarise(collect.rows)))
    for name, error in skipped:
        console.print(f"left out {name}: {error}", markup=False)
    console.print(f"every scan: {csv}")


def predict(
    ckpt: Path,
    input: str,
    out: Path = Path("predictions"),
    skip_bad: bool = False,
    trainer: Mapping[str, Any] | None = None,
) -> None:
    """Writes a label map for each scan: a NIfTI file on its own grid, with the label values of the training data.

    Args:
        ckpt: a checkpoint that `scalegroup fit` wrote.
        input: a NIfTI file, a folder of such files or of patients, or a pattern in quotes: "scans/*_0000.nii.gz".
        out: folder for the label maps, each named as its scan.
        skip_bad: leave broken scans out, and list them, instead of stopping at the first.
        trainer: arguments of Lightning's Trainer.
    """
    module = Segmentation.load(ckpt)
    channels = module.hparams["in_channels"]
    stored = module.hparams["data"] or {}
    names = stored.get("channels") or [f"channel {number}" for number in range(channels)]
    scans = Scans(find_inputs(input, names, stored.get("name", "")), channels, skip_bad)
    with progress_bar() as bar, quiet_lightning():
        write = WriteLabels(scans, out)
        run = _trainer(module, trainer, EnoughMemory(), write, Advance(bar, "predicting", len(scans.inputs)))
        scans.share = run.global_rank, run.world_size
        run.predict(module, DataLoader(scans, batch_size=None), return_predictions=False)
    console = open_console()
    if scans.skipped:
        write_csv(out / "skipped.csv", [{"case": name, "error": str(error)} for name, error in scans.skipped])
        lost = ", ".join(name for name, _ in scans.skipped)
        console.print(f"left out, see {out / 'skipped.csv'}: {lost}", markup=False)
    console.print(f"{len(write.written)} label maps: {out}")


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


def compare(
    dims: str = "2,3",
    methods: str = "all",
    measure: bool = True,
    train: Literal["none", "mnist-scale", "unseen-sizes", "hippocampus"] = "none",
    seeds: int | None = None,
    epochs: int | None = None,
    images: int | None = None,
    tested: int | None = None,
    root: Path | None = None,
    runs: Path = Path("runs/methods"),
    results: Path | None = None,
    listed: Path | None = None,
    threads: int = 1,
    limit: float = 60.0,
) -> None:
    """Compares all methods: equivariance errors, time, memory, and what they learn from the same few images.

    Args:
        dims: numbers of axes, such as 3 or 2,3.
        methods: names such as plain,sosnovik2019, or all.
        measure: errors, time and memory; false if there is only something to learn.
        train: what to learn as well. Each finished run leaves a file in --runs and is not repeated, so that training
            can be stopped at any time, and be shared by several processes.
        seeds: runs of each method. Default 3.
        epochs: passes over the training images. Default 10.
        images: to learn from. Default 2,000, of hippocampus 10 scans.
        tested: images to test on. Default 10,000, of hippocampus 10 scans.
        root: folder of the data to learn from. Default ../shared/data/mnist or ../shared/data/Task04_Hippocampus.
        runs: folder of finished runs.
        results: folder for methods.md, methods.csv and methods.png; default: the tables are only shown.
        listed: file for what sg.methods.list() shows.
        threads: threads of torch.
        limit: seconds for one error, and half of them for one timed run; what takes longer is stopped.
    """
    names, axes, console = chosen_names(methods), chosen_dims(dims), open_console()
    asked = {"images": images, "epochs": epochs, "seeds": seeds, "tested": tested}
    given = {name: value for name, value in asked.items() if value is not None}
    budgets = {key: task.budget for key, task in TASKS.items()}
    if train != "none":
        budgets[train] = replace(budgets[train], **given)
    if threads < 1 or limit <= 0:
        raise ScaleGroupError("threads >= 1 and limit > 0", (threads, limit), "leave them out for the defaults")
    rows = []
    if measure:
        words = f"scalegroup compare --dims {dims} --methods {methods}"
        rows = measure_methods(names, axes, console, progress_bar(), threads, limit, words)
    if train != "none":
        words = "".join([f"scalegroup compare --train {train}", *(f" --{name} {n}" for name, n in given.items())])
        learn_methods(
            train, names, budgets[train], root or TASKS[train].root, runs, console, progress_bar(), threads, words
        )
    if results is not None:
        for path in keep(results, rows, budgets, runs, listed):
            console.print(str(path))


def stored_data(module: Segmentation, root: Path | None) -> DataConfig:
    """The data of a checkpoint's run, or those in `root`, which have to be of the same kind.

    Raises:
        DataError: if channels or classes are others than in training.
    """
    known = {name: value for name, value in module.hparams["data"].items() if name not in ("cases", "channels")}
    data = DataConfig(**{**known, "root": root or Path(known["root"])})
    opened, channels = data.open(), module.hparams["in_channels"]
    if opened.classes != module.classes or len(opened.channels) != channels:
        wanted = f"data of {channels} channels and the classes {module.classes}, as in training"
        found = f"{len(opened.channels)} channels and {opened.classes} in {data.root}"
        raise DataError(wanted, found, "give the data of the training run as --root")
    return data


def _trainer(module: Segmentation, settings: Mapping[str, Any] | None, *callbacks: Any) -> lightning.Trainer:
    """Lightning's trainer for a trained network."""
    torch.set_num_threads(module.trainer_config.threads)
    settings = {**DEFAULTS, "enable_checkpointing": False, **(settings or {})}
    asked = settings.pop("callbacks", None) or []
    return lightning.Trainer(**settings, callbacks=[*callbacks, *asked])
