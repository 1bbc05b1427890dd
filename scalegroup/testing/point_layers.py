"""What every layer on point clouds keeps: a class of pytest tests to inherit, with one method to write."""

from __future__ import annotations

from scalegroup.testing.point_equivariance import PointEquivarianceTests
from scalegroup.testing.point_module import PointModuleTests


class PointLayerContract(PointModuleTests, PointEquivarianceTests):
    """The tests of an equivariant layer on point clouds, to inherit: `LayerContract` for `layer(x, pos, batch)`.

    Between points nothing is interpolated, so that the layer must transform exactly, up to rounding; the same
    measurements must fail where nothing is done to the output. You write `make_layer(field)`; you may write
    `make_field(group)`, `make_twin(field)`, the layer broken on purpose (`Contract`), and `run_layer` for other
    arguments. Class attributes change what is tested:

    Attributes:
        dims: dimensions of space; most tests use the last. Default 1, 2, 3.
        windows: pairs of base and number of scales. Default (2, 3) and (√2, 4).
        rotations: name of the group's rotations, which must act on all of `dims`. Default None.
        rounding: allowed error in float64. Default 1e-12.
        rounding32: allowed error in float32. Default 1e-5.
        any_factor: whether any factor leaves the output as it is, as of scales relative to the cloud. Default False.
        per_point: whether the output lies at the points of the input, in their order. Default True.

    What cannot be tested: `torch.compile(fullgraph=True)` and `torch.export`, because what neighbours there are depends
    on the numbers in the positions; compiled networks call these layers between their graphs.

    Raises:
        BrokenLaw: by each test; it says what was expected, what was received, and what to do.

    Example:
        >>> from scalegroup import nn
        >>> class TestConv(PointLayerContract):
        ...     def make_layer(self, field):
        ...         return nn.PointGroupConv(field, field, order=1, sigma=0.5)
        >>> TestConv().test_scales()
    """
