"""Is my network equivariant, and if not exactly, why not? The answer in numbers and in words."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.models import ScaleChannels
from scalegroup.nn.module import Samples, group_of, on_grids
from scalegroup.testing.errors import EquivarianceErrors, equivariance_error
from scalegroup.testing.experiment import Protocol
from scalegroup.testing.inputs import lines
from scalegroup.testing.places import strides

ADVICE = {
    "zeros": "an output of zeros, of which nothing can be measured; give the layers other weights",
    "scales": "the window, in which no scale can be compared: the factor lies between two scales, or all of them are "
    "moved or read beyond the window; take a power of the base, or a wider window (sg.with_window)",
    "measurement": "nothing above the floor of the measurement; try a larger size, or protocol='torus'",
    "lifting": "the lifting to the grids of the scales, within its declared error; what comes after it is exact",
    "border": "the border of the volume, which wide kernels see from far; a larger volume makes it smaller",
    "grids": "the grids of the scales, on which strides meet different points; give the lifting the product of all "
    "strides as its divisor",
    "kernels": "the kernels, within their declared error; a wider support or a larger sigma makes it smaller",
    "strides": "the strides: a coarse grid does not hold all that is passed to it; a larger sigma there removes it",
    "layers": "layers without the scale in them, such as plain convolutions or pooling windows of fixed size",
    "nonlinearity": "the activations, which make frequencies that the grid cannot hold; smooth ones make fewer, and "
    "nn.Pointwise(..., oversample=2) removes most",
    "window": "the projection over the truncated window: content enters and leaves it; a wider window "
    "(sg.with_window) or admissible kernels make it smaller",
}


@dataclass(frozen=True)
class EquivarianceReport:
    """What `check_equivariance` found; `print` shows it as a table.

    Attributes:
        module: name of the module's class.
        errors: errors of the output.
        before: errors of the regular field that enters the last projection over the scales; `None` if there is none.
        linear: errors of the same field with all activations replaced by the identity.
        declared: sum of the errors that the layers declare, see `kernels.declared_error`; nan if none declares one.
        unbounded: classes of the layers without a bound.
        limits: what limits it, keys of `ADVICE`: first what limits the field with scales (or an output without), then
            "window" if the projection is worse than that. "scales" or "zeros" alone if there is no error to explain.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=1, num_scales=4)
        >>> report = check_equivariance(sg.nn.GroupConv(1 * group.scalar, 2 * group.regular))
        >>> report.per_scale < report.declared < report.projected < report.trivial
        True
        >>> report.rows()[3][::2]
        ('worst scale', 'inside the window')
        >>> report.limits
        ('kernels', 'window')
    """

    module: str
    errors: EquivarianceErrors
    before: EquivarianceErrors | None
    linear: EquivarianceErrors
    declared: float
    unbounded: tuple[str, ...]
    limits: tuple[str, ...]

    @property
    def per_scale(self) -> float:
        """The worst scale channel that reads nothing beyond the window; nan without scale channels."""
        return (self.before or self.errors).per_scale

    @property
    def projected(self) -> float:
        """The error of the output without a scale axis (of a regular one: of its maximum over the scales)."""
        return self.errors.projected

    @property
    def trivial(self) -> float:
        """The negative twin: the error if nothing had to be done to the output. It must be large."""
        return self.errors.trivial

    def rows(self) -> list[tuple[str, str, str]]:
        """The table: what, how much, remark."""
        field = self.before or self.errors
        remarks = ["reads beyond the window" if cut else "" for cut in field.truncated]
        pairs = zip(field.scales, field.channels, remarks, strict=True)
        table = [(f"scale {s:.3g} -> {s * field.factor:.3g}", _percent(e), remark) for s, e, remark in pairs]
        if field.channels:
            table.append(("worst scale", _percent(self.per_scale), "inside the window"))
        if not math.isnan(self.errors.scalar):
            table.append(("output", _percent(self.errors.scalar), "after projection" if self.before else ""))
        else:
            table.append(("maximum over scales", _percent(self.errors.projected_max), "as if projected"))
            table.append(("mean over scales", _percent(self.errors.projected_mean), "as if projected"))
        missing = f"without {', '.join(self.unbounded)}" if self.unbounded else ""
        table.append(("declared error", _percent(self.declared), missing))
        table.append(("border", _percent(field.border), "change of the output if padded in another way"))
        table.append(("without activations", _percent(self.linear.error), "each replaced by the identity"))
        table.append(("negative twin", _percent(self.trivial), "nothing done to the output"))
        table.append(("floor", _percent(field.floor), "of the measurement"))
        return table

    def __str__(self) -> str:
        rows = self.rows()
        wide, narrow = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
        table = [f"  {what:<{wide}}  {how:>{narrow}}  {remark}".rstrip() for what, how, remark in rows]
        title = f"Equivariance of {self.module} under scaling by {self.errors.factor:.4g} ({self.errors.protocol})"
        words = [f"Limited by {ADVICE[limit]}." for limit in self.limits]
        return "\n".join([title, *table, *words])


def check_equivariance(
    module: torch.nn.Module, scale: float | None = None, protocol: Protocol = "blobs", **options: Any
) -> EquivarianceReport:
    """Measure how equivariant a module is under scaling, and say what limits it.

    Reports the error of every scale channel and that of the projected output apart, because the projection over a
    truncated window is usually the largest error of all. The module itself is not changed: copies of it are run, in
    eval mode and float64.

    Args:
        module: a layer or a network, trained or not; also one without types, such as MONAI's U-Net, given `dim` and
            `channels`.
        scale: the factor. Default: the base of the group.
        protocol: "blobs", "lattice" or "torus", see `equivariance_error`. Default "blobs".
        **options: all other options of `equivariance_error`, such as `size` or `seed`.

    Returns:
        The report; its numbers are attributes.

    Raises:
        ScaleGroupError: as `equivariance_error` does.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=2, num_scales=4)
        >>> hidden = 2 * group.regular
        >>> lift, pool = sg.nn.GroupConv(1 * group.scalar, hidden), sg.nn.ScalePool(hidden)
        >>> report = check_equivariance(sg.nn.Sequential(lift, sg.nn.Pointwise(hidden), pool))
        >>> report.per_scale < 1e-3, report.projected > 0.05, report.limits[-1]
        (True, True, 'window')
        >>> print(report)
        Equivariance of Sequential under scaling by 1.414 (blobs)
          scale 1 -> 1.41      ...
        Limited by the projection over the truncated window: content enters and leaves it; ...
    """
    errors = equivariance_error(module, scale, protocol, **options)
    cut = before_projection(module)
    before = None if cut is module else equivariance_error(cut, scale, protocol, **options)
    linear = equivariance_error(_without_activations(cut), scale, protocol, **options)
    kind = options.get("out_type") or getattr(cut, "out_type", None)
    haar = isinstance(kind, FieldType) and on_grids(kind)
    layers = list(_bounded_layers(module))
    bounds = [layer.declared_error for layer in layers]
    finite = [bound for bound in bounds if math.isfinite(bound)]
    unbounded = dict.fromkeys(
        type(layer).__name__ for layer, bound in zip(layers, bounds, strict=True) if not math.isfinite(bound)
    )
    declared = sum(finite) if finite else math.nan
    field = before or errors
    aligned = None
    if haar and not field.error <= declared:
        aligned = equivariance_error(_on_larger_grids(cut), scale, protocol, **options)
    return EquivarianceReport(
        module=type(module).__name__,
        errors=errors,
        before=before,
        linear=linear,
        declared=declared,
        unbounded=tuple(unbounded),
        limits=(*_limits(module, field, linear, declared, haar, aligned), *_window(errors, field)),
    )


class _UpTo(torch.nn.Module):
    """The network up to the input of one of its layers."""

    def __init__(self, module: torch.nn.Module, name: str) -> None:
        super().__init__()
        self.module, self.name = module, name
        self.in_type = getattr(module, "in_type", None)
        self.out_type = module.get_submodule(name).in_type

    def forward(self, x: Samples) -> Samples:
        caught: list[Samples] = []
        layer = self.module.get_submodule(self.name)
        handle = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            self.module(x)
        finally:
            handle.remove()
        return caught[-1]


def before_projection(module: torch.nn.Module) -> torch.nn.Module:
    """What comes before the last projection over the scales: the module itself if it has none."""
    if isinstance(module, ScaleChannels) and module.projection is not None and module.in_type is not None:
        twin: Any = copy.deepcopy(module).eval()
        twin.projection, field = None, module.in_type
        like = next(twin.parameters(), torch.zeros(()))
        with torch.no_grad():
            space = [2 * twin.lift.divisor] * group_of(field).dim
            scores = twin(like.new_zeros(1, field.size, *space))[0]
        twin.out_type = scores.shape[1] * group_of(field).regular
        return twin  # type: ignore[no-any-return]
    name = _projection(module)
    return module if name is None else _UpTo(module, name)


def _projection(module: torch.nn.Module) -> str | None:
    """Name of the last layer inside the module that takes regular fields and returns none."""
    names = [
        name
        for name, layer in module.named_modules()
        if name
        and isinstance(layer, nn.EquivariantModule)
        and any(line.scales is not None for line in lines(layer.in_type))
        and all(line.scales is None for line in lines(layer.out_type))
    ]
    return names[-1] if names else None


def _without_activations(module: torch.nn.Module) -> torch.nn.Module:
    twin = copy.deepcopy(module)
    for part in twin.modules():
        if isinstance(part, nn.Pointwise):
            part.activation = torch.nn.Identity()
        for name, child in part.named_children():
            if type(child).__module__ == torch.nn.ReLU.__module__:
                setattr(part, name, torch.nn.Identity())
    return twin


def _on_larger_grids(module: torch.nn.Module) -> torch.nn.Module:
    """A copy whose lifting makes grids on which more strides meet the same points."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        if isinstance(vars(part).get("divisor"), int):
            part.divisor = 8 * part.divisor  # type: ignore[assignment, operator]
    return twin


