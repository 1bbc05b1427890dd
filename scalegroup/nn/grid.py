"""Layers that apply one-dimensional operators: taps as constants, geometry from the size of the input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import AxisOperator, Response
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import Taps, first_position, interpolation_taps, output_size, sample_taps, window_taps
from scalegroup.nn.module import EquivariantModule, group_of, has_scales, on_grids
from scalegroup.symbolic import Basis, FreeBasis, JointBasis

WIDEST = 10_000  # samples; wider kernels are a slip of a unit, and their taps would fill the memory
PADDINGS = ("same", "valid")
PADDING_MODES = ("zeros", "replicate", "reflect", "circular")


def choice(value: str, choices: tuple[str, ...], name: str) -> str:
    """`value`, which must be one of `choices`."""
    if value not in choices:
        raise ScaleGroupError(f"{name} out of {choices}", repr(value), "check the spelling")
    return value


def positive(value: float, name: str) -> float:
    """`value` as a float, which must be a positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ScaleGroupError(f"{name}: a positive number", repr(value), "see the docstring for its unit")
    return float(value)


def per_axis(value: int | Sequence[int], dim: int, name: str) -> tuple[int, ...]:
    """One positive integer per axis of space, from a number or a sequence."""
    expected, hint = f"{name}: a positive integer or one for each of {dim} axes", "the group's dim tells their number"
    values = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * dim
    if len(values) != dim:
        raise ScaleGroupError(expected, repr(value), hint)
    return tuple(as_integer(v, expected, hint, minimum=1) for v in values)


class GridModule(EquivariantModule):
    """Base of the layers that apply the functions of a basis at every scale of the window.

    Subclasses call `build` at the end of their constructor.

    Args:
        in_type: type of the input field.
        out_type: type of the output field.
        basis: the functions.
        sigma: width at scale 1, in units of the coarse grid's spacing.
        support: half-width of the kernels in widths.
        stride: coarse spacing over fine spacing, one per axis.
        padding: "same", or "valid": positions whose widest kernel stays inside.
        padding_mode: what lies outside the volume.

    Attributes:
        transposed: whether the layer leads from the coarse grid to the fine one.
    """

    transposed = False

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        basis: Basis | JointBasis,
        *,
        sigma: float,
        support: float,
        stride: int | Sequence[int],
        padding: str,
        padding_mode: str,
    ) -> None:
        super().__init__(in_type, out_type)
        dim = group_of(in_type).dim
        if not isinstance(basis, Basis | JointBasis):
            raise ScaleGroupError("a Basis", repr(basis), "such as HermiteBasis(order=2, dim=3)")
        if basis.dim != dim:
            hint = "give the basis the dim of the group"
            raise ScaleGroupError(f"a basis of dim {dim}", f"one of dim {basis.dim}", hint)
        self.basis = basis
        self.products = self._products()  # looked up once: torch.compile does not like the cache behind it
        self.sigma = positive(sigma, "sigma")
        self.support = positive(support, "support")
        self.stride = per_axis(stride, dim, "stride")
        self.padding = choice(padding, PADDINGS, "padding")
        self.padding_mode = choice(padding_mode, PADDING_MODES, "padding_mode")
        self.on_grids = on_grids(in_type) or on_grids(out_type)
        if isinstance(basis, FreeBasis) and not self.on_grids:
            hint = "make the group with sampling='haar', or choose a basis of functions"
            raise ScaleGroupError("free-form kernels where each scale has its own grid", repr(group_of(in_type)), hint)

    def build(self) -> None:
        """Make the taps of every scale, stride and phase.

        Where each scale has a grid of its own, one set of taps serves all of them.
        """
        for name in self._constants:
            delattr(self, name)
        self._constants = {}
        self._starts: dict[str, int] = {}
        self._responses: dict[str, Response | None] = {}
        self.products = self._products()
        self.taps: list[tuple[Taps, ...]] = []  # per scale, per axis, at whole positions
        sides = [side for side in (self.in_type, self.out_type) if has_scales(side)] or [self.in_type]
        self.window = max((group_of(side).scales for side in sides), key=len)
        power = group_of(self.in_type).p_power  # 0 where dilations leave positions alone
        # Each in units of the grid it is sampled on.
        self.scales = (1.0,) if self.on_grids else tuple(scale**power for scale in self.window)
        widest = self.support * self.sigma * max(self.stride) * self.scales[-1]
        if widest > WIDEST:
            hint = "use a smaller support, sigma or stride, or fewer scales"
            raise ScaleGroupError(f"kernels of a half-width of at most {WIDEST} samples", f"{widest:.4g}", hint)
        for i, scale in enumerate(self.scales):
            self.keep_scale(i, scale)
            self.taps.append(tuple(self.sample(q, scale) for q in self.stride))

    def _products(self) -> tuple[tuple[int, ...], ...]:
        return ((0,) * self.basis.dim,) if isinstance(self.basis, JointBasis) else self.basis.products

    def keep_scale(self, index: int, scale: float) -> None:
        """Store the taps of one scale as constants."""
        for stride in sorted(set(self.stride)):
            for half in (0, 1)[: min(stride, 2)]:  # a strided grid can lie between the voxels
                taps = self.sample(stride, scale, half)
                response = None
                if isinstance(self.basis, Basis) and taps.method != "own":  # there are functions between the samples
                    response = Response(self.basis, taps.sigma, taps.phase - taps.first)
                self.keep_taps(f"taps_{index}_{stride}_{half}", taps, response)
        if isinstance(self.basis, JointBasis):
            widths = [self.sigma * q * scale for q in self.stride]
            for phases in self.all_phases():
                values = self.basis.sample(widths, [half / 2 for half in phases])
                self.register_constant(functions_name(index, phases), values)

    def sample(self, stride: int, scale: float, half: int = 0) -> Taps:
        """The taps of one scale for a stride, at whole positions or half a sample beside them."""
        width, phase = self.sigma * stride * scale, half / 2
        if isinstance(self.basis, JointBasis):
            return window_taps(self.basis, width, phase)
        return sample_taps(self.basis, width, self.support, phase)

    def keep_taps(self, name: str, taps: Taps, response: Response | None = None) -> None:
        """Store taps as a constant, and the functions that they approximate, if they do."""
        self.register_constant(name, np.array(taps.values))
        self._starts[name] = taps.first
        self._responses[name] = response

    def active_scales(self) -> range:
        """Indices of `scales` in use now, on one grid."""
        start, dropped = (0, 0) if self.on_grids else self._run
        return range(start, start + len(self.scales) - dropped)

    def _window(self) -> tuple[float, ...]:
        return self.window

    def coarse_size(self, fine: Sequence[int]) -> tuple[int, ...]:
        """Size of the coarse grid over a fine one."""
        widest = self.taps[self.active_scales()[-1]]
        return tuple(
            output_size(n, q, self.padding, -taps.first)  # type: ignore[arg-type]
            for n, q, taps in zip(fine, self.stride, widest, strict=True)
        )

    def phases(self, fine: Sequence[int], coarse: Sequence[int]) -> tuple[int, ...]:
        """Per axis 0 if the coarse grid lies on the fine one, 1 if half a sample beside it."""
        return tuple(int(2 * first_position(n, m, q)[1]) for n, m, q in zip(fine, coarse, self.stride, strict=True))

    def all_phases(self) -> list[tuple[int, ...]]:
        """The phases that can occur, for any size of the input."""
        return list(product(*((0, 1)[: min(q, 2)] for q in self.stride)))

    def taps_of(self, scale: int, axis: int, half: int) -> tuple[Tensor, int]:
        """Taps `(F1, L)` of one scale, axis and phase, and the index of the first one."""
        name = f"taps_{scale}_{self.stride[axis]}_{half}"
        return getattr(self, name), self._starts[name]

    def axes(self, fine: Sequence[Sequence[int]], coarse: Sequence[Sequence[int]]) -> list[list[AxisOperator]]:
        """For each active scale, on each grid of these sizes, the operators along all axes."""
        return [self.axes_at(s, n, m) for n, m in zip(fine, coarse, strict=True) for s in self.active_scales()]

    def axes_at(self, scale: int, fine: Sequence[int], coarse: Sequence[int]) -> list[AxisOperator]:
        """For the scale of this index the operators along all axes."""
        phases = self.phases(fine, coarse)
        axes = []
        for axis, (n_in, n_out, stride) in enumerate(zip(fine, coarse, self.stride, strict=True)):
            taps, first = self.taps_of(scale, axis, phases[axis])
            start = first_position(n_in, n_out, stride)[0] + first
            response = self._responses[f"taps_{scale}_{stride}_{phases[axis]}"]
            axes.append(AxisOperator(taps, start, stride, n_in, n_out, self.padding_mode, self.transposed, response))
        return axes

    def fine_size(self, coarse: Sequence[int], output_size: Sequence[int] | None) -> tuple[int, ...]:
        """Size of the fine grid over a coarse one: as asked, or the largest that a stride of 'same' allows."""
        if output_size is None:
            widest = self.taps[self.active_scales()[-1]]
            if self.padding == "same":  # where each scale has its grid, sizes stay odd
                return tuple(
                    q * (n - 1) + 1 if self.on_grids else q * n for n, q in zip(coarse, self.stride, strict=True)
                )
            return tuple(q * (n - 1) + 1 - 2 * t.first for n, q, t in zip(coarse, self.stride, widest, strict=True))
        sizes = per_axis(output_size, len(coarse), "output_size")
        if self.coarse_size(sizes) != tuple(coarse):
            hint = f"with stride {self.stride} give the size of the volume that was strided"
            raise ScaleGroupError(f"an output_size that strides to {tuple(coarse)}", sizes, hint)
        return sizes


