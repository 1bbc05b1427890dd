"""How far a module is from `f(L_g x) = L_g f(x)`, measured with inputs that are transformed exactly."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing.inputs import AnalyticField, Array, Blobs, Waves, centred, lines
from scalegroup.testing.sampling import at_positions, circular, output_spacing

Protocol = Literal["blobs", "lattice", "torus"]
DEFAULT_SIZE = {
    "blobs": {1: 128, 2: 64, 3: 48},
    "lattice": {1: 49, 2: 33, 3: 25},
    "torus": {1: 72, 2: 72, 3: 36},  # 80 and 40 points under 1/0.9: both fit strides of 2 and 4
}


@dataclass(frozen=True)
class EquivarianceErrors:
    """Relative equivariance errors of one module under one factor, `‖f(L_a x) - L_a f(x)‖ / ‖f(x)‖` in the L2 norm.

    What does not exist (scalars in a regular field, or channels for a factor between two scales) is nan.

    Attributes:
        factor: a, at least 1: a and 1/a compare the same pair of inputs.
        protocol: how it was measured, see `equivariance_error`.
        scales: the scale s of each compared channel; the transformed output is read at the scale `a s`.
        channels: error of each compared scale channel, over all regular fields.
        truncated: for each of them, whether a layer wanted to read a scale beyond the window for it. Those errors
            belong to the truncated window, not to the layers.
        scalar: error of the scalar and character fields.
        projected_max: error of the maximum over the scales of the window.
        projected_mean: error of the mean over the scales of the window.
        trivial: the negative twin, `‖f(L_a x) - f(x)‖ / ‖f(x)‖`: as if nothing had to be done to the output. It must be
            large, or the input was too simple for the test to mean anything.
        floor: error of the comparison itself: the same figure for the inputs, sampled on the output's grid.
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

    @property
    def per_scale(self) -> float:
        """The worst scale channel, of those whose inputs were all inside the window; nan if there is none."""
        inside = [error for error, cut in zip(self.channels, self.truncated, strict=True) if not cut]
        return float(np.max(inside, initial=-math.inf)) if inside else math.nan  # np.max keeps a nan

    @property
    def projected(self) -> float:
        """The error without a scale axis: of scalar outputs, or else of the maximum over the scales."""
        return self.projected_max if math.isnan(self.scalar) else self.scalar

    @property
    def error(self) -> float:
        """The error of the law itself: the worst of scalar outputs and of channels inside the window."""
        found = [value for value in (self.scalar, self.per_scale) if not math.isnan(value)]
        return max(found, default=math.nan)


