"""Group convolution of six dimensions: positions and q-space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import METHODS
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import DiffusionGroup
from scalegroup.groups.checks import as_integer
from scalegroup.kernels import Taps, declared_error
from scalegroup.nn.diffusion_basis import DiffusionBasis
from scalegroup.nn.diffusion_contraction import Work, contract_samples
from scalegroup.nn.diffusion_space import as_q, polynomial_norms, q_matrices
from scalegroup.nn.grid import GridModule, choice, positive
from scalegroup.nn.initialisation import weight_std
from scalegroup.nn.module import check_types, group_of
from scalegroup.nn.path_weights import SCALE_PADDINGS, PathWeights
from scalegroup.nn.paths import check_blocks, out_window
from scalegroup.nn.rotating import check_isotropic
from scalegroup.representations import on_scales
from scalegroup.symbolic import HermiteBasis


def diffusion_group(field: FieldType) -> DiffusionGroup:
    """The group of a field on positions and q-space, or an error."""
    if not isinstance(field.group, DiffusionGroup):
        hint = "make it with sg.DiffusionGroup(acts_on='p', 'q' or 'joint')"
        raise FieldTypeError("fields of a DiffusionGroup", repr(field.group), hint)
    return field.group


class DiffusionGroupConv(PathWeights):
    """Group convolution of fields on positions p and samples of q-space, for diffusion MRI.

    `F'(s,p,q) = Σ_i ∫∫ F(s base^i, p+u, q+v) ψ_i(u / s^a, v / s^b) s^-3a du s^-3b dv`, where the group dilates
    positions by `s^a` and q-space by `s^b` (`DiffusionGroup`), and ψ is a learned sum of Hermite-Gaussians of p times
    those of q. Scalar fields are lifted and projected as by `nn.GroupConv`. With rotations in the group the kernels
    turn in both spaces together.

    The integral over q is a sum over the samples, each weighted by how lonely it is at the kernel's own width, and then
    corrected so that polynomials in q are seen as the integral sees them, as far as there are samples to tell
    (`nn.diffusion_space.q_matrices`). So the order of the samples does not matter, and weights trained on some
    gradients serve any others, also more or fewer.

    Args:
        in_type: type of the input field, of a `DiffusionGroup`.
        out_type: type of the output field.
        order: largest total degree, in p and q together. Default 2.
        sigma: width of the kernel in p at scale 1, in samples of the output grid. Default 1.0. None: the kernel is a
            point in p, so that each position is seen by itself, and `order` is that in q.
        q_sigma: width of the kernel in q at scale 1, in the unit of `q`. Default 0.5: half of what separates b = 0
            from b = b_ref.
        q_ridge: ridge of the fit that corrects the sum over few samples. Default 0.1, which is safe for noisy signals.
            With 0.001 responses depend less on the number of gradients, and noise of few gradients is amplified more.
        antipodal: for signals with `F(p,-q) = F(p,q)`, as those of diffusion are: each sample counts at its antipode
            too, and kernels are even in q, so that the sign of a gradient never matters. Default True.
        support, stride, scale_extent, scale_padding, padding, padding_mode, bias, admissible, method: as in
            `nn.GroupConv`; support, stride, padding and padding_mode are those of p.

    Shape:
        `layer(x, q, out_q=None)`: x `(batch, in_type.size, samples, *space)`; q `(samples, dim)`, or one such set for
        each of the batch, `(batch, samples, dim)`, with rows `sqrt(b / b_ref) * direction`, for instance with
        b_ref = 1000 s/mm². `out_q` are the samples of the output, by default those of the input; a single zero vector
        gathers all q-space at each position, which is cheap. Output `(batch, out_type.size, out samples, *space')`.

    Raises:
        FieldTypeError: for types without an equivariant kernel, or of another group.
        ScaleGroupError: for other bad arguments, for q-vectors of another shape, and for those that are not finite.

    Source: Müller et al. 2021, "Rotation-Equivariant Deep Learning for Diffusion MRI", arXiv 2102.06942 (fields on p
        and q); the dilations and the basis are of this library.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.DiffusionGroup("joint", num_scales=3)
        >>> lift = sg.nn.DiffusionGroupConv(1 * group.scalar, 2 * group.regular)
        >>> q = torch.nn.functional.normalize(torch.randn(16, 3), dim=1)
        >>> lift(torch.randn(1, 1, 16, 7, 6, 5), q).shape
        torch.Size([1, 6, 16, 7, 6, 5])
        >>> lift(torch.randn(1, 1, 16, 7, 6, 5), q, out_q=torch.zeros(1, 3)).shape
        torch.Size([1, 6, 1, 7, 6, 5])
    """

    norms: Tensor

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        *,
        sigma: float | None = 1.0,
        q_sigma: float = 0.5,
        q_ridge: float = 0.1,
        antipodal: bool = True,
        support: float = 4.5,
        stride: int | Sequence[int] = 1,
        scale_extent: int = 1,
        scale_padding: str = "zeros",
        padding: str = "same",
        padding_mode: str = "zeros",
        bias: bool = True,
        admissible: bool = False,
        method: str = "auto",
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        group = diffusion_group(in_type)
        hint = "1 means no interaction between scales"
        scale_extent = as_integer(scale_extent, "scale_extent, an integer >= 1", hint, minimum=1)
        choice(scale_padding, SCALE_PADDINGS, "scale_padding")
        check_blocks(in_type)
        check_blocks(out_type)
        super().__init__(in_type, out_window(in_type, out_type, scale_extent, scale_padding, transposed=False))
        self.basis = DiffusionBasis(order, group.dim, bool(antipodal), 0 if sigma is None else None)
        self.q_sigma, self.q_ridge = positive(q_sigma, "q_sigma"), positive(q_ridge, "q_ridge")
        self.scale_extent = scale_extent
        self.scale_padding = scale_padding
        self.scale_basis = None
        self.admissible = bool(admissible)
        self.method = choice(method, METHODS, "method")
        self.positions = (_OnePoint if sigma is None else _Positions)(
            self.in_type,
            self.out_type,
            HermiteBasis(0 if sigma is None else self.basis.order, group.dim),
            sigma=1.0 if sigma is None else sigma,
            support=support,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
        )
        check_isotropic(self, in_type, self.positions.stride, "stride")
        if sigma is None and set(self.positions.stride) != {1}:
            hint = "what a coarse grid cannot hold has to be removed; use nn.Downsample"
            raise ScaleGroupError("stride=1 for kernels without extent in p", self.positions.stride, hint)
        self.positions.build()
        self.find_paths()
        self.build()
        self.add_path_weights()
        self.add_bias(bias)
        self.reset_parameters()

    def build(self) -> None:
        """Make the constants of the functions of q-space and the constraint on the weights."""
        for name in self._constants:
            delattr(self, name)
        self._constants = {}
        self._shares = self.basis.shares()
        self.register_constant("norms", polynomial_norms(self.basis.order))
        self.add_constraints()

    def weight_std(self, white: bool) -> NDArray[np.float64]:
        """As for a grid of six dimensions: samples of q-space are about as far apart as its kernels are wide."""
        std = weight_std(self.basis, self.positions.sigma, white)
        if isinstance(self.positions, _OnePoint):  # of unit mass, where the Gaussian's is this
            std[0] *= float(self.positions.basis.means[0]) ** self.positions.basis.dim
        return std

    @property
    def declared_error(self) -> float:
        """Truncation and aliasing of the kernels of p, on q-sets that move along; those of q are not truncated."""
        if any(not on_scales(self.out_type.blocks[j][1]) for _, j in self.paths):
            return float("inf")
        if diffusion_group(self.in_type).p_power == 0:
            return 0.0
        return declared_error(self.positions.taps, self.positions.products)

    def scales_in_use(self) -> list[float]:
        """The scales of the window that the layer works on now."""
        return self.positions.scales_in_use()

    def forward(self, x: Tensor, q: Tensor, out_q: Tensor | None = None) -> Tensor:
        """`(batch, in_type.size, samples, *space)` to `(batch, out_type.size, out samples, *space')`."""
        x = check_samples(self, x)
        dim = group_of(self.in_type).dim
        there = as_q(q, "q", dim, x, x.shape[2])
        out = there if out_q is None else as_q(out_q, "out_q", dim, x)
        space = tuple(x.shape[3:])
        operators = self.positions.axes([space], [self.positions.coarse_size(space)])
        matrices = [self._matrices(out, there, scale) for scale in self.scales_in_use()]
        parts = self.split(x, self.in_type)
        results: list[Tensor | None] = [None] * len(self.out_type.blocks)
        for p, (i, j) in enumerate(self.paths):
            out_rep = self.out_type.blocks[j][1]
            coefficients, terms, scales = self.coefficients(p), self.terms(i, j), len(self.scales_of(out_rep))
            for n, share in enumerate(self._shares):
                factors = zip(self._factors(i, j), matrices, strict=True)
                of_q = [(factor * each[n]).to(x.dtype) for factor, each in factors]
                work = Work(of_q, operators, share.of_p, terms, scales, self.method)
                y = contract_samples(parts[i], coefficients[..., [list(row) for row in share.places]], work)
                known = results[j]
                results[j] = y if known is None else known + y
        return self.join(self.apply_bias(cast(list[Tensor], results)))

    def _matrices(self, out_q: Tensor, q: Tensor, scale: float) -> Sequence[Tensor]:
        """For each share `(1 or batch, functions, out samples, samples)`, at one scale."""
        width = self.q_sigma * scale ** diffusion_group(self.in_type).q_power
        degrees = [degree for share in self._shares for degree in share.of_q]
        matrices = q_matrices(out_q, q, width, degrees, self.norms, self.basis.even, self.q_ridge)
        return torch.split(matrices, [len(share.of_q) for share in self._shares], dim=1)

    def extra_repr(self) -> str:
        """Types, order and width in q, then what differs from the defaults; the rest stands below."""
        parts = [super().extra_repr(), f"order={self.basis.order}", f"q_sigma={self.q_sigma:g}"]
        parts += self.unusual(q_ridge=0.1) + ([] if self.basis.even else ["antipodal=False"])
        parts += self.unusual(scale_extent=1, scale_padding="zeros", admissible=False, method="auto", frozen=False)
        return ", ".join(parts if self.bias is not None else [*parts, "bias=False"])


class _Positions(GridModule):
    """The functions of positions at all scales, as wide as the group makes them."""

    def extra_repr(self) -> str:
        """The width, and what differs from the defaults."""
        stride = (1,) * self.basis.dim
        unusual = self.unusual(support=4.5, stride=stride, padding="same", padding_mode="zeros")
        return ", ".join([f"sigma={self.sigma:g}", *unusual])


class _OnePoint(_Positions):
    """The kernels of positions that are a point at all scales."""

    def sample(self, stride: int, scale: float, half: int = 0) -> Taps:
        """One tap."""
        return Taps(np.ones((1, 1)), 0, 0.0, 0.0, np.zeros(1), "own")

    def extra_repr(self) -> str:
        """What there is to say."""
        return "sigma=None"


def check_samples(layer: Any, x: Any) -> Tensor:
    """Return a field `(batch, in_type.size, samples, *space)` on positions and q-space, or raise."""
    axes = group_of(layer.in_type).dim + 3
    if not isinstance(x, Tensor) or x.ndim != axes or 0 in x.shape:
        expected = f"{type(layer).__name__} input of {axes} axes (batch, channels, samples, *space), none empty"
        received = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ScaleGroupError(expected, received, "samples of q-space are the third axis")
    layer.check(x[:, :, 0])
    return x
