"""Gaussian derivative networks: each layer combines the derivatives of its input up to order two, at every scale.

Lindeberg, "Scale-Covariant and Scale-Invariant Gaussian Derivative Networks", JMIV 64, 2022 (SSVM 2021); the zero-order
term: Perzanowski and Lindeberg, arXiv 2409.11140, 2024.

`J_σ f = C_0 g_σ * f + σ Σ_i C_i ∂_i (g_σ * f) + σ²/2 Σ_ij C_ij ∂_ij (g_σ * f)` in the channel of scale s with
`σ = sigma s`, the same coefficients for all scales, and the maximum over them at the end. These are the kernels of
total order two of the Hermite basis: `He_n(x / σ) g_σ(x) = (-σ)^n ∂^n g_σ(x)`.

Exact: the scale law of the continuous derivatives. Approximate: their discretisation. "sampled" takes their values on
the voxels, or fits them where that aliases. "bessel" takes the discrete analogue of the Gaussian and central
differences, which the papers prefer for its properties on the grid; but its spectrum is another function of frequency
at every scale, and some per cent from the law at σ = 1. The range of scales is finite.

Choices: the coefficients multiply derivatives of L2 norm 1, which takes the constants σ²/2 into the weights; the
zero-order term is there (the first paper has none, the second adds it); every layer smooths with the σ of its scale.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.nn.module import check_types, group_of
from scalegroup.symbolic import Basis, DiscreteGaussianBasis, HermiteBasis

Discretisation = Literal["sampled", "bessel"]


def jet_basis(discretisation: Discretisation, order: int, dim: int) -> Basis:
    """The Gaussian derivatives up to a total order, "sampled" or by the "bessel" functions of the discrete Gaussian."""
    if discretisation not in get_args(Discretisation):
        hint = "'sampled' is the more equivariant one"
        raise ScaleGroupError("discretisation 'sampled' or 'bessel'", repr(discretisation), hint)
    return HermiteBasis(order, dim) if discretisation == "sampled" else DiscreteGaussianBasis(order, dim)


class GaussianJetConv(nn.GroupConv):
    """Learned combinations of the Gaussian derivatives of the input up to an order, at every scale.

    `J_σ f = Σ_{|n| ≤ order} C_n σ^{|n|} ∂^n (g_σ * f)` with `σ = sigma s`; see the module. Without the zero-order term
    the kernels have zero mean.

    Args:
        in_type: sum of regular and scalar fields.
        out_type: the same.
        order: the largest total order of the derivatives; "bessel" has them up to 2. Default 2.
        sigma: standard deviation at scale 1, in units of the output grid's spacing. Default 1.0.
        discretisation: "sampled" Gaussian derivatives, or "bessel", the discrete analogue of the Gaussian with central
            differences. Default "sampled".
        zero_order: whether the smoothed input itself is among them. Default True.
        options: all other arguments of `nn.GroupConv`, such as stride, padding_mode, bias or method.

    Shape:
        As `nn.GroupConv`.

    Raises:
        FieldTypeError: for types without an equivariant kernel.
        ScaleGroupError: for an unknown discretisation or other bad arguments.

    Source: Lindeberg 2022; the discrete derivatives: Lindeberg 1990 and 1993, see `DiscreteGaussianBasis`.

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=4)
        >>> jet = GaussianJetConv(1 * group.scalar, 2 * group.regular)
        >>> tuple(jet.weight.shape)  # out, in, 1, 1 + 3 + 6 derivatives
        (2, 1, 1, 10)
        >>> jet(torch.randn(1, 1, 9, 8, 7)).shape
        torch.Size([1, 8, 9, 8, 7])
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        order: int = 2,
        *,
        sigma: float = 1.0,
        discretisation: Discretisation = "sampled",
        zero_order: bool = True,
        **options: Any,
    ) -> None:
        check_types(self, in_type=in_type, out_type=out_type)
        basis = jet_basis(discretisation, order, group_of(in_type).dim)
        super().__init__(in_type, out_type, sigma=sigma, basis=basis, admissible=not zero_order, **options)


class JetLayers(RegularLayers):
    """The layers of a Gaussian derivative network.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of scale channels. Default 4.
        sigma, discretisation, zero_order: of every `GaussianJetConv`.

    Example:
        >>> JetLayers(dim=2, discretisation="bessel").lift(1, 4)
        GaussianJetConv(1*scalar -> 4*regular, basis=DiscreteGaussianBasis(order=2, dim=2), sigma=1)
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        *,
        sigma: float = 1.0,
        discretisation: Discretisation = "sampled",
        zero_order: bool = True,
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.options = {"sigma": sigma, "discretisation": discretisation, "zero_order": zero_order}

    def basis(self) -> Basis:
        """The functions of the kernels."""
        return jet_basis(self.options["discretisation"], 2, self.dim)

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The derivatives of an image."""
        return GaussianJetConv(in_channels * self.group.scalar, self.field(out_channels), **self.options)

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The derivatives of features, each scale for itself."""
        return GaussianJetConv(self.field(in_channels), self.field(out_channels), **self.options)


METHOD = Method(
    name="lindeberg2021",
    title="Gaussian derivative networks",
    source="Lindeberg, Scale-Covariant and Scale-Invariant Gaussian Derivative Networks, 2021",
    kind="steerable",
    interscale=False,
    scales="all",
    equivariance="global",
    layers=JetLayers,
)
