"""Both ways round the square of equivariance, computed and compared as the testing kit does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import grids, group_of, has_scales, on_grids
from scalegroup.testing.errors import check_output, relative_error, run_copy
from scalegroup.testing.experiment import Experiment
from scalegroup.testing.inputs import Array, Line, centred, dilation_matrix, lines
from scalegroup.testing.places import Axes, input_places, output_places, product_of_strides, sampled
from scalegroup.testing.sampling import at_positions

INTERIOR = 0.6  # the share of each axis that is compared, as by `testing.equivariance_error`
FINE = 150  # points along an axis of the picture of an input that is known everywhere
SEEN = 0.75  # the share of each axis that is seen of such an input, which is empty towards the border
DIMS: dict[type, int] = {torch.nn.Conv1d: 1, torch.nn.Conv2d: 2, torch.nn.Conv3d: 3}


@dataclass(frozen=True)
class Shown:
    """A sampled field, and the channel of it that is shown.

    Attributes:
        tensors: one, or one for each scale.
        places: where the samples of each lie, in voxels from the middle of the volume.
        field: its type.
        line: the channel, or the channels of all scales that belong together.
        index: the scale of these, counted from the finest.
    """

    tensors: list[Tensor]
    places: list[Axes]
    field: FieldType
    line: Line
    index: int

    @property
    def scale(self) -> float | None:
        """The scale that is shown; None of a field without scales."""
        return None if self.line.scales is None else self.line.scales[self.index]

    def values(self, positions: Axes, factor: float = 1.0) -> Tensor:
        """All channels that transform like the one shown, at its scale: `(batch, channels, *positions)`.

        Args:
            positions: where, along each axis.
            factor: of the field acted on by this factor, but for the step along the scales.
        """
        if on_grids(self.field):
            part, place = self.tensors[self.index], self.places[self.index]
        else:
            channels = [line.start + (self.index if line.scales else 0) for line in self._alike]
            part, place = self.tensors[0][:, channels], self.places[0]
        part = at_positions(part, place, [axis / factor for axis in positions], None)
        gains = torch.from_numpy(dilation_matrix(self._alike, factor)).to(part)
        return torch.einsum("kl,bl...->bk...", gains, part)

    def picture(self, screen: Axes, factor: float = 1.0) -> Array:
        """The channel shown, of the first volume of the batch, on the points of a screen: `(*screen)`."""
        values = self.values(screen, factor)[0, self._alike.index(self.line)]
        inside = np.ones(())
        for axis, place in zip(screen, self.places[0], strict=True):
            edge = np.abs(place).max() + 0.5 * (place[1] - place[0] if len(place) > 1 else 1.0)
            inside = inside[..., None] * np.where(np.abs(axis / factor) <= edge, 1.0, np.nan)  # nan is not drawn
        pixels: Array = (values.numpy() * inside).reshape([len(axis) for axis in screen[-2:]])
        return pixels

    @property
    def _alike(self) -> list[Line]:
        return [line for line in lines(self.field) if (line.scales is None) == (self.line.scales is None)]


@dataclass(frozen=True)
class TwoPaths:
    """An input and its scaled copy, and what a network makes of them.

    Attributes:
        factor: of the scaling.
        x: the input.
        scaled_x: the input, scaled.
        y: the network's output for the input.
        y_of_scaled: its output for the scaled input.
        error: relative difference of `y`, scaled, and `y_of_scaled`: of all channels at the scale shown, in the
            interior.
        half: half the side of the interior, in voxels, before and after scaling.
        screen: positions of the points of a picture, along each axis.
    """

    factor: float
    x: Shown
    scaled_x: Shown
    y: Shown
    y_of_scaled: Shown
    error: float
    half: tuple[float, float]
    screen: Axes


def two_paths(
    net: torch.nn.Module, x: Tensor | None, scale: float | None, channel: int, index: int, seed: int, size: int | None
) -> TwoPaths:
    """Scales, runs the network, compares; see `plot_commuting_square` for the arguments."""
    in_field = _in_field(net, x, scale)
    group = group_of(in_field)
    side = size if x is None else min(x.shape[2:])
    experiment = Experiment.plan(group, scale, "blobs", side, INTERIOR)
    volume = (experiment.small,) * group.dim if x is None else tuple(x.shape[2:])
    grows = scale is None or scale > 1
    steps = experiment.steps or 0
    if x is None:
        pair = _analytic(net, in_field, experiment, seed)
    else:
        pair = _resampled(x, in_field, experiment.factor, grows)
    first = lines(in_field)[0]
    inputs = [
        Shown(*placed, in_field, first, min(index + step, len(first.scales or (0,)) - 1))
        for placed, step in zip(pair, (0, steps), strict=True)
    ]
    outputs = [_output(net, one, volume, channel, index + step) for one, step in zip(inputs, (0, steps), strict=True)]
    if outputs[0].scale is not None and experiment.steps is None:
        hint = f"this group has base {group.base:g}; or project the scales, with nn.ScalePool"
        raise ScaleGroupError("scale, a power of the base, for an output with scales", f"{scale:g}", hint)
    edge = INTERIOR * (experiment.large - 1) / 2
    halves = (edge / experiment.factor, edge)
    before, after = (0, 1) if grows else (1, 0)
    return TwoPaths(
        factor=experiment.factor if grows else 1 / experiment.factor,
        x=inputs[before],
        scaled_x=inputs[after],
        y=outputs[before],
        y_of_scaled=outputs[after],
        error=_error(experiment, *outputs),
        half=(halves[before], halves[after]),
        screen=_screen(volume, x is None),
    )


def _screen(volume: tuple[int, ...], known: bool) -> Axes:
    """The points of a picture, of volumes those of the middle slice: the voxels, or finer where all is known."""
    count = -(-FINE // volume[-1]) if known else 1
    axes = [centred(count * n, 1 / count) for n in volume[-2:]]
    if known:
        axes = [axis[np.abs(axis) <= SEEN * n / 2] for axis, n in zip(axes, volume[-2:], strict=True)]
    middle = 0.0 if known else centred(volume[0])[volume[0] // 2]  # on a voxel, where nothing is interpolated
    return [np.full(1, middle)] * (len(volume) == 3) + axes


def _in_field(net: torch.nn.Module, x: Tensor | None, scale: float | None) -> FieldType:
    """The type of the input: the network's own, or scalars as its first convolution reads them."""
    if x is not None and (not isinstance(x, Tensor) or x.ndim not in (3, 4, 5)):
        received = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ScaleGroupError("a tensor x, (batch, channels, *space)", received, "add the axes that are missing")
    own: Any = getattr(net, "in_type", None)
    field = own if isinstance(own, FieldType) else None
    if field is None:
        layer = next((part for part in net.modules() if isinstance(part, tuple(DIMS))), None)
        if layer is None and x is None:
            hint = "give an input x, (batch, channels, *space), which tells its axes and channels"
            raise ScaleGroupError("a network with types or with a convolution", type(net).__name__, hint)
        dim = x.ndim - 2 if x is not None else next(DIMS[kind] for kind in DIMS if isinstance(layer, kind))
        count = x.shape[1] if x is not None else int(layer.in_channels)  # type: ignore[union-attr, arg-type]
        base = 2**0.5 if scale is None else scale
        field = count * ScaleTranslationGroup(dim, base=base, num_scales=1).scalar
    if x is None:
        return field
    if has_scales(field):
        raise ScaleGroupError("a network of plain volumes, for an x of your own", str(field), "leave x out")
    dim = group_of(field).dim
    if x.ndim != dim + 2 or x.shape[1] != field.size or min(x.shape[2:]) < 3:
        hint = "at least 3 voxels along each axis"
        raise ScaleGroupError(f"x of shape (batch, {field.size}, {dim} axes of space)", tuple(x.shape), hint)
    return field


