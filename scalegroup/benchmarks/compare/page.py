"""The comparison as tables: on the screen and as a page of the documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from scalegroup import methods
from scalegroup.benchmarks.compare.learn import Budget, Learned, Task
from scalegroup.benchmarks.compare.published import PUBLISHED, SOURCES, Published
from scalegroup.benchmarks.compare.rows import Row
from scalegroup.benchmarks.table import Grid
from scalegroup.methods.registry import REFERENCES

POSTER = ("method", "kind", "mixes scales", "scales", "equivariance")
MEASURED = ("torus", "kernels", "classifier", "U-Net", "its scales", "weights", "forward", "step", "memory")
READING = """*Torus*: equivariance error of lifting, norm, SiLU, convolution, norm, SiLU with random weights, on white
noise up to half the Nyquist frequency on a torus, where scaling is exact; under one step of the method's base as a
ratio of small integers (17/12 for √2; 2 for methods that have powers of 2 and √2 only); of the worst scale that reads
nothing beyond the window, or of the map where there is no axis of scales. *Kernels*: the same without activations.
*Classifier*: change of the logits of a whole network under √2, over their spread between images (of Gaussian blobs),
mean of three seeds; 1 is as far as to another image. *U-Net*: error of its output under √2 on blobs; *its scales*: the
worst scale before the projection that reads nothing beyond the window. Norms have the statistics of one random batch
and are in eval mode. Computed in float32: errors below 1e-6 are zero. *Weights* of the classifier with 16 and 32
channels; *forward*, *step*, *memory*: time of its forward pass, time and peak memory of its training step, over those
of the plain network in the same minutes. All weights are random."""
PROTOCOL = """Beside ours stand published figures. They are from other protocols, and no comparison of the methods'
implementations: here all learn from a fifth of the images for a sixth of the epochs or less, as one small network of a
hundredth of the weights, in few runs, from other draws of the images."""


def title(name: str) -> str:
    """What a method is called in tables.

    Example:
        >>> title("plain7"), title("sosnovik2021")
        ('plain, 7 wide', 'DISCO (sosnovik2021)')
    """
    words = methods.get(name).title
    return words if name in REFERENCES else f"{words} ({name})"


def poster_cells(name: str) -> tuple[str, ...]:
    """Method, kind, interscale interaction, scales, equivariance, as in the poster's table."""
    entry = methods.get(name)
    interscale = "yes" if entry.interscale else "no"
    return (title(name), entry.kind, interscale, entry.scales, entry.equivariance)


def measured_grid(rows: Iterable[Row], dim: int) -> Grid:
    """What was measured of all methods in so many dimensions, beside the poster's columns."""
    own = [row for row in rows if row.dim == dim]
    lines = tuple((*poster_cells(row.name), *measured_cells(row)) for row in own)
    return Grid(f"{dim}-D", (*POSTER, *MEASURED), lines)


def brief_grid(rows: Iterable[Row], dim: int) -> Grid:
    """What was measured alone, for the screen."""
    own = [row for row in rows if row.dim == dim]
    return Grid(f"{dim}-D", ("method", *MEASURED), tuple((row.name, *measured_cells(row)) for row in own))


def measured_cells(row: Row) -> tuple[str, ...]:
    """Errors, weights and ratios.

    Example:
        >>> measured_cells(Row("ours", 3, torus=0.00123, parameters=12345, forward=4.56))
        ('0.0012', '–', '–', '–', '–', '12,345', '4.6', '–', '–')
    """
    errors = (row.torus, row.kernels, row.end_to_end, row.unet, row.unet_scales)
    weights = "–" if math.isnan(row.parameters) else f"{row.parameters:,.0f}"
    return (*map(_two_digits, errors), weights, *map(_two_digits, (row.forward, row.step, row.memory)))


def _two_digits(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def learned_grid(task: Task, budget: Budget, runs: Sequence[Learned], brief: bool = False) -> Grid:
    """Mean and deviation of all scores of each method; unless it is brief, published figures beside MNIST-Scale."""
    names = list(dict.fromkeys(run.method for run in runs))
    scores = list(dict.fromkeys(score for run in runs for score in run.scores))
    published = task.title.startswith("MNIST-Scale") and not brief
    heads = ["method", "weights", *(_head(score) for score in scores), "runs", "minutes"]
    heads += ["published, Li et al.", "published, Rahman and Yeh"] * published
    lines = []
    for name in names:
        own = [run for run in runs if run.method == name]
        values = [_mean([run.scores[score] for run in own if score in run.scores]) for score in scores]
        line = [
            name if brief else title(name),
            f"{own[0].weights:,}",
            *values,
            str(len(own)),
            f"{fmean(r.minutes for r in own):.1f}",
        ]
        lines.append((*line, *(PUBLISHED.get(name, Published()) if published else ())))
    words = f"{budget.images:,} to learn from, {budget.epochs} epochs, {budget.tested:,} to test on"
    return Grid(f"{task.title}; {words}", tuple(heads), tuple(lines))


def _head(score: str) -> str:
    return score if score[0].isalpha() else f"at {score}"


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    form = ".1f" if max(values) > 1 else ".3f"
    spread = f" ± {stdev(values):{form}}" if len(values) > 1 else ""
    return f"{fmean(values):{form}}{spread}"


def as_page(rows: Sequence[Row], results: Sequence[tuple[Task, Budget, Sequence[Learned]]], picture: str) -> str:
    """The page: what was measured in each dimension, what was learned, and how it was made."""
    parts = ["# All methods, measured"]
    if rows:
        parts += [READING, f"![error against time]({picture})"]
        for dim in sorted({row.dim for row in rows}):
            parts.append(measured_grid(rows, dim).markdown())
            parts.append(_made_by(row.made_by for row in rows if row.dim == dim))
            missing = [f"- {title(row.name)}: {row.notes}" for row in rows if row.dim == dim and row.notes]
            parts += ["Not measured:\n\n" + "\n".join(missing)] * bool(missing)
    for task, budget, runs in results:
        if runs:
            published = task.title.startswith("MNIST-Scale")
            parts += [learned_grid(task, budget, runs).markdown(), task.text]
            parts += [PROTOCOL, SOURCES] * published
            parts.append(_made_by(run.made_by for run in runs))
    return "\n\n".join(parts) + "\n"


def _made_by(words: Iterable[str]) -> str:
    return "\n".join(f"Made by {one}." for one in dict.fromkeys(filter(None, words)))
