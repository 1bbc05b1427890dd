"""Foveated scale channels: a whole network looks at copies of an image in several sizes.

Jansson, Lindeberg, "Scale-Invariant Scale-Channel Networks: Deep Networks That Generalise to Previously Unseen Scales",
Journal of Mathematical Imaging and Vision 64, 2022 (arXiv 2106.06418, 2021); ICPR 2020 (arXiv 2004.01536).

With a network φ, `D_s` resampling to a grid of spacing s, and `C` the central field of N samples:

- FovMax `max_s φ(C D_s f)`, FovAvg `mean_s φ(C D_s f)`,
- FovConc: a linear layer of all `φ(C D_s f)`,
- SWMax: the maximum over s and over all places p of a window in `D_s f`, `max_{s,p} φ(C_p D_s f)`.

All channels cost the same; the coarse ones see more of the image in less detail. φ may be any network: dilating the
image by the base hands each channel what its neighbour saw before.

Exact: that, for grid ratios, up to resampling (1e-4). Approximate: the ends of the set of scales, where a channel comes
in and one is lost; objects beside the centre, but for SWMax. FovConc is not invariant at all.

Where the paper could not be read: s are powers of √2, the border is replicated, and the windows of SWMax stand a
quarter of their size apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from scalegroup.engine import resample
from scalegroup.errors import ScaleGroupError
from scalegroup.groups.checks import as_integer
from scalegroup.methods.method import Method
from scalegroup.methods.networks import LayerClassifier
from scalegroup.methods.plain import PlainLayers
from scalegroup.nn.grid import PADDING_MODES, choice, positive

MODES = ("fovmax", "fovavg", "fovconc", "swmax")
SCALES = tuple(2 ** (k / 2) for k in range(-2, 3))


class FoveatedChannels(torch.nn.Module):
    """A classifier of images on copies of them in several sizes, and one score for each class.

    Args:
        backbone: a network `(batch, channels, *space)` to `(batch, classes)`, or to maps of scores, whose maximum over
            space is taken.
        scales: spacing of the grid of each copy in voxels: the copy of scale 2 shows an object of size 2 as that of
            scale 1 shows one of size 1. Default 1/2, 1/√2, 1, √2, 2.
        mode: "fovmax" (default), "fovavg", "fovconc" or "swmax", see above.
        size: samples along each axis of the central field, or of the sliding window; best even or odd as the image's,
            or the samples of scale 1 lie between the voxels. Default: as many as the image has.
        num_classes: number of scores, for "fovconc" only.
        padding_mode: what lies outside the image. Default "replicate".

    Shape:
        `(batch, channels, *space)` to `(batch, classes)`.

    Raises:
        ScaleGroupError: for bad arguments.

    Source: Jansson and Lindeberg 2021.

    Example:
        >>> pooled = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 5), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
        >>> FoveatedChannels(pooled, mode="fovavg")(torch.randn(2, 1, 20, 20)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        backbone: torch.nn.Module,
        scales: Sequence[float] = SCALES,
        mode: str = "fovmax",
        size: int | None = None,
        *,
        num_classes: int | None = None,
        padding_mode: str = "replicate",
    ) -> None:
        super().__init__()
        if not isinstance(backbone, torch.nn.Module):
            raise ScaleGroupError("a torch.nn.Module as backbone", repr(backbone), "pass a network, not its class")
        self.scales = tuple(positive(scale, "a scale") for scale in scales)
        if not self.scales:
            raise ScaleGroupError("one scale or more", scales, "they are the spacings of the copies in voxels")
        self.mode = choice(mode, MODES, "mode")
        hint = "None takes the size of the image"
        self.size = None if size is None else as_integer(size, "size, an integer >= 1", hint, minimum=1)
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self.backbone = backbone
        if (self.mode == "fovconc") != (num_classes is not None):
            raise ScaleGroupError("num_classes for mode 'fovconc', and only for it", num_classes, "it adds a layer")
        width = num_classes or 0
        self.head = torch.nn.Linear(len(self.scales) * width, width) if width else None

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, *space)` to `(batch, classes)`."""
        if x.ndim < 3:
            hint = "add the axis of the batch or of the channels"
            raise ScaleGroupError("an image (batch, channels, *space)", tuple(x.shape), hint)
        scores = torch.stack([self._scores(self._copy(x, scale)) for scale in self.scales], dim=2)
        if self.head is not None:
            return self.head(scores.flatten(1))  # type: ignore[no-any-return]
        return scores.mean(dim=2) if self.mode == "fovavg" else scores.amax(dim=2)

    @property
    def _step(self) -> int:
        """Samples between windows; without windows any number of samples will do, even or odd as the image's."""
        return 1 if self.size is None else max(1, self.size // 4)

    def _field(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape[2:]) if self.size is None else (self.size,) * (x.ndim - 2)

    def _copy(self, x: Tensor, scale: float) -> Tensor:
        """The central field on the grid of a scale, or as many windows, one of them central, as hold the image."""
        sizes = self._field(x)
        if self.mode == "swmax":
            wider = [max(0, ceil((n / scale - m) / (2 * self._step))) for n, m in zip(x.shape[2:], sizes, strict=True)]
            sizes = tuple(m + 2 * self._step * more for m, more in zip(sizes, wider, strict=True))
        if sizes == tuple(x.shape[2:]) and scale == 1.0:
            return x
        return resample(x, sizes, [scale] * len(sizes), self.padding_mode)

    def _scores(self, copy: Tensor) -> Tensor:
        """`(batch, classes)`: of the copy, or the maximum over its windows."""
        if self.mode != "swmax" or self.size is None:
            return self._pooled(copy)
        windows = copy
        for axis in range(2, copy.ndim):  # each axis becomes that of the windows, and one behind all others
            windows = windows.unfold(axis, self.size, self._step)
        places = windows.movedim(1, copy.ndim - 1)  # (batch, *windows, channels, *size)
        flat = places.reshape(-1, copy.shape[1], *(self.size,) * (copy.ndim - 2))
        scores: Tensor = self._pooled(flat).unflatten(0, (copy.shape[0], -1))
        return scores.amax(dim=1)

    def _pooled(self, x: Tensor) -> Tensor:
        scores: Tensor = self.backbone(x)
        return scores if scores.ndim == 2 else scores.flatten(2).amax(dim=2)

    def extra_repr(self) -> str:
        """Mode, scales and size."""
        return f"mode={self.mode!r}, scales={tuple(round(s, 3) for s in self.scales)}, size={self.size}"


def fovmax_classifier(dim: int, in_channels: int, num_classes: int, channels: Sequence[int]) -> FoveatedChannels:
    """FovMax of the ordinary network that all methods are compared with."""
    return FoveatedChannels(LayerClassifier(PlainLayers(dim), in_channels, num_classes, tuple(channels)))


METHOD = Method(
    name="jansson2021",
    title="FovMax",
    source="Jansson, Lindeberg, Scale-Invariant Scale-Channel Networks, 2021",
    kind="scale channels",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=None,
    classifier=fovmax_classifier,
    no_unet="it pools the scores of whole images",
)
