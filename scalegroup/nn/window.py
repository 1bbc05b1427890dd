"""Other windows of scales for the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import TypeVar

import torch

from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.groups.checks import as_integer
from scalegroup.nn.module import EquivariantModule, group_of

M = TypeVar("M", bound=torch.nn.Module)


def with_window(module: M, num_scales: int | None = None, first: int = 0) -> M:
    """A copy of the network on another window of scales, with the same weights.

    Weights are shared by all scales, so they fit any window. A network trained on 4 scales can be tested on 6 or 8:
    content that would leave the window stays inside, and the projection over the scales changes less.

    Args:
        module: a network of equivariant layers, trained or not.
        num_scales: number of scales of the new window at the network's input. Default: as many as now.
        first: where the new window begins, in steps of the base from the first scale of the old one; -1 adds a
            finer scale. Finer than the voxel the kernels are fitted to the band, not sampled.

    Returns:
        The copy; parameters and running statistics are copied too.

    Raises:
        ScaleGroupError: if there is no equivariant layer, or a layer would be left without a scale.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> wide = sg.with_window(sg.nn.GroupConv(field, field), num_scales=6, first=-1)
        >>> wide(torch.randn(1, 12, 8, 8)).shape
        torch.Size([1, 12, 8, 8])
    """
    module = deepcopy(module)
    layers = _layers(module)
    old = group_of(layers[0].in_type)
    count = old.num_scales if num_scales is None else num_scales
    num_scales = as_integer(count, "num_scales, an integer >= 1", "it is the number of scales", minimum=1)
    first = as_integer(first, "first, an integer", "-1 adds a finer scale")
    for layer in layers:
        layer.in_type = layer.in_type.with_group(_moved(group_of(layer.in_type), old, num_scales, first))
        layer.out_type = layer.out_type.with_group(_moved(group_of(layer.out_type), old, num_scales, first))
    for layer in layers:
        tensor = next(chain(layer.parameters(), layer.buffers()), None)  # of layers without weights a constant
        layer.build()
        if tensor is not None:
            layer.to(tensor.device)
    return module


def _layers(module: torch.nn.Module) -> list[EquivariantModule]:
    parts = module.modules() if isinstance(module, torch.nn.Module) else ()
    layers = [layer for layer in parts if isinstance(layer, EquivariantModule)]
    if not layers:
        hint = "only networks of scalegroup.nn layers have a window"
        raise ScaleGroupError("a network with equivariant layers", type(module).__name__, hint)
    return layers


def _left(group: ScaleTranslationGroup, old: ScaleTranslationGroup, num_scales: int) -> int:
    """How many scales are left in the window of a layer if the network's input has so many."""
    size = group.num_scales + num_scales - old.num_scales
    if size < 1:
        hint = f"use at least {old.num_scales - group.num_scales + 1} scales; some layers narrow the window"
        raise ScaleGroupError("num_scales that leaves every layer a scale", num_scales, hint)
    return size


def _moved(
    group: ScaleTranslationGroup, old: ScaleTranslationGroup, num_scales: int, first: int
) -> ScaleTranslationGroup:
    """The window of a layer, changed as that of the network's input is."""
    return group.window(num_scales=_left(group, old, num_scales), first=group.first + first)


@contextmanager
def run_of_scales(module: torch.nn.Module, start: int, num_scales: int) -> Iterator[None]:
    """Inside the context the network sees `num_scales` neighbouring scales of its window only, from index `start`.

    Args:
        module: a network of equivariant layers on one window.
        start: index of the first scale.
        num_scales: number of scales at the network's input.

    Raises:
        ScaleGroupError: if there is no equivariant layer, for a run that leaves the window, or if a layer would be
            left without a scale.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=4).regular
        >>> conv = sg.nn.GroupConv(1 * field.group.scalar, field)
        >>> with sg.nn.run_of_scales(conv, start=1, num_scales=2):
        ...     conv(torch.randn(1, 1, 8, 8)).shape
        torch.Size([1, 4, 8, 8])
    """
    layers = _layers(module)
    window = group_of(layers[0].in_type).num_scales
    num_scales = as_integer(num_scales, "num_scales, an integer", "it is the length of the run")
    start = as_integer(start, "start, an integer >= 0", "it is the index of a scale")
    dropped = window - num_scales
    if not (num_scales >= 1 and 0 <= start <= dropped):
        hint = f"the window has {window} scales"
        raise ScaleGroupError("a run of scales inside the window", (start, num_scales), hint)
    for layer in layers:
        for side in (layer.in_type, layer.out_type):
            _left(group_of(side), group_of(layers[0].in_type), num_scales)
    before = [layer._run for layer in layers]
    for layer in layers:
        layer.set_run(start, dropped)
    try:
        yield
    finally:
        for layer, run in zip(layers, before, strict=True):
            layer.set_run(*run)
