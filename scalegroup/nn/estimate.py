"""What a choice of kernels and scales means, before a network is built from it: reach, error, cost, memory, advice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from textwrap import fill

import torch

from scalegroup.engine import AxisOperator, Contraction, Term, cost_of, seconds
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.conv import GroupConv
from scalegroup.nn.grid import positive
from scalegroup.nn.haar import HaarLift
from scalegroup.nn.module import Samples
from scalegroup.nn.norm import BatchNorm
from scalegroup.nn.pointwise import Pointwise
from scalegroup.nn.sequential import Sequential

CPU = torch.device("cpu")
PLAIN = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
PLAIN_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


@dataclass(frozen=True)
class Estimate:
    """What `estimate` found for one layer; `print` shows it as a table.

    Attributes:
        title: the choice.
        scales: the window of scales.
        half_widths: for each scale the half-width of its kernels, in samples of the grid that they run on: voxels, or
            with `sampling="haar"` samples of that scale's own grid.
        declared_error: relative equivariance error on the band `|w| ≤ π/2`, see `GroupConv.declared_error`: of the
            kernels, or with `sampling="haar"` of the lifting, behind which all layers are exact.
        range: largest over smallest scale, `base ** (num_scales - 1)`: the ratio of sizes that the window covers.
        weights: learned numbers of the convolution, biases included.
        multiply_adds: of a forward pass of the convolution for one volume, by the method that the planner chooses.
        time: expected time of that pass on a CPU, in units of a plain convolution of 3 samples along each axis with the
            same channels.
        memory: bytes that convolution, batch norm and SiLU keep for the backward pass of one volume.
        plain_memory: the same for plain layers.
        advice: a line for each rule that the choice breaks.

    Example:
        >>> estimate(order=2, sigma=1.4, num_scales=3, shape=(48, 48, 48)).half_widths
        (7, 9, 13)
    """

    title: str
    scales: tuple[float, ...]
    half_widths: tuple[int, ...]
    declared_error: float
    range: float
    weights: int
    multiply_adds: int
    time: float
    memory: int
    plain_memory: int
    advice: tuple[str, ...]

    def rows(self) -> list[tuple[str, str, str]]:
        """The table: what, how much, remark."""
        scales = " ".join(f"{scale:.3g}" for scale in self.scales)
        return [
            ("half-widths", " ".join(map(str, self.half_widths)), f"at scales {scales}"),
            ("declared error", f"{100 * self.declared_error:.2g} %", "of content below half the Nyquist frequency"),
            ("range of sizes", f"{self.range:.3g}", "largest over smallest scale"),
            ("weights", str(self.weights), "of the convolution"),
            ("multiply-adds", f"{self.multiply_adds / 1e9:.3g} G", "of a forward pass"),
            ("time", f"{self.time:.2g}", "on a CPU, expected; a plain convolution of width 3 takes 1"),
            (
                "memory",
                f"{self.memory / 1e6:.3g} MB",
                f"kept in training; by plain layers {self.plain_memory / 1e6:.3g} MB",
            ),
        ]

    def __str__(self) -> str:
        rows = self.rows()
        wide, narrow = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
        table = [f"  {what:<{wide}}  {how:>{narrow}}  {remark}" for what, how, remark in rows]
        advice = [fill(f"Advice: {line}.", 76, subsequent_indent="  ", break_on_hyphens=False) for line in self.advice]
        return "\n".join([self.title, *table, *advice])


def estimate(
    *,
    order: int = 2,
    sigma: float = 1.0,
    support: float = 4.5,
    base: float = 2**0.5,
    num_scales: int = 4,
    first: int = 0,
    scale_extent: int = 1,
    sampling: str = "uniform",
    channels: int = 16,
    shape: Sequence[int] = (48, 48, 48),
    size_range: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Estimate:
    """Error, cost and memory of one group convolution between regular fields, without running it.

    Nothing is modelled anew: half-widths and errors are those of the layer's taps, work and time those of its `plan`,
    and memory is counted on torch's "meta" device, where tensors have a size and no numbers.

    Args:
        order, sigma, support, scale_extent: as in `GroupConv`.
        base, num_scales, first, sampling: as in `ScaleTranslationGroup`.
        channels: regular fields in and out. Default 16.
        shape: voxels along each axis; their number is the dimension. Default (48, 48, 48).
        size_range: by which factor the sizes of your objects differ, largest over smallest. Default: not told.
        dtype: of weights and fields. Default float32.

    Returns:
        The figures, and advice where the choice breaks a rule of the page on accuracy.

    Raises:
        ScaleGroupError: for arguments that no layer takes.

    Source: the rules of `docs/accuracy.md`, measured in `docs/results/accuracy_rules.md`.

    Example:
        >>> print(estimate(order=2, sigma=0.7, num_scales=2, size_range=4, shape=(32, 32, 32)))
        order 2, sigma 0.7, support 4.5, 2 scales (uniform), 16 fields on 32×32×32
          half-widths      4 5  at scales 1 1.41
          declared error  ...
        Advice: sigma is 0.7 voxels at the finest scale: such kernels pass ...
        Advice: sizes that differ by a factor of 4 need num_scales >= 5 with this
          base.
    """
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ScaleGroupError("a floating-point dtype", dtype, "torch.float32 is the default")
    if not isinstance(shape, Sequence) or not 1 <= len(shape) <= 3:
        raise ScaleGroupError("a shape of 1 to 3 numbers of voxels", shape, "write for example shape=(48, 48, 48)")
    group = ScaleTranslationGroup(len(shape), base=base, num_scales=num_scales, first=first, sampling=sampling)
    field, haar = channels * group.regular, sampling == "haar"
    conv = GroupConv(field, field, order, sigma=sigma, support=support, scale_extent=scale_extent).to(dtype)
    lift = HaarLift(1 * group.scalar)
    sizes = [grid.sizes for grid in lift.grids(shape)] if haar else [tuple(shape)]
    inputs = [(1, channels if haar else field.size, *space) for space in sizes]
    plan = conv.plan(inputs if haar else inputs[0])
    work = next(candidate for candidate in plan.candidates if candidate.method == plan.method)
    reach = tuple(max(-axes[0].first, axes[0].last) for axes in conv.taps)
    conv.method = plan.method  # "auto" would ask for the costs on the meta device
    block = Sequential(conv, BatchNorm(field), Pointwise(field, torch.nn.SiLU())).to("meta", dtype)
    tensors = tuple(torch.empty(given, dtype=dtype, device="meta", requires_grad=True) for given in inputs)
    found = Estimate(
        title=f"order {order}, sigma {sigma:g}, support {support:g}, {num_scales} scales ({sampling}), "
        f"{channels} fields on {'×'.join(map(str, shape))}",
        scales=group.scales,
        half_widths=reach * (num_scales // len(reach)),  # on grids of their own all scales share their taps
        declared_error=lift.declared_error if haar else conv.declared_error,
        range=base ** (num_scales - 1),
        weights=sum(weight.numel() for weight in conv.parameters()),
        multiply_adds=work.cost.multiply_adds,
        time=work.expected / _plain_seconds(channels, shape, dtype),
        memory=_kept(block, tensors if haar else tensors[0]),
        plain_memory=_plain_memory(channels, shape, dtype),
        advice=(),
    )
    advice = [] if haar else list(_on_kernels(found, order, sigma, support))
    advice += _on_window(found, haar, shape, base, scale_extent, size_range)
    return replace(found, advice=tuple(advice))


def _on_kernels(found: Estimate, order: int, sigma: float, support: float) -> Iterator[str]:
    """Kernels on the voxels that are too narrow, or cut off."""
    finest = sigma * found.scales[0]
    if finest < 1:
        yield (
            f"sigma is {finest:.3g} voxels at the finest scale: such kernels pass frequencies above those that the "
            f"error is declared for; take sigma >= {1 / found.scales[0]:.3g}, or sampling='haar'"
        )
    enough = 4.0 if order <= 2 else 4.5
    if support < enough:
        yield f"support {support:g} cuts the kernels off where they are not yet zero; take {enough:g} or more"


def _on_window(
    found: Estimate, haar: bool, shape: Sequence[int], base: float, scale_extent: int, size_range: float | None
) -> Iterator[str]:
    """Scales that are too coarse for the volume, or too few."""
    spacings = found.scales if haar else (1.0,) * len(found.scales)
    widest = max(2 * n * step + 1 for n, step in zip(found.half_widths, spacings, strict=True))
    if widest > min(shape):
        yield (
            f"the widest kernel spans {widest:.0f} voxels, more than the volume, and sees its border from everywhere; "
            f"take fewer scales or larger volumes"
        )
    if scale_extent > 1:
        yield (
            f"with scale_extent {scale_extent} the coarsest {scale_extent - 1} of the scales read beyond the window; "
            f"scale_padding='valid' leaves them out"
        )
    if size_range is not None:
        steps = math.log(positive(size_range, "size_range")) / math.log(base)
        needed = 1 + math.ceil(abs(steps) - 1e-9)  # √2 ** 2 is not exactly 2
        if needed > len(found.scales):
            yield f"sizes that differ by a factor of {size_range:g} need num_scales >= {needed} with this base"


def _plain_seconds(channels: int, shape: Sequence[int], dtype: torch.dtype) -> float:
    """What the planner expects of torch's convolution with 3 samples along each axis, on one grid."""
    axes = [AxisOperator(torch.ones(1, 3), start=-1, stride=1, n_in=n, n_out=n) for n in shape]
    problem = Contraction(((0,) * len(shape),), (Term(0, 0, 0, 0),), (1,))
    cost = cost_of("dense", (channels, channels, 1, 1), [axes], problem, max(dtype.itemsize, 4))
    return seconds("dense", cost, channels, 1, CPU)


