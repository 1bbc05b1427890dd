"""SiCNN: columns of one network, each with the same filters resized to its own scale.

Xu, Xiao, Zhang, Yang, Zhang, "Scale-Invariant Convolutional Neural Networks", arXiv 1411.6369, 2014.

`F^l_k = act(T_k W^l * F^{l-1}_k + b)` for the columns k, with `T_k` resizing a filter to the scale `s_k`. Columns do
not mix; the maximum over them is taken at the end: a lifting and group convolutions without interaction of scales.

Exact: the column of scale 1 is an ordinary network. Approximate: all else, because resizing interpolates between the
few numbers of a filter, and no interpolation follows random numbers: the smoother the filters, the smaller the error.

Where the paper is silent: filters are enlarged by linear interpolation (or cubic) and divided by the factor of their
volume, which is linear in the weights, where others divide each filter by its sum of absolute values. The canonical
filters belong to the smallest scale, since shrinking a filter loses what it was.
"""

from __future__ import annotations

from scalegroup.methods.layers import RegularLayers
from scalegroup.methods.method import Method
from scalegroup.symbolic import ResizedBasis
from scalegroup.symbolic.splines import Interpolation


class ColumnLayers(RegularLayers):
    """The layers of SiCNN: convolutions whose filters are resized to every scale.

    Args:
        dim: number of axes of space. Default 3.
        base: ratio of neighbouring scales. Default √2.
        num_scales: number of columns. Default 4.
        kernel_size: numbers along each axis of the filters, odd. Default 5.
        interpolation: "linear" or "cubic". Default "linear".

    Raises:
        ScaleGroupError: for an even kernel_size or an unknown interpolation.

    Example:
        >>> conv = ColumnLayers(dim=2, base=2.0).lift(1, 3)
        >>> [tuple(conv.kernels(scale).shape[2:]) for scale in range(3)]
        [(5, 5), (11, 11), (23, 23)]
    """

    def __init__(
        self,
        dim: int = 3,
        base: float | None = None,
        num_scales: int | None = None,
        kernel_size: int = 5,
        interpolation: Interpolation = "linear",
    ) -> None:
        super().__init__(dim, base, num_scales)
        self.kernel = ResizedBasis(kernel_size, interpolation, dim)

    def basis(self) -> ResizedBasis:
        """The interpolation kernels at the numbers of a filter."""
        return self.kernel


METHOD = Method(
    name="xu2014",
    title="SiCNN",
    source="Xu, Xiao, Zhang, Yang, Zhang, Scale-Invariant Convolutional Neural Networks, 2014",
    kind="filter scaling",
    interscale=False,
    scales="grid",
    equivariance="global",
    layers=ColumnLayers,
)
