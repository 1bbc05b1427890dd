"""What every layer keeps: a class of pytest tests to inherit, with one method to write."""

from __future__ import annotations

from scalegroup.testing.layer_equivariance import EquivarianceTests
from scalegroup.testing.layer_module import ModuleTests


class LayerContract(ModuleTests, EquivarianceTests):
    """The tests of an equivariant layer, to inherit: it transforms as it says, and works wherever torch works.

    Equivariance is measured on the lattice (`equivariance_error`) and must stay below the layer's `declared_error`;
    the same measurement must fail without acting on the output, and for the layer followed by a plain 3-tap
    convolution (or by a gain that grows with the scale, where each scale has a grid of its own and plain convolutions
    are equivariant). You write `make_layer(field)`; you may write `make_field(group)`, the type of the input, and
    `make_twin(field)`, the layer broken on purpose, which the tests must reject (`Contract`). Class attributes change
    what is tested:

    Attributes:
        dims: dimensions of space; the cheap tests use the first, compile and export the last. Default 1, 2, 3.
        windows: pairs of base and number of scales. Default (2, 3) and (√2, 4).
        sampling: of the group: "uniform" (default), or "haar" for fields with a grid for each scale.
        dtypes: dtypes that the layer runs in, next to autocast. Default float32 and float64.
        protocol: "lattice"; or "torus", for layers that look at the whole volume.
        size: voxels per axis of the smaller input of that measurement; `None` for the protocol's default.
        tolerance: replaces `declared_error`; needed where that is infinite.
        rounding: is added to either. Default 1e-6.
        inside: use inputs that stay inside the window of scales, for layers that look at all scales.
        translates: whether the layer commutes with translations by whole samples of all grids. Default True.
        rotations: name of the group's rotations, symmetries of the grid such as "octahedral" or "c4"; default None.
            `dims` count that it acts on. The layer must commute with them up to rounding.
        compile_backend: "aot_eager" traces and differentiates without a C++ compiler; "inductor" generates code.

    Raises:
        BrokenLaw: by each test; it says what was expected, what was received, and what to do.

    Example:
        >>> import torch, scalegroup as sg
        >>> class TestBlur(LayerContract):
        ...     def make_layer(self, field):
        ...         return sg.nn.ScaleBlurPool(field)
        ...     def make_twin(self, field):  # as wide on all scales
        ...         return torch.nn.AvgPool1d(3, stride=2, padding=1)
        ...     dims = (1,)
        >>> TestBlur().test_equivariance()
        >>> TestBlur().test_twin_is_rejected()
    """
