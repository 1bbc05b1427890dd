"""The tests of a layer that ask whether it commutes with the group."""

from __future__ import annotations

import math

import torch

from scalegroup.nn.module import grids, group_of
from scalegroup.testing import hints
from scalegroup.testing.contract import require
from scalegroup.testing.errors import relative_error
from scalegroup.testing.inputs import Blobs
from scalegroup.testing.layer_cases import LayerCases
from scalegroup.testing.places import input_places, output_places, product_of_strides, sampled, spacing_of
from scalegroup.testing.rotations import rotation_error
from scalegroup.testing.sampling import at_positions
from scalegroup.testing.twins import Smeared, Tilted


class EquivarianceTests(LayerCases):
    """A layer commutes with dilations, translations and rotations, and the measurement would notice if it did not."""

    def test_equivariance(self) -> None:
        """The layer commutes with dilations, up to its `declared_error`, in all `dims` and `windows`."""
        for layer in self._layers():
            result, bound = self._measure(layer), self._bound(layer)
            beyond = [f"{s:.3g}" for s, cut in zip(result.scales, result.truncated, strict=True) if cut]
            received = f"an error of {result.error:.1e} under the factor {result.factor:g}"
            if result.channels:
                received += f"; of the scale channels {_short(result.channels)}"
            if beyond:
                received += f"; not counted, because they read beyond the window: scales {', '.join(beyond)}"
            law = f"the layer commutes with dilations, with an error within its bound of {bound:.1e}"
            require(result.error <= bound + 3 * result.floor, law, received, hints.SCALES, layer)

    def test_the_measurement_can_fail(self) -> None:
        """Two negative twins are rejected: nothing done to the output, and a step of fixed width behind the layer."""
        for layer in map(self._layer, self._spaces[:2]):
            bound = self._bound(layer)
            idle = self._measure(layer).trivial
            law = f"doing nothing to the output is an error, of more than {10 * bound:.1e}"
            require(idle > 10 * bound, law, f"an error of {idle:.1e}", hints.BOUND, layer)
            broken = self._measure(Smeared(layer)).error
            law = f"a step that does not know the scale, behind the layer, is an error, of more than {2 * bound:.1e}"
            require(broken > 2 * bound, law, f"an error of {broken:.1e}", hints.BOUND, layer)

    def test_translations(self) -> None:
        """The layer commutes with translations by whole samples of all grids, to 1e-3."""
        if not self.translates:
            return
        layer, group = self._layer(self._spaces[0]), self._group(self._spaces[0])
        in_type, out_type = self._types(layer)
        size = {1: 97, 2: 49, 3: 33}[group.dim]
        half = (size - 1) / 2
        blobs = Blobs.random(in_type, radius=0.2 * half)
        places = input_places(in_type, size, product_of_strides(layer))
        with torch.no_grad():
            y = grids(layer(sampled(blobs, places)))
            shapes = [part.shape[2:] for part in y]
            axes = output_places(size, places, in_type, shapes, out_type)
            coarsest = max(spacing_of(axis) for grid in places + axes for axis in grid)
            steps = [3 * math.ceil(coarsest)] * group.dim  # whole samples of all grids
            moved = grids(layer(sampled(blobs.act(group_of(in_type).element(t=steps)), places)))
        errors = []
        for before, after, grid in zip(y, moved, axes, strict=True):
            points = [p[abs(p) <= 0.4 * half] for p in grid]
            there = at_positions(after, grid, [p + step for p, step in zip(points, steps, strict=True)], None)
            errors.append(relative_error(there, at_positions(before, grid, points, None)))
        worst = max(errors)
        law = "the layer commutes with translations, with an error within 1e-3"
        hint = "nothing may depend on the position in the volume; a layer that means to: `translates = False`"
        require(worst <= 1e-3 + self.rounding, law, f"an error of {worst:.1e}", hint, layer)

    def test_rotations(self) -> None:
        """The layer commutes with `rotations` up to rounding; a gain that tells the axes apart does not."""
        if self.rotations is None:
            return
        layer = self._layer(self._spaces[0])
        in_type, out_type = self._types(layer)
        for k in group_of(in_type).rotations.generators:
            result, broken = (
                rotation_error(part, k, in_type=in_type, out_type=out_type) for part in (layer, Tilted(layer))
            )
            law = f"the layer commutes with the rotation {k.matrix.tolist()}"
            hint = "no axis may be singled out, and components of a vector mix only as its representation says"
            require(result.error <= 1e-12, law, f"an error of {result.error:.1e}", hint, layer)
            hint = "choose a field in `make_field` that rotations change"
            law = "doing nothing to the output is an error, of more than 0.1"
            require(result.trivial > 0.1, law, f"an error of {result.trivial:.1e}", hint, layer)
            worst = max(error for block in broken.blocks for error in block)
            law = "a gain that tells the axes apart, behind the layer, is an error of more than 1e-2"
            require(worst > 0.01, law, f"an error of {worst:.1e}", hint, layer)


def _short(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:.1e}" for value in values) + "]"
