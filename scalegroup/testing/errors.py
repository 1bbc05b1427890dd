"""How far a module is from `f(L_a x) = L_a f(x)`, measured with inputs that are transformed exactly."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.groups.checks import as_integer
from scalegroup.nn.module import Samples, each, grids, on_grids
from scalegroup.testing.experiment import Experiment, Protocol, group_of
from scalegroup.testing.inputs import AnalyticField, centred, dilation_matrix, lines
from scalegroup.testing.places import Axes, input_places, product_of_strides, sampled
from scalegroup.testing.sampling import at_positions, circular, with_padding

Placed = tuple[list[Tensor], list[Axes]]
"""The tensors of a field, and the grid of each."""

DIVISOR = "divisor, an integer >= 1", "it is the product of all strides"


@dataclass(frozen=True)
class EquivarianceErrors:
    """Relative equivariance errors of one module under one factor: `‖f(L_a x) - L_a f(x)‖ / ‖f(x)‖` in the L2 norm.

    What does not exist (scalars in a regular field, or channels for a factor between two scales) is nan.

    Attributes:
        factor: a, at least 1: a and 1/a compare the same pair of inputs.
        protocol: how it was measured, see `equivariance_error`.
        scales: the scale s of each compared channel; the transformed output is read at the scale `a s`.
        channels: error of each compared scale channel, over all regular fields.
        truncated: for each of them, whether a layer wanted to read a scale beyond the window for it. Those errors
            belong to the truncated window, not to the layers.
        scalar: error of the fields without scales: scalars, characters, vectors that turn.
        projected_max: error of the maximum over the scales of the window.
        projected_mean: error of the mean over the scales of the window.
        trivial: the negative twin, `‖f(L_a x) - f(x)‖ / ‖f(x)‖`: as if nothing had to be done to the output. It must
            be large, or the input was too simple for the test to mean anything.
        floor: error of the comparison itself: the same figure for the inputs, sampled on the output's grid.
        border: change of what is compared if the volume is padded in another way (by the border voxels; by zeros, if
            that is what the module does); 0 on the torus and for modules that do not pad. Large where kernels are wide
            for the volume, and then a part of the errors is the border's.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=1, base=2.0, num_scales=3)
        >>> errors = equivariance_error(sg.nn.GroupConv(1 * group.scalar, 2 * group.regular))
        >>> errors.factor, errors.scales, errors.truncated
        (2.0, (1.0, 2.0), (False, False))
        >>> errors.per_scale == max(errors.channels) < 1e-3 < errors.projected < errors.trivial
        True
    """

    factor: float
    protocol: Protocol
    scales: tuple[float, ...]
    channels: tuple[float, ...]
    truncated: tuple[bool, ...]
    scalar: float
    projected_max: float
    projected_mean: float
    trivial: float
    floor: float
    border: float

    @property
    def per_scale(self) -> float:
        """The worst scale channel, of those whose inputs were all inside the window; nan if there is none."""
        return worst([error for error, cut in zip(self.channels, self.truncated, strict=True) if not cut])

    @property
    def projected(self) -> float:
        """The error without a scale axis: of scalar outputs, or else of the maximum over the scales."""
        return self.projected_max if math.isnan(self.scalar) else self.scalar

    @property
    def error(self) -> float:
        """The error of the law itself: the worst of scalar outputs and of channels inside the window."""
        return worst([value for value in (self.scalar, self.per_scale) if not math.isnan(value)])


def equivariance_error(
    module: torch.nn.Module,
    scale: float | None = None,
    protocol: Protocol = "blobs",
    *,
    size: int | None = None,
    seed: int = 0,
    batch: int = 1,
    wmax: float = math.pi / 2,
    width: tuple[float, float] = (2.0, 3.0),
    interior: float = 0.6,
    inside: bool = False,
    out_spacing: float | None = None,
    in_type: FieldType | None = None,
    out_type: FieldType | None = None,
    dim: int | None = None,
    channels: int | None = None,
    divisor: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> EquivarianceErrors:
    """Measure the equivariance of any module under dilation by one factor.

    Compares `F_g[k + m]` with `(L_a F_f)[k]`, where f is a random field, `g = L_a f` exactly, F the output, k a scale
    channel and `a = base^m`. The module is copied, in eval mode; itself it is not changed. Three protocols:

    - "blobs": both inputs on one grid, as scans come; any factor. Outputs are compared in the interior, by
      interpolation (`floor` says how well).
    - "lattice": an integer factor (a power of the base), g on `a (n - 1) + 1` points: the points of f are points of
      g, and nothing is interpolated.
    - "torus": periodic inputs on n and `a n` points, both integers, and `circular(module)`; resampling is exact. White
      up to `wmax`: the strictest of the three.

    Args:
        module: an `EquivariantModule`, or any module that takes and returns one tensor `(batch, channels, *space)`. Of
            fields with a grid for each scale each is compared on its own grid, where the points of both outputs
            coincide; their projection is measured on the voxels.
        scale: the factor a. Default: the base of the group, or its smallest power that suits the protocol. Under a
            factor that is no power of the base, regular outputs have only a projected error.
        protocol: "blobs", "lattice" or "torus". Default "blobs".
        size: voxels per axis of f, at least 3. Default in 1, 2, 3-D: 128, 64, 48 (blobs), 49, 33, 25 (lattice),
            72, 72, 36 (torus).
        seed: seed of the inputs. Default 0.
        batch: number of inputs. Default 1.
        wmax: torus only: highest frequency, radians per voxel of the smaller grid, up to π. Default π/2.
        width: blobs and lattice: range of the blobs' standard deviations in voxels. Default (2, 3).
        interior: blobs and lattice: share of the volume, per axis, that is compared. Default 0.6.
        inside: leave those scales of a regular input empty from which the factor moves content out of the window, so
            that the truncated window causes no error. Default False.
        out_spacing: distance of output points in voxels of the input, where the sizes do not tell it; of an output with
            a grid for each scale in units of the scale.
        in_type: type of the input; default: the module's own.
        out_type: type of the output; default: the module's own, or scalars.
        dim: dimension of space, for a module without types.
        channels: number of input channels, for a module without types.
        divisor: of an input with a grid for each scale: product of the strides, see `nn.HaarLift`. Default: of all
            strides in the module.
        dtype: what the copy computes in. Default float64.

    Returns:
        The errors, see `EquivarianceErrors`.

    Raises:
        ScaleGroupError: for a factor or a size that the protocol cannot use, for any other number out of its range, and
            for modules whose types are unknown.

    Example:
        >>> blur = torch.nn.Conv2d(1, 1, 5, padding=2, bias=False)  # a blur of fixed width does not scale
        >>> _ = blur.weight.requires_grad_(False).fill_(1 / 25)
        >>> equivariance_error(blur, scale=1.5, dim=2, channels=1).projected > 0.05
        True
        >>> equivariance_error(torch.nn.SiLU(), scale=1.5, dim=2, channels=1).projected < 1e-3
        True
    """
    in_field, out_field = _types(module, in_type, out_type, dim, channels, scale)
    group = group_of(in_field)
    experiment = Experiment.plan(group, scale, protocol, size, interior)
    f = experiment.inputs(in_field, seed, batch, wmax, width, inside)
    g = f.act(experiment.factor)
    strides = product_of_strides(module) if divisor is None else as_integer(divisor, *DIVISOR, minimum=1)
    sizes = experiment.small, experiment.large
    places_f, places_g = (input_places(in_field, n, strides, experiment.on_torus) for n in sizes)
    x_f, x_g = sampled(f, places_f), sampled(g, places_g)
    twin = circular(module) if experiment.on_torus else module
    y_f, y_g = run_copy(twin, x_f, dtype), run_copy(twin, x_g, dtype)
    if out_field is None:
        out_field = y_f[0].shape[1] * group.scalar
    check_output(y_f, out_field)

    shapes_f, shapes_g = ([tuple(y.shape[2:]) for y in ys] for ys in (y_f, y_g))
    grids_f, grids_g = experiment.output_places(
        (places_f, places_g), in_field, (shapes_f, shapes_g), out_field, out_spacing
    )
    result = _compare(experiment, (y_f, grids_f), (y_g, grids_g), out_field, truncation_reach(module))
    border = 0.0
    modes = {getattr(part, "padding_mode", None) for part in module.modules()} - {None}
    if modes and not experiment.on_torus:
        other = run_copy(with_padding(module, "zeros" if modes == {"replicate"} else "replicate"), x_g, dtype)
        border = _change(experiment, y_g, other, grids_g)
    return replace(result, floor=_floor(experiment, f, grids_f, grids_g, out_field), border=border)


def truncation_reach(module: torch.nn.Module) -> tuple[int, int]:
    """How many output scales at the bottom and at the top of the window may miss a term from beyond the window.

    The sum of `scale_extent - 1` over all layers that pad the scale axis: exact for layers in a row.
    """
    below = above = 0
    for part in module.modules():
        lost = int(getattr(part, "scale_extent", 1)) - 1
        valid = getattr(part, "scale_padding", None) == "valid"
        if getattr(part, "transposed", False) is True:  # reads finer scales; "valid" widens the window at the top
            below, above = below + lost, above + (lost if valid else 0)
        elif not valid:
            above += lost
    return below, above


def _compare(
    experiment: Experiment, f: Placed, g: Placed, field: FieldType, reach: tuple[int, int]
) -> EquivarianceErrors:
    """Two fields, each with its grids, at the same physical points."""
    if not on_grids(field):
        return _compare_on_grid(experiment, f[0][0], g[0][0], (f[1][0], g[1][0]), field, reach)
    # Each scale on its own grid; what concerns all scales together, at the same points for all.
    points = [experiment.compared(centred(experiment.small))] * (f[0][0].ndim - 2)
    moved = [experiment.factor * p for p in points]
    periods = [experiment.period(size) for size in (experiment.small, experiment.large)]
    y_f, y_g = (
        torch.stack([at_positions(y, axes, where, period) for y, axes in zip(*placed, strict=True)], 2).flatten(1, 2)
        for placed, where, period in zip((f, g), (points, moved), periods, strict=True)
    )
    together = field.with_group(group_of(field).window(sampling="uniform"))
    result = _compare_on_grid(experiment, y_f, y_g, (points, moved), together, reach)
    return replace(result, channels=_channels(experiment, f, g, group_of(field)))


def _channels(experiment: Experiment, f: Placed, g: Placed, group: ScaleTranslationGroup) -> tuple[float, ...]:
    """The error of each scale that stays inside the window, each on the points of its own grid."""
    if experiment.steps is None:
        return ()
    pairs = zip(zip(*f, strict=True), list(zip(*g, strict=True))[experiment.steps :], strict=False)
    return tuple(
        _compare_on_grid(experiment, y_f, y_g, (grid_f, grid_g), y_f.shape[1] * group.scalar, (0, 0)).scalar
        for (y_f, grid_f), (y_g, grid_g) in pairs
    )


def _floor(
    experiment: Experiment, f: AnalyticField, grids_f: list[Axes], grids_g: list[Axes], out_field: FieldType
) -> float:
    """The error of the comparison: of the inputs, known everywhere, on the grids of the output."""
    if on_grids(out_field):  # whatever the input is: as numbers that dilation leaves alone, on every grid
        group = group_of(f.field_type)
        f = replace(f, field_type=len(lines(f.field_type)) * group.scalar)
        pairs = ((f, grids_f), (f.act(experiment.factor), grids_g))
        one, two = (([field.sample(axes) for axes in places], places) for field, places in pairs)
        return max(_channels(experiment, one, two, group), default=0.0)
    g = f.act(experiment.factor)
    samples = f.sample(grids_f[0]), g.sample(grids_g[0])
    return _compare_on_grid(experiment, *samples, (grids_f[0], grids_g[0]), f.field_type, (0, 0)).error


def _change(experiment: Experiment, y: list[Tensor], other: list[Tensor], grids: list[Axes]) -> float:
    """By how much two outputs on the same grids differ where outputs are compared: the worst of the scales."""
    steps = (experiment.steps or 0) if len(grids) > 1 else 0
    changes = []
    for one, two, axes in list(zip(y, other, grids, strict=True))[steps:]:
        points = [experiment.factor * experiment.compared(grid / experiment.factor) for grid in axes]
        seen, changed = (at_positions(part, axes, points, None) for part in (one, two))
        changes.append(relative_error(changed, seen))
    return max(changes, default=0.0)


def _compare_on_grid(
    experiment: Experiment,
    y_f: Tensor,
    y_g: Tensor,
    grids: tuple[Axes, Axes],
    field: FieldType,
    reach: tuple[int, int],
) -> EquivarianceErrors:
    """Two fields on one grid each."""
    a, steps = experiment.factor, experiment.steps or 0
    points = [experiment.compared(grid) for grid in grids[0]]
    period = experiment.period(experiment.large)
    moved = at_positions(y_g, grids[1], [a * p for p in points], period)
    still = at_positions(y_g, grids[1], points, period)
    y_f = at_positions(y_f, grids[0], points, experiment.period(experiment.small))

    scalars = [line for line in lines(field) if line.scales is None]
    starts = [line.start for line in lines(field) if line.scales is not None]
    scales = next((line.scales for line in lines(field) if line.scales is not None), ())
    gains = torch.from_numpy(dilation_matrix(scalars, a)).to(y_f)
    singles = [line.start for line in scalars]

    window = [start + k for start in starts for k in range(len(scales))]
    empty = y_f[:, :0, None]
    stack_f, stack_g = (y[:, window].unflatten(1, (len(starts), -1)) if starts else empty for y in (y_f, moved))
    count = max(len(scales) - steps, 0) if experiment.steps is not None else 0
    top = len(scales) - steps - reach[1]
    return EquivarianceErrors(
        factor=a,
        protocol=experiment.protocol,
        scales=scales[:count],
        channels=tuple(relative_error(stack_g[:, :, k + steps], stack_f[:, :, k]) for k in range(count)),
        truncated=tuple(not reach[0] <= k < top for k in range(count)),
        scalar=relative_error(moved[:, singles], torch.einsum("kl,bl...->bk...", gains, y_f[:, singles])),
        projected_max=relative_error(stack_g.amax(2), stack_f.amax(2)),
        projected_mean=relative_error(stack_g.mean(2), stack_f.mean(2)),
        trivial=relative_error(still, y_f),
        floor=math.nan,
        border=math.nan,
    )


def relative_error(value: Tensor, reference: Tensor) -> float:
    """`‖value - reference‖ / ‖reference‖`; nan for a reference of zeros, which tells nothing."""
    norm = float(torch.linalg.vector_norm(reference))
    return float(torch.linalg.vector_norm(value - reference)) / norm if norm else math.nan


def largest_error(value: Tensor, wanted: Tensor) -> float:
    """`max |value - wanted| / max |wanted|`; nan where there is nothing to compare."""
    if not wanted.numel():
        return math.nan
    value, wanted = value.detach(), wanted.detach()
    return float((value - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


def worst(values: list[float]) -> float:
    """The largest value; nan if there is none or one of them is nan."""
    return math.nan if not values or any(map(math.isnan, values)) else max(values)


def _types(
    module: torch.nn.Module,
    in_type: FieldType | None,
    out_type: FieldType | None,
    dim: int | None,
    channels: int | None,
    scale: float | None,
) -> tuple[FieldType, FieldType | None]:
    own: Any = getattr(module, "in_type", None)
    if in_type is None and isinstance(own, FieldType):
        return own, out_type or getattr(module, "out_type", None)
    if in_type is not None:
        return in_type, out_type
    if dim is None or channels is None or scale is None:
        raise ScaleGroupError(
            "a module with in_type and out_type, or the arguments in_type, or dim, channels and scale",
            type(module).__name__,
            "for a plain network write for example equivariance_error(net, scale=1.4, dim=3, channels=1)",
        )
    return channels * ScaleTranslationGroup(dim, base=scale, num_scales=1).scalar, None


def run_copy(module: torch.nn.Module, x: Samples, dtype: torch.dtype) -> list[Tensor]:
    """The tensors of the output: one, or one for each scale."""
    twin = copy.deepcopy(module).eval().to(dtype)
    place = next((p.device for p in twin.parameters()), torch.device("cpu"))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        y = twin(each(lambda part: part.to(place, dtype), x))
    parts, axes = list(y) if isinstance(y, tuple | list) else [y], grids(x)[0].ndim
    for part in parts:
        if not isinstance(part, Tensor) or part.ndim != axes:
            received = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            hint = "wrap the module so that it returns one field"
            raise ScaleGroupError(f"an output tensor of {axes} axes (batch, channels, *space)", received, hint)
    return [part.double().cpu() for part in parts]


def check_output(y: list[Tensor], field: FieldType) -> None:
    hint = "give out_type, the type of what the module returns"
    haar = on_grids(field)
    count, size = (group_of(field).num_scales, len(lines(field))) if haar else (1, field.size)
    if len(y) != count:
        wanted = f"{count} tensors" if haar else "one tensor"
        raise ScaleGroupError(f"an output of {wanted}, for {field}", len(y), hint)
    if y[0].shape[1] != size:
        raise ScaleGroupError(f"an output of {size} channels, {field}", y[0].shape[1], hint)