def _plain_memory(channels: int, shape: Sequence[int], dtype: torch.dtype) -> int:
    """What a plain convolution, batch norm and SiLU keep."""
    conv, norm = PLAIN[len(shape) - 1], PLAIN_NORMS[len(shape) - 1]
    block = torch.nn.Sequential(conv(channels, channels, 3, padding=1), norm(channels), torch.nn.SiLU())
    return _kept(block.to("meta", dtype), torch.empty(1, channels, *shape, dtype=dtype, device="meta"))


def _kept(block: torch.nn.Module, x: Samples) -> int:
    """The bytes that one forward pass keeps for its backward pass, without the parameters."""
    own = {weight.untyped_storage()._cdata for weight in block.parameters()}
    with torch.enable_grad(), kept_for_backward() as kept:
        block(x)
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


@contextmanager
def kept_for_backward() -> Iterator[dict[int, torch.UntypedStorage]]:
    """The storages that what runs inside keeps for its backward pass, parameters too, by their addresses.

    Example:
        >>> x = torch.ones(3, requires_grad=True)
        >>> with kept_for_backward() as kept:
        ...     y = x.exp().exp()
        >>> [storage.nbytes() for storage in kept.values()]
        [12, 12]
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # of the storage itself: on the "meta" device there are no numbers to point to
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept
