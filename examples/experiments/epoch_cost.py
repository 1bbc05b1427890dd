"""What one epoch of hippocampus training costs: time and peak memory, ours and MONAI's U-Net.

    python examples/experiments/epoch_cost.py --root ../shared/data/Task04_Hippocampus

Every measurement is a fresh process that trains with `fit`, so that nothing is warm and no memory is left over from
another: one epoch that is not counted, then `--epochs` that are. The networks take turns, `--repeats` times, and each
is compared with MONAI's in the same round, so that what else the machine does meets all of them. Time is that of the
steps, from the first batch of an epoch to its last one, without validation. Memory is the most that the process had (on
a GPU: that torch had allocated), less what it had before the first step. Writes `epoch_cost.md`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback

from scalegroup.benchmarks.table import machine
from scalegroup.data import Decathlon
from scalegroup.training import (
    DataConfig,
    ModelConfig,
    TrainerConfig,
    build_model,
    fit,
    match_parameters,
    parameter_count,
)
from scalegroup.training.report import open_console, progress_bar

PLAIN = "MONAI's U-Net, as many weights"
MIB = 2**20


class Cost(NamedTuple):
    """One measurement: seconds per epoch, and bytes."""

    seconds: float
    memory: int


class Watch(Callback):
    """Times the epochs after the first, and notes the peak of the memory before anything else is done."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.before = self.peak = 0
        self._start = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Called by Lightning."""
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.before = _present(pl_module.device)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning."""
        if batch_idx == 0:
            _wait(pl_module.device)
            self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Called by Lightning, before a validation."""
        if batch_idx + 1 == trainer.num_training_batches:
            _wait(pl_module.device)
            self.peak = max(self.peak, _peak(pl_module.device))
            if trainer.current_epoch > 0:
                self.seconds.append(time.perf_counter() - self._start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _present(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.memory_allocated()
    table = Path("/proc/self/statm")  # where there is none, what reading the scans took counts as there before
    return int(table.read_text().split()[1]) * resource.getpagesize() if table.is_file() else _peak(device)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/Task04_Hippocampus"))
    parser.add_argument("--results", type=Path, default=Path("docs/results"), help="folder of the table")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2, help="epochs that are timed, in each process")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each network")
    parser.add_argument("--quick", action="store_true", help="two scans, tiny networks, once: does it run?")
    parser.add_argument("--child", help=argparse.SUPPRESS)  # the network that this process measures
    return parser.parse_args()


def networks(options: argparse.Namespace) -> dict[str, ModelConfig]:
    """The networks by their names in the table."""
    data = Decathlon(options.root)
    sizes = len(data.channels), 1 + len(data.classes)
    ours = ModelConfig("scale")
    if options.quick:
        ours = replace(ours, channels=(2, 4), strides=(2,), options={"num_scales": 2, "first": 0, "train_scales": 1})
    same = replace(ours, name="plain", options={})
    widened = match_parameters(same, parameter_count(build_model(ours, *sizes)), *sizes)
    found = {PLAIN: widened, "MONAI's U-Net, as many channels": same, "ours": ours}
    if not options.quick:
        found["ours, without random runs of scales"] = replace(ours, options={"train_scales": None})
        found["ScaleChannels around MONAI's U-Net"] = replace(same, name="channels")
    return found


def measure(options: argparse.Namespace, name: str) -> Cost:
    """Trains a network in this process."""
    data = DataConfig("hippocampus", options.root, train=2 if options.quick else 25, validation=1, test=1)
    lightning = {"accelerator": options.device}
    trainer = TrainerConfig(1 + options.epochs, validate_every=1000, threads=options.threads, lightning=lightning)
    watch = Watch()
    with tempfile.TemporaryDirectory() as out:
        fit(data, networks(options)[name], trainer, out, callbacks=[watch])
    return Cost(statistics.median(watch.seconds), max(1, watch.peak - watch.before))  # ratios are made of it


def child(options: argparse.Namespace, name: str) -> Cost:
    """One measurement in a process of its own."""
    words = ["--root", options.root, "--device", options.device, "--threads", options.threads]
    words += ["--epochs", options.epochs, "--child", name, *["--quick"] * options.quick]
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def line(name: str, config: ModelConfig, weights: int, costs: list[Cost], plain: list[Cost]) -> str:
    """A row of the table; ratios are medians over the rounds."""
    seconds, memory = ([getattr(cost, key) for cost in costs] for key in Cost._fields)
    ratios = [
        statistics.median(getattr(a, key) / getattr(b, key) for a, b in zip(costs, plain, strict=True))
        for key in Cost._fields
    ]
    spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} … {max(seconds):.2f})"
    cells = [name, config.channels, f"{weights:,}", spread, f"{ratios[0]:.2f}"]
    return "| " + " | ".join(map(str, [*cells, f"{statistics.median(memory) / MIB:.0f}", f"{ratios[1]:.2f}"])) + " |"


def page(options: argparse.Namespace, rows: list[str]) -> str:
    """The results as a page of the documentation."""
    about = machine(options.threads, "cuda" if options.device == "gpu" else "cpu")
    facts = ", ".join(f"{key} {value}" for key, value in about.items())
    columns = ["network", "channels", "weights", "seconds", "ratio", "MiB", "ratio"]
    table = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *rows]
    command = " ".join(["python examples/experiments/epoch_cost.py", *["--device gpu"] * (options.device == "gpu")])
    count = 2 if options.quick else 25
    return f"""# What an epoch of training costs

Command: `{command}`. One epoch of {count} hippocampus volumes in batches of 2, with `fit`: data, forward and
backward pass, AdamW. Each measurement is a process of its own; median of {options.repeats}, in brackets the fastest
and the slowest. Ratios are to the first row, in the same round. Memory is the peak, less what there was before the
first step.

{chr(10).join(table)}

{facts}.
"""


def main() -> None:
    """All networks in turns, then the page."""
    options = arguments()
    if options.child:
        sys.stdout.write(json.dumps(measure(options, options.child)))
        return
    if options.quick:
        options.repeats = options.epochs = 1
    data, found = Decathlon(options.root), networks(options)
    costs: dict[str, list[Cost]] = {name: [] for name in found}
    with progress_bar() as bar:
        task = bar.add_task("epochs", total=options.repeats * len(found), note="")
        for _ in range(options.repeats):
            for name in found:
                costs[name].append(child(options, name))
                bar.advance(task)
    rows = []
    for name, config in found.items():
        weights = parameter_count(build_model(config, len(data.channels), 1 + len(data.classes)))
        rows.append(line(name, config, weights, costs[name], costs[PLAIN]))
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "epoch_cost.md"
    path.write_text(page(options, rows))
    open_console().print(path.read_text(), markup=False)


if __name__ == "__main__":
    main()
