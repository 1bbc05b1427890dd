"""What the methods learn from the same few images, each run once: results are kept and found again."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from scalegroup.benchmarks.compare.networks import has_dim
from scalegroup.data import DataError
from scalegroup.errors import ScaleGroupError
from scalegroup.training.files import replacing

Scores = dict[str, float]


@dataclass(frozen=True)
class Budget:
    """How much all methods learn from.

    Args:
        images: training images or scans.
        epochs: passes over them.
        seeds: how many runs of each method.
        tested: images or scans to test on.
    """

    images: int
    epochs: int
    seeds: int
    tested: int

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1:
            raise ScaleGroupError("images, epochs and seeds >= 1", asdict(self), "leave them out for the defaults")


@dataclass(frozen=True)
class Learned:
    """One finished run.

    Attributes:
        method: its name.
        seed: of weights and images.
        weights: how many.
        minutes: of training.
        scores: of the test, by name.
        made_by: the command, the versions and the machine.
    """

    method: str
    seed: int
    weights: int
    minutes: float
    scores: Scores
    made_by: str = ""


@dataclass(frozen=True)
class Task:
    """Something to learn.

    Args:
        title: in a few words.
        text: the protocol, for the page.
        root: where the data are by default.
        dim: number of axes of the images.
        budget: the default.
        run: `(method, seed, budget, root, folder)` to the number of weights and the scores.
    """

    title: str
    text: str
    root: Path
    dim: int
    budget: Budget
    run: Callable[[str, int, Budget, Path, Path], tuple[int, Scores]]


def learn(
    task: Task,
    names: Sequence[str],
    budget: Budget,
    root: Path,
    runs: Path,
    made_by: str = "",
    advance: Callable[[str], object] = lambda note: None,
) -> dict[str, str]:
    """Runs what has not been run: each run leaves a file in `runs`, and is not repeated.

    Several processes may share a folder: what one of them works on, the others leave out. A run that is interrupted
    starts anew the next time.

    Args:
        task: what is learned.
        names: of methods and plain networks.
        budget: the same for all.
        root: folder of the data.
        runs: folder of the results.
        made_by: the command, the versions and the machine.
        advance: is told what has been done.

    Returns:
        why a method has no result, by its name.
    """
    failed = {}
    for seed in range(budget.seeds):
        for name in names:
            if has_dim(name, task.dim) and name not in failed:
                try:
                    _learn_once(task, name, seed, budget, root, runs, made_by)
                except DataError:  # of all methods
                    raise
                except (ScaleGroupError, RuntimeError) as error:  # of one method; the others go on
                    failed[name] = str(error).splitlines()[0]
            advance(f"{name}, seed {seed}")
    return failed


def _learn_once(task: Task, name: str, seed: int, budget: Budget, root: Path, runs: Path, made_by: str) -> None:
    path = runs / _file_name(name, seed, budget)
    with _claimed(path) as mine:
        if not mine or path.is_file():
            return
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=runs) as folder:
            weights, scores = task.run(name, seed, budget, root, Path(folder))
        minutes = round((time.perf_counter() - start) / 60, 2)
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(Learned(name, seed, weights, minutes, scores, made_by)), indent=1))


def _file_name(name: str, seed: int, budget: Budget) -> str:
    return f"{name}-{seed}-{budget.images}-{budget.epochs}-{budget.tested}.json"


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether no other process works on this file; the claim ends with its process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def learned(names: Iterable[str], budget: Budget, runs: Path) -> list[Learned]:
    """All finished runs of these methods under this budget, whoever made them."""
    paths = [runs / _file_name(name, seed, budget) for name in names for seed in range(budget.seeds)]
    return [Learned(**json.loads(path.read_text())) for path in paths if path.is_file()]
