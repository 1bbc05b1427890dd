"""What the two examples on `ScaleChannels` share: windows of scales, ways to choose one, scans without an object."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from scalegroup import with_window
from scalegroup.data import Scan
from scalegroup.models import ScaleChannels
from scalegroup.models.projection import foreground_confidence
from scalegroup.training import hard_dice

BASE = 2**0.5
SHIFTS = (-2, -1, 0, 1, 2)
COUNT = 6  # scales of a window
CLASSES = 3
Image = npt.NDArray[np.float32]


class OneScaleAtATime:
    """The network cut into its scales: `net(k, x)` are the scores of scale `base**(first + k)` alone, on the voxels."""

    def __init__(self, network: ScaleChannels) -> None:
        self.network = network
        self._parts: dict[int, ScaleChannels] = {}

    def __call__(self, k: int, x: Tensor, spacing: float | None = None) -> Tensor:
        if k not in self._parts:
            self._parts[k] = with_window(self.network, 1, first=k).eval()
        with torch.inference_mode():
            scores: Tensor = self._parts[k](x, spacing)
        return scores


class Scores:
    """The scores of one volume on every scale, computed when they are asked for first.

    Attributes:
        seconds: time that each scale took.
        asked: the scales that were asked for.
    """

    def __init__(self, net: OneScaleAtATime, image: Image, spacing: float | None = None) -> None:
        self._net, self._x, self._spacing = net, torch.from_numpy(image)[None], spacing
        self._known: dict[int, Tensor] = {}
        self.seconds: dict[int, float] = {}
        self.asked: set[int] = set()

    def __call__(self, k: int) -> Tensor:
        self.asked.add(k)
        if k not in self._known:
            start = time.perf_counter()
            self._known[k] = self._net(k, self._x, self._spacing)
            self.seconds[k] = time.perf_counter() - start
        return self._known[k]

    def window(self, shift: int, count: int = COUNT) -> Tensor:
        """The scores `(1, classes, count, *space)` of the window moved by `shift` steps."""
        return torch.stack([self(k) for k in range(shift, shift + count)], dim=2)

    def measured(self, function: Callable[[Scores], tuple[Tensor, int]]) -> tuple[Tensor, int, float, float]:
        """What `function` makes of the scores, and its cost as if nothing had been computed before.

        Returns:
            scores on the voxels, shift, seconds, and the samples of all grids over those of the unmoved window.
        """
        known, self.asked = set(self._known), set()
        start = time.perf_counter()
        with torch.inference_mode():
            scores, shift = function(self)
        seconds = time.perf_counter() - start + sum(self.seconds[k] for k in self.asked & known)
        volume = sum(BASE ** (-3 * k) for k in self.asked) / sum(BASE ** (-3 * k) for k in range(COUNT))
        return scores, shift, seconds, volume


def known_shift(factor: float) -> int:
    """The step of the window that fits content `factor` times as large."""
    return round(log(factor) / log(BASE))


def mean_scores(window: Tensor) -> Tensor:
    """The projection of the network's own: the mean over the scales."""
    return window.mean(dim=2)


def labels_of(scores: Tensor) -> Tensor:
    """Class indices `(batch, *space)` of the scores `(batch, classes, *space)`."""
    return scores.max(dim=1).indices  # ten times as fast as argmax, along so short an axis


def dice(predicted: Tensor, truth: Tensor | npt.NDArray[np.uint8]) -> float:
    """Hard Dice, mean over the classes that are in either of them."""
    values = hard_dice(predicted, torch.as_tensor(truth), CLASSES)
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def agreement(window: Tensor) -> list[float]:
    """For every scale the Dice between its own prediction and that of the whole window `(1, classes, scales, …)`."""
    whole = labels_of(mean_scores(window))
    return [dice(labels_of(own), whole) for own in window.unbind(dim=2)]


def features(window: Tensor, shift: int = 0, volume: bool = False) -> npt.NDArray[np.float64]:
    """What the head sees of a window: the confidence of every scale and of the whole, and the agreement of each.

    With `volume` also the predicted size in samples of the grids: then the head learns how large such an object is.
    """
    predictions = [*window.unbind(dim=2), mean_scores(window)]
    found = [float(foreground_confidence(part)) for part in predictions] + agreement(window)
    if volume:
        sizes = [int((labels_of(part) > 0).sum()) * BASE ** (-3 * shift) for part in predictions]
        found += [log(30 + size) for size in sizes]
    return np.array(found)


@dataclass(frozen=True)
class Head:
    """Tells from one window how many steps it has to be moved; linear, by ridge regression.

    It learns from the training volumes at scale 1, whose windows are moved by known steps: no further labels.
    """

    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    bias: float

    @classmethod
    def fit(cls, rows: npt.NDArray[np.float64], steps: npt.NDArray[np.float64], penalty: float = 10.0) -> Head:
        """From the features `(samples, features)` of windows and the steps `(samples,)` by which to move them."""
        mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        z = (rows - mean) / spread
        weight = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (steps - steps.mean()))
        return cls(mean, spread, weight, float(steps.mean()))

    def __call__(self, row: npt.NDArray[np.float64]) -> int:
        """Steps, within `SHIFTS`."""
        steps = float((row - self.mean) / self.spread @ self.weight) + self.bias
        return int(np.clip(round(steps), min(SHIFTS), max(SHIFTS)))


def fit_head(net: OneScaleAtATime, scans: Sequence[Scan], volume: bool = False) -> Head:
    """The head of a trained network, from windows moved by -2 to 3 steps on its training volumes."""
    rows, steps = [], []
    for scan in scans:
        scores = Scores(net, scan.image)
        for shift in (*SHIFTS, 3):
            rows.append(features(scores.window(shift), shift, volume))
            steps.append(-float(shift))
    return Head.fit(np.array(rows), np.array(steps))


def without_object(scan: Scan, rng: np.random.Generator) -> Image:
    """The scan with its object replaced: smooth tissue from around it, with the texture's strength from there."""
    hole = ndimage.binary_dilation(scan.label > 0, iterations=2)
    shell = ndimage.binary_dilation(hole, iterations=4) & ~hole
    channels = []
    for channel in scan.image:
        volume = channel.copy()
        volume[hole] = channel[shell].mean()
        for _ in range(300):
            volume[hole] = ndimage.uniform_filter(volume, 3, mode="nearest")[hole]
        texture = ndimage.gaussian_filter(rng.standard_normal(channel.shape), 0.7)
        strength = (channel - ndimage.gaussian_filter(channel, 1.5))[shell].std()
        volume[hole] += strength * texture[hole] / texture.std()
        channels.append(volume)
    return np.stack(channels).astype(np.float32)


def phases_at_random(scan: Scan, rng: np.random.Generator) -> Image:
    """A volume of the same power spectrum as the scan and without any structure."""
    channels = []
    for channel in scan.image:
        phases = np.angle(np.fft.rfftn(rng.standard_normal(channel.shape)))
        power = np.abs(np.fft.rfftn(channel - channel.mean()))
        channels.append(np.fft.irfftn(power * np.exp(1j * phases), channel.shape) + channel.mean())
    return np.stack(channels).astype(np.float32)
