"""Group convolution on point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import PointBasis, PointOperator, PointPath, Points, points
from scalegroup.fields import FieldType
from scalegroup.groups.checks import as_finite, as_integer
from scalegroup.nn.basis import as_scale_basis
from scalegroup.nn.grid import choice
from scalegroup.nn.initialisation import weight_std
from scalegroup.nn.module import check_types, group_of
from scalegroup.nn.path_weights import SCALE_PADDINGS, PathWeights
from scalegroup.nn.paths import check_blocks, out_window
from scalegroup.nn.point_module import PointModule, as_points
from scalegroup.representations import on_scales


class PointGroupConv(PathWeights, PointModule):
    """Scale-equivariant convolution on point clouds: `GroupConv` with a sum over neighbours in place of the integral.

    `F'(s, x_i) = Σ_t Σ_j a_j(s) (σ s)^-d Σ_f C_{t,f} ψ_f((x_j - x_i) / (σ s)) F(s base^t, x_j)`

    over the points with `|x_j - x_i| < support σ s` and `t < scale_extent`, with the same types of fields, the same
    Hermite-Gaussians ψ and the same constraint from rotations as `GroupConv` has. The functions are evaluated where the
    neighbours are, not sampled on a grid: the layer is equivariant to rounding, for any positions. Quadrature weights
    `a_j(s) = (σ s)^d ∫g / Σ_k g((x_k - x_j) / (σ s))` are the volume around each point, estimated with a Gaussian g as
    wide as the kernel; they grow with s^d as a cloud grows, so that the powers of the scale cancel, for points that
    fill a volume and for points on a surface alike.

    The output lies at the same points, or at others: at fewer (`points.farthest(ratio)`) it is a strided convolution,
    at more an upsampling one. An output point without neighbours gets zero, and the bias.

    Time and memory grow with the number of neighbours, and that with the square of `support * sigma` and of the largest
    scale on a surface, with the cube in a volume: a sigma near the spacing of the points is enough.

    Args:
        in_type: sum of fields on the scales, scalars, characters, irreps, ….
        out_type: the same; only `nn.Linear` leads from scalars to scalars.
        order: largest total Hermite degree. Default 2.
        sigma: width of the kernel at scale 1, in the unit of the positions (in spacings, if `relative`). Default 1.0.
        support: radius of the neighbourhood, in widths; kernels fade to zero there, see `PointBasis`. Default 3.0.
        scale_extent: number of neighbouring scales that are mixed. Default 1.
        scale_padding: what lies above the window: "zeros", "replicate", or "valid". Default "zeros".
        bias: add a constant to every output field that may have one. Default True.
        admissible: kernels of zero mean only. Default False.
        relative: scales relative to the spacing of each cloud (`nn.cloud_spacing`): then the output is the same for a
            cloud and for its copy of any other size. Of an output at other points, the input's spacing counts.
            Default False: absolute.
        density: "source", the weights above; or "target": each output is divided by the Gaussian sum around itself, a
            weighted mean of its neighbours, in which dense parts count more; cheaper where few points are written and
            many read. Default "source".
        scale_basis: functions of the scale whose sums the taps over neighbouring scales are, as in `GroupConv`.

    Shape:
        `(points, in_type.size)` and positions `(points, dim)` to `(out_points, out_type.size)`.

    Raises:
        FieldTypeError: for types without an equivariant kernel, or of different groups.
        ScaleGroupError: for other bad arguments and inputs, among them positions that are not finite or that ask for a
            gradient: the layer has gradients for features and weights (once, not gradients of gradients).

    Source: the convolution of `GroupConv` (Wimmer et al.), as a sum over points with density weights as in Wu et al.
        2019, "PointConv", section 3.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=4)
        >>> lift = sg.nn.PointGroupConv(1 * group.scalar, 2 * group.regular, sigma=0.5)
        >>> points = sg.nn.Points(torch.randn(100, 3))
        >>> lift(torch.ones(100, 1), points).shape
        torch.Size([100, 8])
        >>> lift(torch.ones(100, 1), points, out_pos=points.farthest(ratio=0.25)).shape
        torch.Size([25, 8])
        >>> lift
        PointGroupConv(1*scalar -> 2*regular, order=2, sigma=0.5)
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        *,
        sigma: float = 1.0,
        support: float = 3.0,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        bias: bool = True,
        admissible: bool = False,
        relative: bool = False,
        density: str = "source",
        scale_basis: Sequence[Sequence[float]] | None = None,
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        check_blocks(in_type)
        check_blocks(out_type)
        hint = "1 means no interaction between scales"
        scale_extent = as_integer(scale_extent, "scale_extent, an integer >= 1", hint, minimum=1)
        choice(scale_padding, SCALE_PADDINGS, "scale_padding")
        super().__init__(in_type, out_window(in_type, out_type, scale_extent, scale_padding, False))
        self.order = as_integer(order, "order, an integer >= 0", "it is the largest Hermite degree", minimum=0)
        hint = "it is a width in the unit of the positions"
        self.sigma = as_finite(sigma, "sigma, a number > 0", hint, positive=True)
        hint = "neighbours are looked for up to support * sigma * scale"
        self.support = as_finite(support, "support, a number > 0", hint, positive=True)
        self.basis = PointBasis(self.order, group_of(in_type).dim, self.support)
        self.scale_extent = scale_extent
        self.scale_padding = scale_padding
        self.scale_basis = as_scale_basis(scale_basis, scale_extent)
        self.admissible = bool(admissible)
        self.relative = bool(relative)
        self.density = choice(density, points.DENSITIES, "density")
        self.find_paths()
        self.build()
        self.add_path_weights()
        self.add_bias(bias)
        self.reset_parameters()

    @property
    def declared_error(self) -> float:
        """Zero: only rounding. A sum over the scales of a truncated window has no bound (`nn.ScalePool` says why)."""
        return 0.0 if all(on_scales(self.out_type.blocks[j][1]) for _, j in self.paths) else float("inf")

    def build(self) -> None:
        """The constraint on the weights."""
        self.add_constraints()

    def weight_std(self, white: bool) -> NDArray[np.float64]:
        """As for a grid whose spacing is the width of the kernel."""
        return weight_std(self.basis.hermite, 1.0, white)

    def forward(self, x: Any, pos: Any = None, batch: Any = None, out_pos: Any = None, out_batch: Any = None) -> Tensor:
        """`(points, in_type.size)` to `(out_points, out_type.size)`.

        Args:
            x: features, or an object with `x`, `pos` and `batch`.
            pos: positions `(points, dim)`, or an `nn.Points`.
            batch: the cloud of each point, integers in any order. Default None: one cloud.
            out_pos: where the output lies, positions or an `nn.Points`. Default None: at the same points.
            out_batch: the cloud of each output point.
        """
        x, sources = self.read(x, pos, batch)
        targets = sources if out_pos is None else as_points(out_pos, out_batch)
        operators = self.operators(sources, targets)
        paths = [
            PointPath(i, j, self.coefficients(p), self.terms(i, j), self._factors(i, j))
            for p, (i, j) in enumerate(self.paths)
        ]
        outputs = [(m * self.components_of(rep), len(self.scales_of(rep))) for m, rep in self.out_type.blocks]
        x = x.to(paths[0].weight.dtype)  # under autocast layers before this one may have rounded
        return self.join(self.apply_bias(points.contract(self.split(x, self.in_type), paths, operators, outputs)))

    def operators(self, sources: Points, targets: Points | None = None) -> list[PointOperator]:
        """The sparse matrices of all scales in use, from points to points."""
        targets = sources if targets is None else targets
        if self.relative:
            sources, targets = sources.relative(), targets.relative(to=sources)
        widths = [self.sigma * scale for scale in self.scales_in_use()]
        return [PointOperator(self.basis, width, sources, targets, self.density) for width in widths]

    def extra_repr(self) -> str:
        """Types, order and width, then what differs from the defaults."""
        parts = [super().extra_repr(), f"order={self.order}", f"sigma={self.sigma:g}"]
        defaults = {
            "support": 3.0,
            "scale_extent": 1,
            "scale_padding": "zeros",
            "admissible": False,
            "relative": False,
            "density": "source",
            "scale_basis": None,
            "frozen": False,
        }
        parts += self.unusual(**defaults)
        return ", ".join(parts if self.bias is not None else [*parts, "bias=False"])
