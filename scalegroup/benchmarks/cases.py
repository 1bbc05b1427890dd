"""What is measured: layers by every method and their baselines, and the training step of a U-Net."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from scalegroup.benchmarks.baselines import PlainConvs, PublishedConv
from scalegroup.engine import METHODS, native
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models import UNet
from scalegroup.nn import GroupConv
from scalegroup.symbolic import HermiteBasis

WIDTHS = (5, 9, 13, 25)
WIDTH_WITHOUT_C = 9
SIZES = ((8, 64), (16, 48), (32, 48), (32, 24))  # channels, voxels per axis
SCALES = 4
BASES = {27: HermiteBasis((2, 2, 2), 3, "each"), 10: HermiteBasis(2, 3)}  # by their number of functions
PUBLISHED, PLAIN = "published", "plain"  # the baselines
WITHOUT_C = "separable without C"  # as where there was no compiler: torch's matrix products
SMALL_VOLUME = 20480  # C·N² up to which torch does not use oneDNN for a single volume and a narrow kernel
TRAINING = 3  # times the multiply-adds of a forward pass: the output and two gradients


class Case(ABC):
    """Something that is measured. Cases of one `group` are measured in turns, so that their ratios are of one time."""

    method: str

    @property
    @abstractmethod
    def name(self) -> str:
        """Words that tell the case from all others."""

    @property
    @abstractmethod
    def group(self) -> str:
        """What it has in common with the cases that it is compared with."""

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds of dense kernels, elsewhere of the mixing of channels; None: not counted."""
        return None

    @property
    def easier(self) -> Case | None:
        """One that takes no longer: where that is stopped, this is not tried."""
        return None

    @property
    def patience(self) -> float:
        """How many times the usual limit it may take."""
        return 1.0

    @abstractmethod
    def small(self) -> Case:
        """A case of the same kind that runs in no time, to load what is loaded once."""

    @abstractmethod
    def prepare(self, device: torch.device) -> Callable[[], object]:
        """Make layers and inputs; return what is to be timed."""