def _bounded_layers(module: torch.nn.Module) -> Iterator[nn.EquivariantModule]:
    """The layers that state a bound of their own, not the sum over their parts."""
    if isinstance(module, nn.EquivariantModule):
        own: Any = type(module).declared_error
        if own is not nn.EquivariantModule.declared_error and type(module) is not nn.Sequential:
            yield module
            return
    for child in module.children():
        yield from _bounded_layers(child)


def _limits(
    module: torch.nn.Module,
    field: EquivarianceErrors,
    linear: EquivarianceErrors,
    declared: float,
    haar: bool,
    aligned: EquivarianceErrors | None,
) -> tuple[str]:
    """What limits the field before the projection: the first explanation that holds, from outside to inside."""
    if math.isnan(field.error):
        return ("zeros" if math.isnan(field.trivial) else "scales",)
    if field.error <= 3 * field.floor:
        return ("measurement",)
    if haar and field.error <= declared:
        return ("lifting",)
    if field.border > 0.5 * field.error:
        return ("border",)
    if aligned is not None and aligned.error < 0.5 * field.error:
        return ("grids",)
    if linear.error < 0.5 * field.error:
        return ("nonlinearity",)
    if linear.error <= declared:
        return ("kernels",)
    strided = any(set(strides(part)) != {1} for part in module.modules())
    return ("strides" if strided and not math.isnan(declared) else "layers",)


def _window(output: EquivarianceErrors, field: EquivarianceErrors) -> tuple[str, ...]:
    """Whether the projection over the scales is worse than what goes into it."""
    return ("window",) if field.channels and output.projected > 3 * max(field.per_scale, field.floor) else ()


def _percent(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.3g} %" if value >= 1e-5 else f"{100 * value:.1e} %"