def _analytic(
    net: torch.nn.Module, field: FieldType, experiment: Experiment, seed: int
) -> list[tuple[list[Tensor], list[Axes]]]:
    """Blobs and their copies, which are known everywhere."""
    f = experiment.inputs(field, seed, 1, np.pi / 2, (2.0, 3.0), inside=False)
    places = input_places(field, experiment.small, product_of_strides(net))
    return [(grids(sampled(one, places)), places) for one in (f, f.act(experiment.factor))]


def _resampled(x: Tensor, field: FieldType, factor: float, grows: bool) -> list[tuple[list[Tensor], list[Axes]]]:
    """A volume and its copy, by a windowed sinc; zero outside of it."""
    place = [centred(n) for n in x.shape[2:]]
    shown = Shown([x.detach().double().cpu()], [place], field, lines(field)[0], 0)
    a = factor if grows else 1 / factor
    copy = shown.values(place, a)
    for n, axis in enumerate(place):
        outside = torch.from_numpy(np.abs(axis / a) > len(axis) / 2)
        copy = copy.movedim(n + 2, -1).masked_fill(outside, 0.0).movedim(-1, n + 2)
    pair = [(shown.tensors, [place]), ([copy], [place])]
    return pair if grows else pair[::-1]


def _output(net: torch.nn.Module, x: Shown, volume: tuple[int, ...], channel: int, index: int) -> Shown:
    """What the network makes of an input, and which channel of it is shown."""
    y = run_copy(net, tuple(x.tensors) if on_grids(x.field) else x.tensors[0], torch.float32)
    own: Any = getattr(net, "out_type", None)
    field = own if isinstance(own, FieldType) else y[0].shape[1] * group_of(x.field).scalar
    check_output(y, field)
    shapes = [tuple(part.shape[2:]) for part in y]
    along = [output_places(n, x.places, x.field, shapes, field) for n in volume]
    places = [[along[axis][part][axis] for axis in range(len(volume))] for part in range(len(y))]
    parts = lines(field)
    if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < len(parts):
        raise ScaleGroupError(f"channel from 0 to {len(parts) - 1}", repr(channel), f"the output is {field}")
    count = len(parts[channel].scales or (0,))
    if parts[channel].scales is None:
        return Shown(y, places, field, parts[channel], 0)
    if not 0 <= index < count:
        hint = "scaling moves content up the window; show a finer scale, or take a smaller factor or more scales"
        raise ScaleGroupError(f"a scale of the output's window of {count}", f"number {index}", hint)
    return Shown(y, places, field, parts[channel], index)


def _error(experiment: Experiment, small: Shown, large: Shown) -> float:
    """The figure of `testing.equivariance_error`, at the same points."""
    place = small.places[small.index if on_grids(small.field) else 0]
    points = [experiment.compared(axis) for axis in place]
    moved = [experiment.factor * axis for axis in points]
    return relative_error(large.values(moved), small.values(moved, experiment.factor))