@dataclass(frozen=True)
class Layer(Case):
    """A convolution of regular fields with four scales that do not interact, with kernels of one width.

    Args:
        method: one of the engine, or the baseline "published" (dense kernels, one grouped convolution) or "plain"
            (four convolutions with 3×3×3 kernels), or "separable without C" (as where there was no compiler).
        functions: in the basis: 27 (each degree up to 2) or 10 (total degree up to 2).
        width: of the kernels in voxels, at all scales.
        channels: fields in the input and in the output.
        size: voxels along each axis.
        train: the gradients of input and weights too.

    Example:
        >>> case = Layer("separable", 10, 5, 2, 8)
        >>> case.name
        'separable 10 functions k=5 C=2 N=8 forward'
        >>> [y.shape for y in case.prepare(torch.device("cpu"))()]
        [torch.Size([1, 8, 8, 8, 8])]
    """

    method: str
    functions: int
    width: int
    channels: int
    size: int
    train: bool = False

    @property
    def name(self) -> str:
        """Words that tell the case from all others."""
        return f"{self.method} {self.functions} functions {self.group}"

    @property
    def group(self) -> str:
        """Width, channels, size and pass."""
        return f"k={self.width} C={self.channels} N={self.size} {self.passes}"

    @property
    def passes(self) -> str:
        """What is timed."""
        return "forward+backward" if self.train else "forward"

    @property
    def multiply_adds(self) -> int:
        """`k³ C² N³ S` for dense kernels, `F C² N³ S` for the others."""
        per_pair = self.width**3 if self.method in (PUBLISHED, "dense") else self.functions
        return (TRAINING if self.train else 1) * per_pair * self.channels**2 * self.size**3 * SCALES

    @property
    def easier(self) -> Layer | None:
        """The forward pass alone; all scales in one convolution instead of one for each."""
        if self.train:
            return replace(self, train=False)
        return replace(self, method=PUBLISHED) if self.method == "dense" else None

    def small(self) -> Layer:
        """The same with two channels on eight voxels."""
        return replace(self, channels=2, size=8, width=5)

    def prepare(self, device: torch.device) -> Callable[[], object]:
        """The layer, a random input and, to train, a random gradient of the output."""
        torch.manual_seed(0)
        layer = self._layer().to(device)
        space = (self.size,) * 3
        if self.method == PLAIN:
            # Each scale a tensor of its own; but torch has a path ten times slower for a single small volume.
            batches = [SCALES] if self.channels * self.size**2 <= SMALL_VOLUME else [1] * SCALES
            inputs = [torch.randn(batch, self.channels, *space, device=device) for batch in batches]
        else:
            inputs = [torch.randn(1, SCALES * self.channels, *space, device=device)]
        if self.train:
            slopes = [torch.randn_like(x) for x in inputs]  # outputs are as large as inputs
            run: Callable[[], object] = partial(_forward_backward, layer, [x.requires_grad_() for x in inputs], slopes)
        else:
            run = partial(_forward, layer, inputs)
        return partial(_without_c, run) if self.method == WITHOUT_C else run

    def _layer(self) -> torch.nn.Module:
        if self.method == PLAIN:
            return PlainConvs(self.channels)
        basis = BASES[self.functions]
        # Nearly equal scales, the largest of them 1: all kernels have the width of the largest.
        group = ScaleTranslationGroup(3, base=1.001, num_scales=SCALES, first=1 - SCALES)
        field = self.channels * group.regular
        method = {PUBLISHED: "dense", WITHOUT_C: "separable"}.get(self.method, self.method)
        conv = GroupConv(field, field, basis=basis, support=self.width // 2, bias=False, method=method)
        return PublishedConv(conv) if self.method == PUBLISHED else conv


def _forward(layer: torch.nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        y = layer(*inputs)
    return y if isinstance(y, tuple) else (y,)


def _without_c(run: Callable[[], object]) -> object:
    with patch.object(native, "library", lambda: None):
        return run()


def _forward_backward(layer: torch.nn.Module, inputs: Sequence[Tensor], slopes: Sequence[Tensor]) -> tuple[Any, ...]:
    y = layer(*inputs)
    outputs = y if isinstance(y, tuple) else (y,)
    return outputs, torch.autograd.grad(outputs, (*inputs, *layer.parameters()), slopes)


@dataclass(frozen=True)
class UNetStep(Case):
    """A training step of a U-Net with four scales on one grid and kernels of total order 2.

    Args:
        method: of the engine, in all convolutions.
        channels: at each level.
        size: voxels along each axis.

    Example:
        >>> UNetStep("auto", (2, 4), 8).name
        'auto U-Net step C=2,4 N=8'
    """

    method: str
    channels: tuple[int, ...] = (8, 16, 32)
    size: int = 64

    @property
    def name(self) -> str:
        """Words that tell the case from all others."""
        return f"{self.method} {self.group}"

    @property
    def group(self) -> str:
        """Channels and size."""
        return f"U-Net step C={','.join(map(str, self.channels))} N={self.size}"

    @property
    def patience(self) -> float:
        """Dense kernels of 53 voxels, which a stride of 2 asks for at the largest scale, take minutes."""
        return 6.0

    def small(self) -> UNetStep:
        """The same on the smallest volume."""
        return replace(self, channels=(2, 2), size=8)

    def prepare(self, device: torch.device) -> Callable[[], object]:
        """The network and a random scan."""
        torch.manual_seed(0)
        strides = (2,) * (len(self.channels) - 1)
        window: dict[str, Any] = {"num_scales": SCALES, "first": 0, "train_scales": None, "sampling": "uniform"}
        layers: dict[str, Any] = {"norm": "batch", "padding_mode": "replicate", "scale_pool": "max"}
        net = UNet(3, 1, 2, self.channels, strides, method=self.method, **window, **layers).to(device)
        return partial(_step, net, torch.randn(1, 1, *[self.size] * 3, device=device))


def _step(net: torch.nn.Module, x: Tensor) -> None:
    net.zero_grad()
    net(x).square().mean().backward()


def layers(
    sizes: Sequence[tuple[int, int]] = SIZES, widths: Sequence[int] = WIDTHS, methods: Sequence[str] = METHODS
) -> list[Layer]:
    """One layer by all methods, forward and with both gradients.

    Dense kernels and plain ones cost the same for every basis, and are measured with 27 functions; what "auto" chooses
    is measured with 10, the basis that layers have by default. So is what runs without C, and at 9 voxels only.

    Args:
        sizes: pairs of channels and voxels per axis.
        widths: of the kernels.
        methods: of the engine.

    Example:
        >>> [case.name for case in layers([(2, 8)], [5], ["auto", "dense"])[:3]]
        ['plain 27 functions k=5 C=2 N=8 forward', 'published 27 functions k=5 C=2 N=8 forward',
        'dense 27 functions k=5 C=2 N=8 forward']
    """
    kinds = [(PLAIN, 27), (PUBLISHED, 27)]
    kinds += [(method, functions) for functions in BASES for method in methods if functions in _functions(method)]
    without_c = [(WITHOUT_C, 10)] if "separable" in methods else []
    return [
        Layer(method, functions, width, channels, size, train)
        for (channels, size), width, train in product(sizes, widths, (False, True))
        for method, functions in (*kinds, *(without_c if width == WIDTH_WITHOUT_C else ()))
    ]


def _functions(method: str) -> tuple[int, ...]:
    return {"dense": (27,), "auto": (10,)}.get(method, tuple(BASES))


def all_cases(quick: bool = False) -> list[Case]:
    """All that `scalegroup bench` measures.

    Args:
        quick: tiny cases: does it run? Default False.
    """
    if quick:
        return [*layers([(4, 16), (8, 12)], (5, 9)), *(UNetStep(method, (2, 4), 12) for method in ("auto", "dense"))]
    return [*layers(), *(UNetStep(method) for method in ("auto", "dense"))]