@dataclass(frozen=True)
class _Setup:
    """One experiment: the pair of inputs and their grids."""

    protocol: Protocol
    factor: float
    small: int  # voxels per axis for x
    large: int  # voxels per axis for L_a x
    interior: float

    def inputs(
        self, field_type: FieldType, seed: int, batch: int, wmax: float, width: tuple[float, float]
    ) -> AnalyticField:
        if self.protocol == "torus":
            return Waves.random(field_type, self.small, wmax, batch, seed)
        reach = (self.large - 1) / 2 / self.factor  # what both grids see, in voxels of x
        return Blobs.random(field_type, 0.3 * reach, width, batch=batch, seed=seed)

    def period(self, size: int) -> float | None:
        return float(size) if self.protocol == "torus" else None

    def keeps(self, grid: Array) -> npt.NDArray[np.intp]:
        """Indices of the output points that are compared."""
        if self.protocol == "torus":
            return np.arange(len(grid))
        return np.flatnonzero(np.abs(grid) * self.factor <= self.interior * (self.large - 1) / 2 + 1e-9)


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
    out_spacing: float | None = None,
    in_type: FieldType | None = None,
    out_type: FieldType | None = None,
    dim: int | None = None,
    channels: int | None = None,
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
        module: an `EquivariantModule`, or any module that takes and returns one tensor `(batch, channels, *space)`.
        scale: the factor a. Default: the base of the group (for "lattice" its smallest power that is an integer). Under
            a factor that is no power of the base, regular outputs have only a projected error.
        protocol: "blobs", "lattice" or "torus". Default "blobs".
        size: voxels per axis of f. Default: 128, 64, 48 (blobs), 49, 33, 25 (lattice), 72, 72, 36 (torus) in 1, 2, 3-D.
        seed: seed of the inputs. Default 0.
        batch: number of inputs. Default 1.
        wmax: torus only: highest frequency, radians per voxel of the smaller grid. Default π/2.
        width: blobs and lattice: range of the blobs' standard deviations in voxels. Default (2, 3).
        interior: blobs and lattice: share of the volume, per axis, that is compared. Default 0.6.
        out_spacing: distance of output points in voxels of the input, where the sizes do not tell it.
        in_type: type of the input; default: the module's own.
        out_type: type of the output; default: the module's own, or scalars.
        dim: dimension of space, for a module without types.
        channels: number of input channels, for a module without types.
        dtype: what the copy computes in. Default float64.

    Returns:
        The errors, see `EquivarianceErrors`.

    Raises:
        ScaleGroupError: for a factor or a size that the protocol cannot use, and for modules whose types are unknown.

    Example:
        >>> blur = torch.nn.Conv2d(1, 1, 5, padding=2)  # a blur of fixed width does not scale
        >>> equivariance_error(blur, scale=1.5, dim=2, channels=1).projected > 0.05
        True
        >>> equivariance_error(torch.nn.SiLU(), scale=1.5, dim=2, channels=1).projected < 1e-3
        True
    """
    in_field, out_field = _types(module, in_type, out_type, dim, channels, scale)
    group = _group(in_field)
    setup = _setup(group, scale, protocol, size, interior)
    f = setup.inputs(in_field, seed, batch, wmax, width)
    g = f.act(setup.factor)
    space = group.dim
    x_f = f.sample([centred(setup.small)] * space)
    x_g = g.sample([centred(setup.large)] * space)
    twin = circular(module) if protocol == "torus" else copy.deepcopy(module)
    twin = twin.eval().to(dtype)
    y_f, y_g = _run(twin, x_f, dtype), _run(twin, x_g, dtype)
    if out_field is None:
        out_field = y_f.shape[1] * group.scalar
    _check_output(y_f, out_field)

    grids_f = _grids(setup, setup.small, y_f, out_spacing)
    grids_g = _grids(setup, setup.large, y_g, out_spacing)
    sizes = zip(grids_f, grids_g, strict=True)
    if protocol == "torus" and any(len(a) * setup.large != len(b) * setup.small for a, b in sizes):
        raise ScaleGroupError(
            f"sizes that the module's strides divide, for protocol={protocol!r}",
            (setup.small, setup.large),
            "give such a size, or use protocol='blobs'",
        )
    measure = _Comparison(setup, grids_f, grids_g, _steps(setup.factor, group))
    result = measure.errors(y_f, y_g, out_field, _reach(module))
    inputs = measure.errors(f.sample(grids_f), g.sample(grids_g), in_field, (0, 0))
    floor = max((v for v in (inputs.scalar, *inputs.channels) if not math.isnan(v)), default=math.nan)
    return EquivarianceErrors(**{**vars(result), "floor": floor})


@dataclass(frozen=True)
class _Comparison:
    """Two outputs on their grids, compared at the same physical points."""

    setup: _Setup
    grids_f: list[Array]
    grids_g: list[Array]
    steps: int | None

    def errors(self, y_f: Tensor, y_g: Tensor, field: FieldType, reach: tuple[int, int]) -> EquivarianceErrors:
        setup, steps = self.setup, self.steps
        keep = [setup.keeps(grid) for grid in self.grids_f]
        points = [grid[index] for grid, index in zip(self.grids_f, keep, strict=True)]
        period = setup.period(setup.large)
        moved = at_positions(y_g, self.grids_g, [setup.factor * p for p in points], period)
        still = at_positions(y_g, self.grids_g, points, period)
        for axis, index in enumerate(keep, start=2):
            y_f = y_f.index_select(axis, torch.from_numpy(index))

        parts = lines(field)
        scalars = [line for line in parts if line.scales is None]
        windows = [line for line in parts if line.scales is not None]
        gains = [setup.factor**line.weight for line in scalars]
        flat_f, flat_g = _rows(y_f, [p.start for p in scalars]), _rows(moved, [p.start for p in scalars])
        flat_f = flat_f * torch.tensor(gains, dtype=flat_f.dtype).view(-1, *[1] * (flat_f.ndim - 2))

        scales = windows[0].scales or () if windows else ()
        count = max(len(scales) - steps, 0) if steps is not None else 0
        pairs = []
        for k in range(count):
            from_f = _rows(y_f, [line.start + k for line in windows])
            from_g = _rows(moved, [line.start + k + (steps or 0) for line in windows])
            pairs.append(_relative(from_g, from_f))
        below, above = reach
        top = len(scales) - above - (steps or 0)
        stack_f, stack_g = (_windows(y, [p.start for p in windows], len(scales)) for y in (y_f, moved))
        return EquivarianceErrors(
            factor=setup.factor,
            protocol=setup.protocol,
            scales=scales[:count],
            channels=tuple(pairs),
            truncated=tuple(not below <= k < top for k in range(count)),
            scalar=_relative(flat_g, flat_f) if scalars else math.nan,
            projected_max=_relative(stack_g.amax(2), stack_f.amax(2)) if windows else math.nan,
            projected_mean=_relative(stack_g.mean(2), stack_f.mean(2)) if windows else math.nan,
            trivial=_relative(still, y_f),
            floor=math.nan,
        )


def _rows(y: Tensor, channels: Sequence[int]) -> Tensor:
    return y[:, list(channels)]


def _windows(y: Tensor, starts: Sequence[int], num_scales: int) -> Tensor:
    """Shape `(batch, lines, scales, *space)`."""
    index = [start + k for start in starts for k in range(num_scales)]
    return y[:, index].unflatten(1, (len(starts), num_scales)) if starts else y[:, None, :0]


def _relative(value: Tensor, reference: Tensor) -> float:
    """`‖value - reference‖ / ‖reference‖`; nan for a reference of zeros, which tells nothing."""
    norm = float(torch.linalg.vector_norm(reference))
    return float(torch.linalg.vector_norm(value - reference)) / norm if norm else math.nan


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
        in_type = own
        out_type = out_type or getattr(module, "out_type", None)
    if in_type is None:
        if dim is None or channels is None or scale is None:
            raise ScaleGroupError(
                "a module with in_type and out_type, or the arguments in_type, or dim, channels and scale",
                type(module).__name__,
                "for a plain network write equivariance_error(net, scale=1.4, dim=3, channels=1)",
            )
        in_type = channels * ScaleTranslationGroup(dim, base=scale, num_scales=1).scalar
    return in_type, out_type


def _group(field: FieldType) -> ScaleTranslationGroup:
    if not isinstance(field.group, ScaleTranslationGroup):
        raise ScaleGroupError("types of a ScaleTranslationGroup", field.group, "only it has factors to scale by")
    return field.group


def _setup(
    group: ScaleTranslationGroup, scale: float | None, protocol: Protocol, size: int | None, interior: float
) -> _Setup:
    if protocol not in get_args(Protocol):
        raise ScaleGroupError(f"a protocol of {get_args(Protocol)}", repr(protocol), "'blobs' suits every module")
    factor = _factor(group, scale, protocol)
    small = DEFAULT_SIZE[protocol][group.dim] if size is None else size
    if size is None and protocol == "torus":
        small = next((n for n in range(small, 2 * small) if _is_integer(n * factor)), small)
    large = {"blobs": float(small), "lattice": factor * (small - 1) + 1, "torus": factor * small}[protocol]
    if small < 3 or not _is_integer(large):
        raise ScaleGroupError(
            f"a size ≥ 3 that the factor {factor:g} turns into whole voxels for protocol={protocol!r}",
            small,
            "54 voxels suit a factor of 1/0.9, and every size suits an integer factor; or use protocol='blobs'",
        )
    return _Setup(protocol, factor, small, round(large), interior)


def _factor(group: ScaleTranslationGroup, scale: float | None, protocol: Protocol) -> float:
    if scale is None and protocol == "lattice":
        powers = [group.base**m for m in range(1, 13)]
        scale = next((power for power in powers if _is_integer(power)), group.base)
    factor = group.base if scale is None else float(scale)
    if not 0 < factor < math.inf or factor == 1:
        raise ScaleGroupError("a finite scale > 0 other than 1", factor, "group.base is one step of the window")
    factor = max(factor, 1 / factor)
    if protocol == "lattice" and not _is_integer(factor):
        hint = "use a base of which a power is an integer, such as 2 or sqrt(2), or protocol='blobs'"
        raise ScaleGroupError("an integer factor for protocol='lattice'", f"{factor:g}", hint)
    return float(round(factor)) if _is_integer(factor) else factor


def _is_integer(value: float) -> bool:
    return abs(value - round(value)) < 1e-6


def _steps(factor: float, group: ScaleTranslationGroup) -> int | None:
    """How many channels the factor moves content up the window; `None` if it is no power of the base."""
    steps = math.log(factor) / math.log(group.base)
    return round(steps) if _is_integer(steps) else None


def _run(module: torch.nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    place = next((p.device for p in module.parameters()), torch.device("cpu"))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        y = module(x.to(place, dtype))
    if not isinstance(y, Tensor) or y.ndim != x.ndim:
        received = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        hint = "wrap the module so that it returns one field"
        raise ScaleGroupError(f"an output tensor of {x.ndim} axes (batch, channels, *space)", received, hint)
    return y.double().cpu()


def _check_output(y: Tensor, field: FieldType) -> None:
    if y.shape[1] != field.size:
        hint = "give out_type, the type of what the module returns"
        raise ScaleGroupError(f"an output of {field.size} channels, {field}", y.shape[1], hint)


def _grids(setup: _Setup, n_in: int, y: Tensor, out_spacing: float | None) -> list[Array]:
    if setup.protocol == "torus":
        return [centred(n, n_in / n) for n in y.shape[2:]]
    return [centred(n, output_spacing(n_in, n) if out_spacing is None else out_spacing) for n in y.shape[2:]]


def _reach(module: torch.nn.Module) -> tuple[int, int]:
    """How many scales at the bottom and at the top of the window are touched by what lies beyond it."""
    below = above = 0
    for part in module.modules():
        lost = int(getattr(part, "scale_extent", 1)) - 1
        valid = getattr(part, "scale_padding", None) == "valid"
        if getattr(part, "transposed", False):  # the adjoint reads finer scales; widened, it lacks terms at both ends
            below, above = below + lost, above + (lost if valid else 0)
        elif not valid:
            above += lost
    return below, above
