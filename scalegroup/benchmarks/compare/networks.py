"""The same networks by every method, and by the plain ones that they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch

from scalegroup import methods
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.layers import Layers
from scalegroup.methods.networks import block
from scalegroup.methods.registry import BEYOND, REFERENCES, TABLE

PLAIN, WIDE = REFERENCES  # the one that all ratios refer to, and one with wider kernels
CHANNELS = (16, 32)  # of classifiers that learn and are timed
CLASSES = 10


def chosen_names(words: str) -> list[str]:
    """The names in a text such as "plain,sosnovik2019"; "all" are the plain networks and all methods.

    Raises:
        ScaleGroupError: for a name that is not known.

    Example:
        >>> chosen_names("plain7, plain")
        ['plain7', 'plain']
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if not names:
        raise ScaleGroupError("names of methods, or all", repr(words), "such as plain,ours")
    if names == ["all"]:
        return [*REFERENCES, *TABLE, *BEYOND]
    for name in names:
        methods.get(name)
    return names


def chosen_dims(words: str) -> list[int]:
    """The numbers of axes in a text such as "2,3".

    Example:
        >>> chosen_dims("2,3")
        [2, 3]
    """
    dims = [word.strip() for word in words.split(",")]
    if not set(dims) <= {"1", "2", "3"}:
        raise ScaleGroupError("numbers of axes out of 1, 2, 3", repr(words), "such as 2,3")
    return [int(word) for word in dict.fromkeys(dims)]


def has_dim(name: str, dim: int) -> bool:
    """Whether there is such a network for images of so many axes."""
    return dim in methods.get(name).dims


def layers_of(name: str, dim: int, base: float | None = None, num_scales: int | None = None) -> Layers:
    """The layers of a method.

    Args:
        name: of a method or a plain network.
        dim: number of axes of space.
        base: ratio of neighbouring scales. Default: the method's own.
        num_scales: number of scales. Default: the method's own.

    Raises:
        ScaleGroupError: for a method without, and for scales that it does not have.
    """
    return methods.get(name).parts(dim, base, num_scales)


def classifier(name: str, dim: int, channels: Sequence[int] = CHANNELS) -> torch.nn.Module:
    """A classifier of images of one channel.

    Args:
        name: of a method or a plain network.
        dim: number of axes of space.
        channels: feature maps of each level. Default (16, 32).

    Shape:
        `(batch, 1, *space)` to `(batch, 10)`.

    Example:
        >>> classifier("plain7", 2)(torch.zeros(3, 1, 16, 16)).shape
        torch.Size([3, 10])
    """
    return methods.classifier(name, dim=dim, in_channels=1, num_classes=CLASSES, channels=channels)


def unet(name: str, dim: int, channels: tuple[int, int]) -> torch.nn.Module:
    """A U-Net of two levels from one channel to one.

    Args:
        name: of a method or a plain network.
        dim: number of axes of space.
        channels: feature maps of each level.

    Raises:
        ScaleGroupError: if there is none by this method.
    """
    return methods.unet(name, dim=dim, in_channels=1, out_channels=1, channels=channels, strides=(2,))


def features(layers: Layers, channels: int) -> torch.nn.Sequential:
    """Lifting, norm, activation, convolution, norm, activation: what networks by a method consist of.

    Args:
        layers: of the method.
        channels: feature maps.
    """
    return torch.nn.Sequential(*block(layers, 1, channels, lifts=True), *block(layers, channels, channels))


def settle(network: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    """Gives all norms the statistics of one batch of images, and puts the network into eval mode.

    Without it the norms of a new network would leave its activations near zero, where smooth ones are all but linear.

    Args:
        network: any, with norms that have a momentum.
        images: `(batch, channels, *space)`.

    Example:
        >>> norm = torch.nn.BatchNorm1d(1)
        >>> settle(norm, torch.tensor([[[1.0, 3.0]]])).running_mean
        tensor([2.])
    """
    with torch.no_grad(), _whole_momentum(network.modules()):
        network.train()(images)
    return network.eval()


@contextmanager
def _whole_momentum(parts: Iterable[torch.nn.Module]) -> Iterator[None]:
    """A new batch replaces the statistics instead of moving them a little."""
    before = {part: part.momentum for part in parts if isinstance(getattr(part, "momentum", None), float)}
    for part in before:
        part.momentum = 1.0  # type: ignore[assignment]
    try:
        yield
    finally:
        for part, momentum in before.items():
            part.momentum = momentum
