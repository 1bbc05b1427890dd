"""Group convolution and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.engine import METHODS, AxisOperator, Contraction, Term, contract, dense
from scalegroup.engine.dense import kernel
from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import declared_error
from scalegroup.nn.grid import GridModule, choice, has_scales
from scalegroup.nn.initialisation import weight_std
from scalegroup.nn.module import check_types, group_of
from scalegroup.representations import Character, Regular, Scalar
from scalegroup.symbolic import Basis, HermiteBasis

SCALE_PADDINGS = ("zeros", "replicate", "valid")


class _Convolution(GridModule):
    """What the convolution and its adjoint share: weights, terms over the scales, execution."""

    constraint: Tensor

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int | Sequence[int] = 2,
        *,
        sigma: float = 1.0,
        support: float = 4.5,
        stride: int | Sequence[int] = 1,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        padding: str = "same",
        padding_mode: str = "zeros",
        bias: bool = True,
        admissible: bool = False,
        basis: Basis | None = None,
        method: str = "auto",
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        hint = "1 means no interaction between scales"
        scale_extent = as_integer(scale_extent, "scale_extent, an integer >= 1", hint, minimum=1)
        choice(scale_padding, SCALE_PADDINGS, "scale_padding")
        _check_blocks(in_type)
        _check_blocks(out_type)
        out_type = _out_window(in_type, out_type, scale_extent, scale_padding, self.transposed)
        if basis is None:
            basis = HermiteBasis(tuple(order) if isinstance(order, list) else order, group_of(in_type).dim)  # type: ignore[arg-type]
        super().__init__(
            in_type,
            out_type,
            basis,
            sigma=sigma,
            support=support,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
        )
        self.scale_extent = scale_extent
        self.scale_padding = scale_padding
        self.admissible = bool(admissible)
        self.method = choice(method, METHODS, "method")
        self.paths = _paths(in_type, out_type)
        self.build()
        functions = self.constraint.shape[1]
        self.add_weights(
            [(out_type.blocks[j][0], in_type.blocks[i][0], self._extent(i, j), functions) for i, j in self.paths]
        )
        self.add_bias(bias)
        self.reset_parameters()

    def _extent(self, i: int, j: int) -> int:
        both = isinstance(self.in_type.blocks[i][1], Regular) and isinstance(self.out_type.blocks[j][1], Regular)
        return self.scale_extent if both else 1

    def reset_parameters(self) -> None:
        """New random weights that keep the variance of constants and of noise; biases are zero."""
        constraint = self.constraint.cpu().numpy()
        for (i, j), weight in zip(self.paths, self.weights, strict=True):
            white = not isinstance(self.in_type.blocks[i][1], Regular)
            variance = (constraint**2).T @ weight_std(self.basis, self.sigma, white) ** 2
            siblings = [k for k, target in self.paths if target == j]
            fan_in = sum(self.in_type.blocks[k][0] * self._extent(k, j) for k in siblings)
            gain = prod(self.stride) if self.transposed else 1  # a fine sample has 1/gain coarse neighbours
            with torch.no_grad():
                weight.normal_().mul_(torch.from_numpy(np.sqrt(variance / fan_in) * gain).to(weight))
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def build(self) -> None:
        """Make the taps of all scales, and the constraint on the weights."""
        super().build()
        functions = len(self.basis)
        constraint = self.basis.zero_mean_constraint() if self.admissible else np.eye(functions)
        self.register_constant("constraint", constraint)
        if self.frozen:
            self.freeze()

    @property
    def declared_error(self) -> float:
        """Truncation and aliasing of the kernels on the band |w| ≤ π/2, for the two worst scales.

        A sum over the scales of a truncated window has no bound (`nn.ScalePool` says why).
        """
        projects = any(not isinstance(self.out_type.blocks[j][1], Regular) for _, j in self.paths)
        return float("inf") if projects else declared_error(self.taps, self.products)

    def _convolve(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        x = self.check(x)
        space = tuple(x.shape[2:])
        fine = self.fine_size(space, output_size) if self.transposed else space
        coarse = space if self.transposed else self.coarse_size(space)
        operators, phases = self.axes(fine, coarse), self.phases(fine, coarse)
        sources = self.split(x, self.in_type)
        results: list[Tensor | None] = [None] * len(self.out_type.blocks)
        for p, (i, j) in enumerate(self.paths):
            y = self._path(p, sources[i], operators, phases)
            previous = results[j]
            results[j] = y if previous is None else previous + y
        return self.join(self.apply_bias([y for y in results if y is not None]))

    def _path(self, p: int, x: Tensor, operators: list[list[AxisOperator]], phases: tuple[int, ...]) -> Tensor:
        i, j = self.paths[p]
        factors = self._factors(i, j, self.active_scales())
        operators = [
            [replace(axes[0], taps=axes[0].taps * factor), *axes[1:]] if factor != 1 else axes
            for axes, factor in zip(operators, factors, strict=True)
        ]
        num_out = len(self.scales_of(self.out_type.blocks[j][1]))
        contraction = Contraction(self.products, self._terms(i, j), num_out)
        if self.frozen:
            kernels = self._frozen_kernels(p, phases)
            return dense.contract(x, self.weights[p], operators, contraction, kernels)
        return contract(x, self.coefficients(p), operators, contraction, self.method)

    def coefficients(self, path: int = 0) -> Tensor:
        """Coefficients `(out, in, scale_extent, F)` of the basis functions: the weights after their constraint."""
        weight = self.weights[path]
        return weight @ self.constraint.to(weight).t() if self.admissible else weight

    def _terms(self, i: int, j: int) -> tuple[Term, ...]:
        in_rep, out_rep = self.in_type.blocks[i][1], self.out_type.blocks[j][1]
        num_in, num_out = len(self.scales_of(in_rep)), len(self.scales_of(out_rep))
        if not isinstance(in_rep, Regular):
            return tuple(Term(s, 0, s, 0) for s in range(num_out))
        if not isinstance(out_rep, Regular):
            return tuple(Term(0, s, s, 0) for s in range(num_in))
        narrow, wide = (num_in, num_out) if self.transposed else (num_out, num_in)
        terms = []
        for s in range(narrow):
            for t in range(self.scale_extent):
                other = min(s + t, wide - 1) if self.scale_padding == "replicate" else s + t
                if other < wide:
                    terms.append(Term(other, s, s, t) if self.transposed else Term(s, other, s, t))
        return tuple(terms)

    def _factors(self, i: int, j: int, indices: range) -> list[float]:
        """For these scales: the powers of the scale that characters ask for, and the mean over the scales."""
        in_rep, out_rep = self.in_type.blocks[i][1], self.out_type.blocks[j][1]
        share = 1.0 if isinstance(out_rep, Regular) else 1.0 / len(indices)
        power = getattr(out_rep, "weight", 0.0) - getattr(in_rep, "weight", 0.0)
        return [share * self.scales[s] ** power for s in indices]

    # Frozen: the same function with constant dense kernels and torch's own convolutions.

    def freeze(self) -> None:
        """Replace the contraction by constant kernels, one for each scale and phase; see `nn.freeze`."""
        super().freeze()
        for p, (i, j) in enumerate(self.paths):
            coefficients = self.coefficients(p).detach()
            factors = self._factors(i, j, range(len(self.scales)))
            for s, t, phases in product(range(len(factors)), range(self._extent(i, j)), self.all_phases()):
                taps = [self.taps_of(s, axis, half)[0] for axis, half in enumerate(phases)]
                value = kernel(coefficients[:, :, t] * factors[s], taps, self.products)
                self.register_buffer(_kernel_name(p, s, t, phases), value, persistent=False)

    def _frozen_kernels(self, p: int, phases: tuple[int, ...]) -> dict[tuple[int, int], Tensor]:
        i, j = self.paths[p]
        active = self.active_scales()
        share = 1.0 if isinstance(self.out_type.blocks[j][1], Regular) else len(self.scales) / len(active)
        kernels = {}
        for n, t in product(range(len(active)), range(self._extent(i, j))):
            constant = getattr(self, _kernel_name(p, active[n], t, phases))
            kernels[n, t] = constant if share == 1 else constant * share  # the mean over a run has fewer terms
        return kernels

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.frozen:
            self.freeze()

    def extra_repr(self) -> str:
        """Types, basis and width, then what differs from the defaults, in the order of the arguments."""
        orders = getattr(self.basis, "order", None)
        named = orders is not None and self.basis == HermiteBasis(orders, self.basis.dim)
        parts = [super().extra_repr(), f"order={orders}" if named else f"basis={self.basis}", f"sigma={self.sigma:g}"]
        defaults = {
            "support": 4.5,
            "stride": (1,) * self.basis.dim,
            "scale_extent": 1,
            "scale_padding": "zeros",
            "padding": "same",
            "padding_mode": "zeros",
            "admissible": False,
            "method": "auto",
            "frozen": False,
        }
        parts += self.unusual(**defaults)
        return ", ".join(parts if self.bias is not None else [*parts, "bias=False"])


class GroupConv(_Convolution):
    """Scale-equivariant convolution: lifting, group convolution, or projection, by the types of its fields.

    With `ψ_i = Σ_f w_{i,f} ψ_f`, a learned combination of Hermite-Gaussian products of width `sigma`,

    - scalar -> regular: `F(s,x) = ∫ f(x+u) s^-d ψ(u/s) du` (lifting),
    - regular -> regular: `F'(s,x) = Σ_i ∫ F(s base^i, x+u) s^-d ψ_i(u/s) du`, i < scale_extent,
    - regular -> scalar: the mean over the scales s of `∫ F(s,x+u) s^-d ψ(u/s) du` (truncated window).

    Blocks of a mixed type are mapped pair by pair and summed. Characters of weight w are multiplied by the power
    of the scale that keeps the layer equivariant. The grid of a strided layer is centred on the volume.

    Args:
        in_type: sum of regular, scalar and character fields.
        out_type: the same; only 1×1 layers (`nn.Linear`) lead from scalars to scalars.
        order: largest total Hermite degree, or the largest degree per axis. Default 2.
        sigma: width of the kernel at scale 1, in units of the output grid's spacing. Default 1.0, the smallest
            that does not alias (1.4 for the full band).
        support: half-width of every kernel, in its own widths. Default 4.5.
        stride: input samples per output sample, a number or one per axis. Default 1.
        scale_extent: number of neighbouring scales that are mixed between regular fields ("interscale
            interaction"). Default 1.
        scale_padding: what lies above the window: "zeros", "replicate", or "valid", which is exact and narrows
            the window of `out_type` by `scale_extent - 1` scales. Default "zeros".
        padding: "same", or "valid": no output whose kernel leaves the volume. Default "same".
        padding_mode: "zeros", "replicate", "reflect" or "circular". Default "zeros".
        bias: add a constant to every output field (none to characters). Default True.
        admissible: kernels of zero mean only, as a wavelet needs. Default False.
        basis: another `Basis` in place of `HermiteBasis(order, dim)`.
        method: "auto", "dense" or "separable"; how the engine executes it. Default "auto".

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *ceil(space / stride))`.

    Raises:
        FieldTypeError: for types without an equivariant kernel, or of different groups.
        ScaleGroupError: for other bad arguments.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data"; Sosnovik et al. 2019, eq. 9-12.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=4)
        >>> lift = sg.nn.GroupConv(1 * group.scalar, 2 * group.regular)
        >>> lift(torch.randn(1, 1, 9, 8, 7)).shape
        torch.Size([1, 8, 9, 8, 7])
        >>> lift
        GroupConv(1*scalar -> 2*regular, order=2, sigma=1)
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space')`."""
        return self._convolve(x)


class GroupConvTranspose(_Convolution):
    """The exact adjoint of a strided `GroupConv`: from the coarse grid back to the fine one.

    With the same coefficients, `<conv(y), x> = <y, transpose(x)>` for all fields y and x (without bias).

    Args:
        in_type, out_type, order, sigma, support, stride, scale_extent, scale_padding, padding, padding_mode, bias,
            admissible, basis, method: as in `GroupConv`; sigma is in units of the coarse (input) grid's spacing, and
            with `scale_extent` content moves to coarser scales, where `GroupConv` reads it from.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *output_size)`; `output_size` is an argument of
        `forward`, by default `stride * space`, and any size that strides to `space` will do.

    Raises:
        ScaleGroupError: for an `output_size` that does not stride to the input's size.

    Example:
        >>> import torch, scalegroup as sg
        >>> field = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> up = sg.nn.GroupConvTranspose(field, field, stride=2)
        >>> up(torch.randn(1, 6, 5, 5), output_size=(9, 10)).shape
        torch.Size([1, 6, 9, 10])
    """

    transposed = True

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """`(batch, in_type.size, *coarse)` to `(batch, out_type.size, *fine)`."""
        return self._convolve(x, output_size)


def _kernel_name(path: int, scale: int, tap: int, phases: tuple[int, ...]) -> str:
    return f"kernel_{path}_{scale}_{tap}_" + "".join(map(str, phases))


def _check_blocks(field: FieldType) -> None:
    """Only fields whose kernels need no constraint from rotations."""
    for _, rep in field.blocks:
        if not isinstance(rep, Regular | Scalar | Character):
            hint = "kernels for other representations need a constraint that this layer does not solve"
            raise FieldTypeError("regular, scalar and character fields", str(field), hint)
        if group_of(field).rotations.order > 1:
            hint = "make the group with rotations=None"
            raise FieldTypeError("a group without rotations", str(field.group), hint)


def _paths(in_type: FieldType, out_type: FieldType) -> list[tuple[int, int]]:
    """Pairs of an input and an output block with a convolution between them: one of the two has scales."""
    paths = [
        (i, j)
        for j, (_, out_rep) in enumerate(out_type.blocks)
        for i, (_, in_rep) in enumerate(in_type.blocks)
        if isinstance(in_rep, Regular) or isinstance(out_rep, Regular)
    ]
    if {j for _, j in paths} != set(range(len(out_type.blocks))):
        hint = "lift to group.regular first, or use nn.Linear between scalars"
        raise FieldTypeError("regular fields on one side at least", f"{in_type} -> {out_type}", hint)
    return paths


def _out_window(
    in_type: FieldType, out_type: FieldType, extent: int, scale_padding: str, transposed: bool
) -> FieldType:
    """`out_type` on the window that the interaction of scales leaves: narrower (wider, transposed) if "valid"."""
    if not (has_scales(in_type) and has_scales(out_type)):
        return out_type if has_scales(out_type) else out_type.with_group(in_type.group)
    group = group_of(in_type)
    lost = extent - 1 if scale_padding == "valid" else 0
    if lost >= group.num_scales and not transposed:
        hint = "use fewer scale_extent or more num_scales"
        raise FieldTypeError(f"more than {lost} scales for scale_padding='valid'", f"{group.num_scales}", hint)
    window = group.window(num_scales=group.num_scales + (lost if transposed else -lost), first=group.first)
    if out_type.group not in (window, group):
        raise FieldTypeError(f"out_type on {window}", str(out_type.group), "use out_type.with_group(...)")
    return out_type.with_group(window)
