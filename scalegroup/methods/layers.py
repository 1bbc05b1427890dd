"""What a network asks of a method: its layers, made for a number of channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.symbolic import Basis, JointBasis


class Layers(ABC):
    """The layers of a method, for images of `dim` axes.

    A feature map of `n` channels is a field of type `field(n)`: a tensor `(batch, field(n).size, *space)`. Networks
    are built from these parts alone, so that they differ in nothing but the method.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default: the method's own.
        num_scales: number of scales. Default: the method's own.

    Attributes:
        group: the scale-translation group of the fields; subclasses set the defaults of `base` and `num_scales`.
        sampling: of the group, "uniform" or "haar"; subclasses set it. Default "uniform".

    Raises:
        ScaleGroupError: for scales that the method cannot represent.

    Example:
        >>> import torch, scalegroup as sg
        >>> layers = sg.methods.get("sosnovik2019").parts(dim=2, num_scales=3)
        >>> features = layers.lift(1, 4)(torch.randn(1, 1, 9, 9))
        >>> str(layers.field(4)), layers.project(4)(layers.conv(4, 4)(features)).shape
        ('4*regular', torch.Size([1, 4, 9, 9]))
    """

    base: float = 2**0.5
    num_scales: int = 4
    sampling: str = "uniform"

    def __init__(self, dim: int = 3, base: float | None = None, num_scales: int | None = None) -> None:
        self.dim = dim
        self.base = type(self).base if base is None else base
        self.num_scales = type(self).num_scales if num_scales is None else num_scales
        group = ScaleTranslationGroup(dim, self.base, self.num_scales, sampling=self.sampling)
        self.group = group.window(first=self.first(group.num_scales))

    @staticmethod
    def first(num_scales: int) -> int:
        """Exponent of the first of so many scales: 0, the first scale is 1."""
        return 0

    @abstractmethod
    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From an image `(batch, in_channels, *space)` to features."""

    @abstractmethod
    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From features to features on the same grid."""

    @abstractmethod
    def field(self, channels: int) -> FieldType:
        """The type of features of so many channels."""

    @abstractmethod
    def project(self, channels: int) -> torch.nn.Module:
        """From features to maps `(batch, channels, *space)` that forget the scale."""

    def norm(self, channels: int) -> torch.nn.Module:
        """A norm of features: statistics over batch, scales and space."""
        return nn.BatchNorm(self.field(channels))

    def act(self, channels: int) -> torch.nn.Module:
        """The activation of features."""
        return nn.Pointwise(self.field(channels), torch.nn.SiLU())

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """Features on a grid of fewer samples."""
        return nn.ScaleBlurPool(self.field(channels), stride)

    def up(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """The way back, to the `output_size` that `forward` is told."""
        return nn.Upsample(self.field(channels), stride)


class RegularLayers(Layers):
    """The layers of a method with an axis of scales, which differs from others in the basis of its kernels.

    Args:
        dim, base, num_scales: as in `Layers`.

    Attributes:
        options: further arguments of all its `nn.GroupConv`, such as sigma.
        scale_extent: neighbouring scales that a convolution between features spans. Default 1.
        scale_options: further arguments of convolutions between features, such as scale_basis.

    Example:
        >>> from scalegroup.symbolic import HermiteBasis
        >>> class FirstDerivatives(RegularLayers):
        ...     options = {"sigma": 1.4}
        ...     def basis(self):
        ...         return HermiteBasis(order=1, dim=self.dim)
        >>> FirstDerivatives(dim=2).conv(4, 8)
        GroupConv(4*regular -> 8*regular, order=1, sigma=1.4)
    """

    options: dict[str, Any] = {}  # noqa: RUF012
    scale_extent: int = 1
    scale_options: dict[str, Any] = {}  # noqa: RUF012

    @abstractmethod
    def basis(self) -> Basis | JointBasis:
        """The functions of which the kernels of this method are made."""

    def field(self, channels: int) -> FieldType:
        """Regular fields: a number for each point and scale."""
        return channels * self.group.regular  # type: ignore[no-any-return]

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A group convolution from scalar to regular fields."""
        return nn.GroupConv(
            in_channels * self.group.scalar, self.field(out_channels), basis=self.basis(), **self.options
        )

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A group convolution between regular fields."""
        fields = self.field(in_channels), self.field(out_channels)
        options = {"scale_extent": self.scale_extent, **self.scale_options, **self.options}
        return nn.GroupConv(*fields, basis=self.basis(), **options)

    def project(self, channels: int) -> torch.nn.Module:
        """The maximum over the scales."""
        return nn.ScalePool(self.field(channels), "max")


class ScalarLayers(Layers):
    """The layers of a method that forgets the scale after each of them: its features are images.

    Args:
        dim, base, num_scales: as in `Layers`.

    Example:
        >>> class Plain(ScalarLayers):
        ...     def conv(self, in_channels, out_channels):
        ...         return torch.nn.Conv2d(in_channels, out_channels, 3, padding=1)
        >>> str(Plain(dim=2).field(8)), Plain(dim=2).lift(1, 8)
        ('8*scalar', Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)))
    """

    def field(self, channels: int) -> FieldType:
        """Scalar fields: a number for each point."""
        return channels * self.group.scalar  # type: ignore[no-any-return]

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """The same as `conv`: an image is a feature map."""
        return self.conv(in_channels, out_channels)

    def project(self, channels: int) -> torch.nn.Module:
        """Nothing: there is no scale left."""
        return torch.nn.Identity()
