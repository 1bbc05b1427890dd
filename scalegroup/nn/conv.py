"""Group convolution and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalegroup.nn.convolution import Convolution
from scalegroup.nn.module import Samples
from scalegroup.nn.spacing import Spacing, write


class GroupConv(Convolution):
    """Equivariant convolution: lifting, group convolution, or projection, by the types of its fields.

    With `ψ_i = Σ_f w_{i,f} ψ_f`, a learned combination of Hermite-Gaussian products of width `sigma`,

    - scalar -> regular: `F(s,x) = ∫ f(x+u) s^-d ψ(u/s) du` (lifting),
    - regular -> regular: `F'(s,x) = Σ_i ∫ F(s base^i, x+u) s^-d ψ_i(u/s) du`, i < scale_extent,
    - regular -> scalar: the mean over the scales s of `∫ F(s,x+u) s^-d ψ(u/s) du` (truncated window).

    Blocks of a mixed type are mapped pair by pair and summed. Fields of weight w are multiplied by the power of the
    scale that keeps the layer equivariant. The grid of a strided layer is centred on the volume.

    If the group has rotations K, kernels are those that commute with them, `ψ(k u) = τ_out(k) ψ(u) τ_in(k)⁻¹`: a
    learned combination of all that the functions of the basis allow between two representations, and fewer weights.

    Args:
        in_type: sum of fields on the scales (regular, irreps, quotients) and without them (scalars, characters, irreps
            and quotients with a weight).
        out_type: the same; one of the two has scales: from scalars to scalars leads `nn.Linear`.
        order: largest total Hermite degree, or the largest degree per axis, the same for axes that rotations of the
            group mix. Default 2.
        sigma: width of the kernel at scale 1, in units of the output grid's spacing: in mm where `forward` is told the
            spacing of the scan. Default 1.0, the smallest that does not alias (1.4 for the full band).
        support: half-width of every kernel, in its own widths. Default 4.5.
        stride: input samples per output sample, a number or one per axis, the same for axes that rotations of the group
            mix. Default 1.
        scale_extent: number of neighbouring scales that are mixed between fields on the scales ("interscale
            interaction"). Default 1.
        scale_padding: what lies above the window: "zeros", "replicate", or "valid", which is exact and narrows
            the window of `out_type` by `scale_extent - 1` scales. Default "zeros".
        padding: "same", or "valid": no output whose kernel leaves the volume. Default "same".
        padding_mode: "zeros", "replicate", "reflect" or "circular". Default "zeros".
        bias: add a constant to every output field that may have one: scalars, regular fields, and along all components
            of a quotient. Default True.
        admissible: kernels of zero mean only, as a wavelet needs. Default False.
        basis: another `Basis` in place of `HermiteBasis(order, dim)`; a `JointBasis` of kernels that are no products,
            applied as dense ones; or "free" for the kernels of an ordinary convolution, exact where each scale has a
            grid of its own and not possible elsewhere.
        kernel_size: samples along each axis of free kernels, odd. Default 3.
        scale_basis: functions of the scale, `(M, scale_extent)`, whose sums the taps over neighbouring scales are: M
            learned numbers in place of `scale_extent`. Default None: free taps.
        divisor: where a volume is lifted to a grid for each scale: product of the strides of the network, see
            `nn.HaarLift`. Default: this layer's own (the least common multiple over the axes).
        method: how the engine executes it; `plan(input_shape)` says which method runs, and what each one costs.
            Default "auto".

            - "dense": full kernels, applied by torch's convolutions.
            - "separable": the same function, axis by axis, at a price that hardly grows with the width of the kernel.
            - "auto": of these two the one that is expected to be faster, for each shape of the input.
            - "spectral": in the Fourier domain, with the continuous functions in place of their taps where the volume
              is periodic (`padding_mode="circular"`), or the kernel resolved by its voxels: then a linear layer is
              equivariant to rounding error on periodic input without frequencies above its grids'.

            Gradients of gradients, and `torch.func` (`grad`, `jvp`, `vmap`), work with "dense" only.

    Shape:
        `(batch, in_type.size, *space)` to `(batch, out_type.size, *ceil(space / stride))`; for groups with
        `sampling="haar"` a field with scales is a tuple of `(batch, num_fields, *space_s)`, finest first.

    Raises:
        FieldTypeError: for types without an equivariant kernel, or of different groups.
        ScaleGroupError: for other bad arguments.

    Source: Wimmer et al., "Scale-Equivariant Deep Learning for 3D Data"; Sosnovik et al. 2019, eq. 9-12; rotations
        as in Weiler et al. 2018, "3D Steerable CNNs".

    Example:
        >>> import torch, scalegroup as sg
        >>> group = sg.ScaleTranslationGroup(dim=3, num_scales=4)
        >>> lift = sg.nn.GroupConv(1 * group.scalar, 2 * group.regular)
        >>> lift(torch.randn(1, 1, 9, 8, 7)).shape
        torch.Size([1, 8, 9, 8, 7])
        >>> lift
        GroupConv(1*scalar -> 2*regular, order=2, sigma=1)
        >>> lift.plan((1, 1, 9, 8, 7)).method
        'separable'
    """

    def forward(self, x: Samples, output_size: Sequence[int] | None = None, spacing: Spacing | None = None) -> Samples:
        """`(batch, in_type.size, *space)` to `(batch, out_type.size, *space')`.

        `spacing` is the voxel size of the input, a number or one per axis, in the unit of sigma: in mm, say. The output
        lies on the layer's own grid, whose spacing is the stride in that unit. Default: that of a MONAI `MetaTensor`
        where a scan is lifted, or 1. From a grid for each scale to the voxels it is the size of these, and
        `output_size` their number, which counts there only.
        """
        return self._convolve(x, output_size, spacing)


class GroupConvTranspose(Convolution):
    """The exact adjoint of a strided `GroupConv`: from the coarse grid back to the fine one.

    With the same coefficients, `<conv(y), x> = <y, transpose(x)>` for all fields y and x (without bias). Between fields
    with a grid for each scale the products are those of the measure, `Σ_s s^d <y_s, x_s>`, to 1e-6 where neighbouring
    scales are mixed; to and from scalar fields it is then no adjoint.

    Args:
        in_type, out_type, order, support, stride, bias, admissible, method: as in `GroupConv`.
        sigma: as in `GroupConv`, in units of the coarse (input) grid's spacing.
        scale_extent: as in `GroupConv`, but content moves to coarser scales, where `GroupConv` reads it from.
        scale_padding, padding, padding_mode, basis, kernel_size, scale_basis, divisor: as in `GroupConv`.

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

    def forward(self, x: Samples, output_size: Sequence[Any] | None = None, spacing: Spacing | None = None) -> Samples:
        """`(batch, in_type.size, *coarse)` to `(batch, out_type.size, *fine)`; a list of sizes for several grids.

        `spacing` is the voxel size of the output, as `GroupConv` reads it: from the layer's own fine grid the field is
        resampled to `output_size` such voxels.
        """
        if spacing is None or self.on_grids:
            return self._convolve(x, output_size, spacing)
        return write(self._convolve(x, None, None), spacing, output_size, self.padding_mode)  # type: ignore[arg-type]
