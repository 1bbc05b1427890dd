"""The tests of a layer on point clouds that ask whether it commutes with the group."""

from __future__ import annotations

import torch

from scalegroup.testing.contract import require
from scalegroup.testing.layer_laws import require_close
from scalegroup.testing.point_cases import PointCases
from scalegroup.testing.point_errors import Cloud
from scalegroup.testing.twins import Growing, Sized


class PointEquivarianceTests(PointCases):
    """A layer commutes with the group and with permutations, and the measurement would notice if it did not."""

    def test_scales(self) -> None:
        """The layer commutes with dilations by the base, up to rounding, in all `dims` and `windows`."""
        for layer in self._layers():
            self._check(layer, self.rounding, "dilations", s=self._group_of(layer).base)

    def test_scales_in_float32(self) -> None:
        """The same in float32."""
        for layer in self._layers():
            self._check(layer.float(), self.rounding32, "dilations, in float32", s=self._group_of(layer).base)

    def test_the_measurement_can_fail(self) -> None:
        """Two negative twins are rejected: nothing done to the output, and a gain behind the layer."""
        for layer in self._layers():
            errors = self._errors(Sized(layer) if self.any_factor else Growing(layer), s=self._group_of(layer).base)
            hint = "choose a field in `make_field`, and weights, for which the output is not zero"
            law = "a gain that grows with the scale is an error, of more than 0.01"
            require(errors.error > 0.01, law, f"an error of {errors.error:.1e}", hint, layer)
            if not self.any_factor:
                law = "doing nothing to the output is an error, of more than 0.01"
                require(errors.trivial > 0.01, law, f"an error of {errors.trivial:.1e}", hint, layer)

    def test_any_factor(self) -> None:
        """Where `any_factor` is set, a dilation by 1.37 changes nothing."""
        if not self.any_factor:
            return
        layer, cloud = self._case()
        larger = self._run(layer, cloud._replace(pos=1.37 * cloud.pos))
        law, hint = "any factor leaves the output as it is", "divide all lengths by one that grows with the cloud"
        require_close(larger, self._run(layer, cloud), self.rounding, law, hint, layer)

    def test_translations(self) -> None:
        """A translation of the cloud changes nothing."""
        layer, cloud = self._case()
        shift = torch.linspace(1, 2, cloud.pos.shape[1], dtype=torch.float64)
        moved = self._run(layer, cloud._replace(pos=cloud.pos + shift))
        law, hint = "a translation leaves the features as they are", "use differences of positions only"
        require_close(moved, self._run(layer, cloud), self.rounding, law, hint, layer)

    def test_rotations(self) -> None:
        """The layer commutes with the generators of `rotations`, and not by doing nothing."""
        if self.rotations is None:
            return
        layer = self._layer()
        for k in self._group_of(layer).rotations.generators:
            idle = self._check(layer, self.rounding, f"the rotation {k.matrix.round(3).tolist()}", k=k.value).trivial
            law = "doing nothing to the output is an error, of more than 0.01"
            hint = "choose a field in `make_field` that rotations change"
            require(idle > 0.01, law, f"an error of {idle:.1e}", hint, layer)

    def test_permutations(self) -> None:
        """The order of the points changes nothing."""
        layer, cloud = self._case()
        order = torch.randperm(len(cloud.x), generator=torch.Generator().manual_seed(2))
        y, other = self._run(layer, cloud), self._run(layer, Cloud(*(part[order] for part in cloud)))
        law, hint = "the order of the points is irrelevant", "sum, average or take maxima over neighbours"
        require_close(other, y[order] if self.per_point else y, self.rounding, law, hint, layer)

    def test_clouds_do_not_see_each_other(self) -> None:
        """A cloud alone gives what it gives in a batch with another, even where they overlap."""
        layer, cloud = self._case()
        near = cloud._replace(pos=cloud.pos + 0.1 * cloud.batch[:, None])
        both = self._run(layer, near)
        for number in (0, 1):
            own = cloud.batch == number
            alone = self._run(layer, Cloud(cloud.x[own], cloud.pos[own], cloud.batch[own] * 0))
            here = both[own] if self.per_point else self._own(both, len(alone), number)
            law, hint = "a cloud alone gives what it gives in a batch", "pass `batch` on to whatever finds neighbours"
            require_close(alone, here, self.rounding, law, hint, layer)
