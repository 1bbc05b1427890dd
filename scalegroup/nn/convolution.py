"""What the group convolution and its adjoint share: weights, terms over the scales, execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import lcm
from typing import Any

import torch
from torch import Tensor

from scalegroup.engine import METHODS, AxisOperator, Contraction, Plan, Term, contract, dense, resample, wide
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import declared_error
from scalegroup.nn.basis import as_basis, as_scale_basis
from scalegroup.nn.grid import choice, interpolation_error
from scalegroup.nn.haar import all_on_voxels, haar_grids
from scalegroup.nn.kernels import KernelModule
from scalegroup.nn.module import Samples, check_types, grids, group_of, has_scales, on_grids
from scalegroup.nn.path_weights import SCALE_PADDINGS
from scalegroup.nn.paths import check_blocks, out_window
from scalegroup.nn.plan import plan
from scalegroup.nn.rotating import check_isotropic
from scalegroup.nn.spacing import Spacing, check_no_spacing, plain, read, spacing_of
from scalegroup.representations import on_scales
from scalegroup.symbolic import Basis, HermiteBasis, JointBasis


class Convolution(KernelModule):
    """Base of `GroupConv`, which documents the arguments, and of `GroupConvTranspose`."""

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
        basis: Basis | JointBasis | str | None = None,
        kernel_size: int = 3,
        scale_basis: Sequence[Sequence[float]] | None = None,
        divisor: int | None = None,
        method: str = "auto",
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        hint = "1 means no interaction between scales"
        scale_extent = as_integer(scale_extent, "scale_extent, an integer >= 1", hint, minimum=1)
        choice(scale_padding, SCALE_PADDINGS, "scale_padding")
        check_blocks(in_type)
        check_blocks(out_type)
        out_type = out_window(in_type, out_type, scale_extent, scale_padding, self.transposed)
        super().__init__(
            in_type,
            out_type,
            as_basis(basis, order, sigma, support, kernel_size, group_of(in_type).dim),
            sigma=sigma,
            support=support,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
        )
        if self.on_grids and self.transposed and scale_padding == "valid" and scale_extent > 1:
            hint = "the grid of a new scale is not known; use 'zeros' or 'replicate'"
            raise ScaleGroupError("scale_padding out of ('zeros', 'replicate')", repr(scale_padding), hint)
        check_isotropic(self, in_type, self.stride, "stride")
        self.scale_extent = scale_extent
        self.scale_padding = scale_padding
        self.admissible = bool(admissible)
        self.scale_basis = as_scale_basis(scale_basis, scale_extent)
        self.method = choice(method, METHODS, "method")
        if isinstance(basis, JointBasis) and method not in ("auto", "dense"):
            hint = "only products of one-dimensional functions are applied axis by axis"
            raise ScaleGroupError("method 'auto' or 'dense' for kernels that are no products", repr(method), hint)
        self.divisor = self._as_divisor(divisor)
        self.find_paths()
        self.build()
        self.add_path_weights()
        self.add_bias(bias)
        self.reset_parameters()

    def _as_divisor(self, divisor: object) -> int:
        """The product of all strides of the network, for a lifting to a grid for each scale."""
        own = lcm(*self.stride)
        if divisor is None:
            return own
        if not self.on_grids or on_grids(self.in_type):
            hint = "only the layer that lifts a volume to grids of their own chooses their sizes"
            raise ScaleGroupError("no divisor", divisor, hint)
        expected, hint = f"divisor, a multiple of {own}", "it is the product of all strides, this layer's included"
        value = as_integer(divisor, expected, hint, minimum=own)
        if value % own:
            raise ScaleGroupError(expected, value, hint)
        return value

    @property
    def declared_error(self) -> float:
        """Truncation and aliasing of the kernels on the band `|w| ≤ π/2`, for the two worst scales.

        No strict bound: `kernels.declared_error` says what it is. A sum over the scales of a truncated window
        declares none (`nn.ScalePool` says why). Between fields that have a grid for each scale it is zero, and for the
        lifting to them the error of resampling.
        """
        if any(not on_scales(self.out_type.blocks[j][1]) for _, j in self.paths):
            return float("inf")
        if self.on_grids:
            return 0.0 if on_grids(self.in_type) else interpolation_error(self.basis.dim)
        return declared_error(self.taps, self.products)

    def _convolve(self, x: Samples, output_size: Sequence[Any] | None, spacing: Spacing | None) -> Samples:
        x = self.check(x)
        if not has_scales(self.in_type):
            spacing = spacing_of(x, spacing, self.basis.dim)
        inputs = self._lifted(x, spacing)
        operators = self.operators([tuple(grid.shape[2:]) for grid in inputs], output_size)
        parts = [self.split(grid, self.in_type) for grid in inputs]
        results: list[list[Tensor]] = [[] for _ in self.out_type.blocks]
        for p, (i, j) in enumerate(self.paths):
            y = self._path(p, [part[i] for part in parts], operators)
            results[j] = [a + b for a, b in zip(results[j], y, strict=True)] if results[j] else y
        if self.on_grids and not on_grids(self.out_type):
            results = [[self._mean_on_voxels(block, output_size, spacing)] for block in results]
        joined = [self.join(self.apply_bias(list(blocks))) for blocks in zip(*results, strict=True)]
        return tuple(joined) if on_grids(self.out_type) else joined[0]

    def operators(
        self, spaces: Sequence[tuple[int, ...]], output_size: Sequence[Any] | None = None
    ) -> list[list[AxisOperator]]:
        """The operators of all scales, for grids of these sizes that are convolved."""
        if not self.transposed:
            return self.axes(spaces, [self.coarse_size(n) for n in spaces])
        asked: Sequence[Any] = [None] * len(spaces)
        if output_size is not None and on_grids(self.out_type) == self.on_grids:  # else it counts the voxels
            asked = output_size if self.on_grids else [output_size]
        return self.axes([self.fine_size(n, m) for n, m in zip(spaces, asked, strict=True)], spaces)

    def _lifted(self, x: Samples, spacing: Spacing | None) -> list[Tensor]:
        """The tensors to convolve, on the layer's own grids: one for each scale if each has its own, else one."""
        if not self.on_grids:
            return [read(x, None if self.transposed else spacing, self.padding_mode)]
        if not isinstance(x, Tensor):
            if on_grids(self.out_type):
                check_no_spacing(spacing)
            return grids(x)
        places = haar_grids(self.scales_in_use(), x.shape[2:], spacing, self.divisor, padding_mode=self.padding_mode)
        return [resample(plain(x), sizes, ratios, self.padding_mode) for sizes, ratios in places]

    def _mean_on_voxels(self, stacks: list[Tensor], space: Sequence[int] | None, spacing: Spacing | None) -> Tensor:
        flat = [stack.squeeze(2) for stack in stacks]
        placed = all_on_voxels(flat, self.scales_in_use(), space, spacing, self.padding_mode)
        return torch.stack(placed).mean(dim=0).unsqueeze(2)

    def _path(self, p: int, x: list[Tensor], operators: list[list[AxisOperator]]) -> list[Tensor]:
        i, j = self.paths[p]
        factors = self._factors(i, j)
        if self.on_grids:
            return self._path_on_grids(p, x, operators, factors)
        outputs = (len(self.scales_of(self.out_type.blocks[j][1])),)
        return self._contract(p, x, operators, factors, Contraction(self.products, self.terms(i, j), outputs))

    def _path_on_grids(
        self, p: int, x: list[Tensor], operators: list[list[AxisOperator]], factors: list[float]
    ) -> list[Tensor]:
        """Each term works on its operator's grid; what it reads from or writes to another one is resampled."""
        i, j = self.paths[p]
        lifts, projects = (not on_scales(rep) for rep in (self.in_type.blocks[i][1], self.out_type.blocks[j][1]))
        count = len(x) if projects else len(self.scales_of(self.out_type.blocks[j][1]))
        sources, terms, elsewhere = list(x), [], []
        for target, source, grid, tap in self.terms(i, j):
            target, source = grid if projects else target, grid if lifts else source
            if source != grid:
                sources.append(self._moved(x[source], x[grid], grid - source))
                source = len(sources) - 1
            if target != grid:
                elsewhere.append((target, grid))
                target = count + len(elsewhere) - 1
            terms.append(Term(target, source, grid, tap))
        outputs = (1,) * (count + len(elsewhere))
        y = self._contract(p, sources, operators, factors, Contraction(self.products, tuple(terms), outputs))
        for part, (target, grid) in zip(y[count:], elsewhere, strict=True):
            y[target] = y[target] + self._moved(part, y[target], target - grid)
        return y[:count]

    def _moved(self, x: Tensor, like: Tensor, steps: int) -> Tensor:
        """A scale on the grid of another, so many steps coarser."""
        sizes, space = like.shape[3:], x.shape[3:]
        ratio = group_of(self.in_type).base ** steps
        periodic = self.padding_mode == "circular"
        ratios = [n / m if periodic else ratio for n, m in zip(space, sizes, strict=True)]
        return resample(x, sizes, ratios, self.padding_mode)

    def _contract(
        self,
        p: int,
        x: list[Tensor],
        operators: list[list[AxisOperator]],
        factors: list[float],
        contraction: Contraction,
    ) -> list[Tensor]:
        if isinstance(self.basis, JointBasis) and self.method == "auto" and not self.frozen:
            weight = self.coefficients(p)
            if wide.pays(x[0].shape[0], weight.shape, operators, contraction):
                return wide.contract(x, weight, operators, contraction, self._functions(operators, factors))
        if isinstance(self.basis, JointBasis) or (self.frozen and self.method != "spectral"):
            kernels = self._kernels(p, operators, factors)
            return dense.contract(x, self.weights[p], operators, contraction, kernels)
        operators = [
            [replace(axes[0], factor=factor), *axes[1:]] if factor != 1 else axes
            for axes, factor in zip(operators, factors, strict=True)
        ]
        return contract(x, self.coefficients(p), operators, contraction, self.method)

    def plan(self, input_shape: Sequence[int] | Sequence[Sequence[int]], *, measure: bool = False) -> Plan:
        """Which method an input of this shape is convolved by, and what each method costs; `print` shows it.

        Args:
            input_shape: shape of what `forward` takes; for a grid for each scale one shape for each.
            measure: also time forward passes expected to take less than two seconds. Default False.

        Returns:
            The method, the reason, and for each method multiply-adds, bytes, and seconds expected and measured.

        Raises:
            ScaleGroupError: for a shape that `forward` does not take.

        Example:
            >>> import scalegroup as sg
            >>> field = 16 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular
            >>> sg.nn.GroupConv(field, field).plan((1, 64, 48, 48, 48)).method
            'separable'
        """
        return plan(self, input_shape, measure)

    def _factors(self, i: int, j: int) -> list[float]:
        """As for any convolution; of scales on grids of their own the mean is taken on the voxels."""
        return self._powers(i, j) if self.on_grids else super()._factors(i, j)

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
            "scale_basis": None,
            "divisor": lcm(*self.stride),
            "method": "auto",
            "frozen": False,
        }
        parts += self.unusual(**defaults)
        return ", ".join(parts if self.bias is not None else [*parts, "bias=False"])
