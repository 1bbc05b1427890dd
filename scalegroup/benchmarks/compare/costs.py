"""What methods cost: the classifier by each of them, as cases of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from scalegroup.benchmarks.cases import Case
from scalegroup.benchmarks.compare.networks import CHANNELS, CLASSES, classifier
from scalegroup.benchmarks.measure import Measurement, measure

IMAGES = {1: (8, 256), 2: (4, 96), 3: (1, 32)}  # how many, and samples per axis
TINY = 16  # samples per axis


@dataclass(frozen=True)
class Classifying(Case):
    """A classifier of images by one method.

    Args:
        method: its name, or that of a plain network.
        dim: number of axes.
        train: a training step, with the gradients of all weights, instead of a forward pass in eval mode.
        channels: feature maps of each level. Default (16, 32).
        images: how many. Default 1.
        size: samples per axis. Default 32.

    Example:
        >>> case = Classifying("plain", 2, train=True)
        >>> case.name
        'plain 2-D step C=16,32 N=1×32'
        >>> case.prepare(torch.device("cpu"))()
    """

    method: str
    dim: int
    train: bool = False
    channels: tuple[int, ...] = CHANNELS
    images: int = 1
    size: int = 32

    @property
    def name(self) -> str:
        """Words that tell the case from all others."""
        return f"{self.method} {self.group}"

    @property
    def group(self) -> str:
        """Axes, pass, channels, images and size."""
        passes = "step" if self.train else "forward"
        return f"{self.dim}-D {passes} C={','.join(map(str, self.channels))} N={self.images}×{self.size}"

    @property
    def easier(self) -> Case | None:
        """The forward pass alone."""
        return replace(self, train=False) if self.train else None

    def small(self) -> Classifying:
        """The same with two channels on a small image."""
        return replace(self, channels=(2, 2), images=2, size=TINY)

    def prepare(self, device: torch.device) -> Callable[[], object]:
        """The network and random images."""
        torch.manual_seed(0)
        network = classifier(self.method, self.dim, channels=self.channels).to(device)
        images = torch.randn(self.images, 1, *[self.size] * self.dim, device=device)
        if not self.train:
            return partial(_forward, network.eval(), images)
        return partial(_step, network, images, torch.arange(self.images, device=device) % CLASSES)


def _forward(network: torch.nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        network(images)


def _step(network: torch.nn.Module, images: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    torch.nn.functional.cross_entropy(network(images), labels).backward()


def all_costs(names: Iterable[str], dims: Iterable[int], threads: int, limit: float) -> Iterator[Measurement]:
    """Time and memory of the classifiers, those to be compared in turns.

    Args:
        names: of methods and plain networks; in one dimension all of them exist.
        dims: numbers of axes.
        threads: of torch.
        limit: seconds for one run.
    """
    cases = [
        Classifying(name, dim, train, images=IMAGES[dim][0], size=IMAGES[dim][1])
        for dim in dims
        for train in (False, True)
        for name in names
    ]
    return measure(cases, threads=threads, limit=limit)
