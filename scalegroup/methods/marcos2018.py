"""Vector-field networks: the scale of the strongest response is kept, as the angle of a vector.

Marcos, Kellenberger, Lobry, Tuia, "Scale Equivariance in CNNs with Vector Fields", ICML workshop, arXiv 1807.11783,
2018.

`R(s,x) = [T_s⁻¹(w ⋆ T_s f + b)](x)` as in `kanazawa2014`; `v(x) = ReLU(max_s R) (cos, sin)(ω ln s*)`, with s* the scale
of the maximum. The next layer turns its filters of two components by `ω ln s` at the scale s, here the vectors by
`-ω ln s`, so that it sees how far the scale of each part is from its own: relative scales count. All scales of the
window span 120°. The plane of these vectors has nothing to do with space; 1-D and 3-D change nothing.

Exact: dilation by one step turns all vectors by one step, a representation of the group (`group.phase`), wherever the
strongest scale is inside the window, up to resampling (lengths to 2e-4 for blobs; an angle jumps where two scales
respond alike). Approximate: the window is finite; one scale is kept at each voxel, in steps of the base; the gradient
flows through the maximum, not through the angle.

Choices: the published code takes angles in steps of 15° for its output and 17.1° for its filters, and resamples an
image again and again to reach the next scale; here the steps are the same, and each grid is made from the input. It
counts angles by the enlargement of the image, 1/s: the mirror image. Zeros outside take part in the maximum, as
published.
"""

from __future__ import annotations

from math import log, pi

import torch

from scalegroup import nn
from scalegroup.fields import FieldType
from scalegroup.methods.kanazawa2014 import PyramidLayers
from scalegroup.methods.layers import Layers
from scalegroup.methods.method import Method

SPAN = 2 * pi / 3  # of the angles of all scales


def vector_rate(base: float, num_scales: int) -> float:
    """The rate ω of vectors for so many scales to span 120°: `2π / (3 num_scales ln base)`.

    Example:
        >>> round(vector_rate(1.26, 8) * log(1.26) * 180 / pi, 6)
        15.0
    """
    return SPAN / (num_scales * log(base))


class VectorLayers(Layers):
    """Layers whose features are vectors: so many channels are twice as many numbers.

    Subclasses say how an image and how vectors are convolved.
    """

    def field(self, channels: int) -> FieldType:
        """Vectors that turn with the scale; all scales of the window span 120°."""
        result: FieldType = channels * self.group.phase(vector_rate(self.group.base, self.num_scales))
        return result

    def norm(self, channels: int) -> torch.nn.Module:
        """Lengths over their root mean square."""
        return nn.VectorBatchNorm(self.field(channels))

    def act(self, channels: int) -> torch.nn.Module:
        """Nothing: the convolution ends with a ReLU of the lengths."""
        return torch.nn.Identity()

    def down(self, channels: int, stride: int = 2) -> torch.nn.Module:
        """The longest of so many vectors along each axis."""
        return nn.VectorMaxPool(self.field(channels), stride)

    def project(self, channels: int) -> torch.nn.Module:
        """The lengths."""
        return nn.VectorMagnitude(self.field(channels))


class VectorFieldLayers(VectorLayers, PyramidLayers):
    """The layers of vector-field networks, on the pyramid of `kanazawa2014`.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default 2^(1/3), the published 1.26.
        num_scales: number of scales, the middle one (or the one above it) is 1. Default 5; published are 8.
        kernel_size: samples of the kernels along each axis. Default 5.

    Example:
        >>> print(VectorFieldLayers(dim=2).field(3).size)
        6
    """

    def lift(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From an image to vectors."""
        return self._convolution(in_channels * self.group.scalar, out_channels)

    def conv(self, in_channels: int, out_channels: int) -> torch.nn.Module:
        """From vectors to vectors."""
        return self._convolution(self.field(in_channels), out_channels)

    def _convolution(self, in_type: FieldType, out_channels: int) -> nn.PyramidConv:
        return nn.PyramidConv(in_type, self.field(out_channels), self.kernel_size, mask_outside=False)


METHOD = Method(
    name="marcos2018",
    title="vector fields",
    source="Marcos, Kellenberger, Lobry, Tuia, Scale Equivariance in CNNs with Vector Fields, 2018",
    kind="input scaling",
    interscale=True,
    scales="grid",
    equivariance="global",
    layers=VectorFieldLayers,
)