def functions_name(scale: int, phases: Sequence[int]) -> str:
    """The name of the constant that holds the functions of a joint basis at one scale: `(F, *K)`."""
    return f"functions_{scale}_" + "".join(map(str, phases))


def interpolation_phases(factor: int, missing: int) -> tuple[NDArray[np.float64], int]:
    """Taps `(factor, L)` that put `factor` centred fine samples into every coarse one, and the first tap's index.

    Row `r` interpolates at `(2 r + missing + 1 - factor) / (2 factor)` coarse samples from the centre, where
    `missing` is the number of fine samples by which the fine grid falls short of `factor` times the coarse one.
    """
    rows = []
    for r in range(factor):
        whole, rest = divmod(2 * r + missing + 1 - factor, 2 * factor)
        rows.append((whole, interpolation_taps(1, rest / (2 * factor))))
    first = min(whole + taps.first for whole, taps in rows)
    last = max(whole + taps.last for whole, taps in rows)
    values = np.zeros((factor, last - first + 1))
    for row, (whole, taps) in zip(values, rows, strict=True):
        start = whole + taps.first - first
        row[start : start + taps.values.shape[1]] = taps.values[0]
    return values, first


def keep_interpolation(module: EquivariantModule, name: str, factor: int, missing: int) -> int:
    """Store the taps of `interpolation_phases` as a constant of `module`; return the index of the first one."""
    values, first = interpolation_phases(factor, missing)
    module.register_constant(name, values)
    return first


def interpolation_error(dim: int) -> float:
    """Bound on the equivariance error of one interpolation on `|w| ≤ 2π/3`: two grids differ along each axis."""
    return 2 * dim * interpolation_taps(1, 0.5).predicted_error
