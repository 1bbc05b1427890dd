"""The kernels of a convolution on a grid: the full arrays that the weights stand for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import AxisOperator, dense
from scalegroup.nn.grid import GridModule, functions_name
from scalegroup.nn.initialisation import weight_std
from scalegroup.nn.path_weights import PathWeights
from scalegroup.symbolic import JointBasis


class KernelModule(PathWeights, GridModule):
    """Base of `Convolution`, which sets the attributes: kernels on a grid, apart from how they are applied.

    Attributes:
        method: how the engine executes the convolution.
    """

    method: str

    def weight_std(self, white: bool) -> NDArray[np.float64]:
        return weight_std(self.basis, self.sigma, white)

    def _gain(self) -> float:
        return float(prod(self.stride)) if self.transposed else 1.0  # a fine sample has 1/gain coarse neighbours

    def build(self) -> None:
        """Make the taps of all scales, and the constraint on the weights."""
        super().build()
        self.add_constraints()
        if self.frozen:
            self.freeze()

    # Frozen: the same function with constant dense kernels and torch's own convolutions.

    def freeze(self) -> None:
        """Replace the contraction by constant kernels, one for each scale and phase; see `nn.freeze`."""
        super().freeze()
        if self.method == "spectral":  # whose kernels depend on the size of the volume
            return
        for p, (i, j) in enumerate(self.paths):
            coefficients = self.coefficients(p).detach()
            for s, t, phases in product(range(len(self.scales)), range(self._extent(i, j)), self.all_phases()):
                value = self._kernel(coefficients[:, :, t], s, phases)
                self.register_buffer(_kernel_name(p, s, t, phases), value, persistent=False)

    def kernels(self, scale: int = 0, tap: int = 0, path: int = 0) -> Tensor:
        """The kernel of one scale as the layer would apply it on the grid, `(out, in, *K)`, centred.

        Args:
            scale: index of a scale. Default 0, the finest, and the only one where each scale has a grid of its own.
            tap: index of the neighbouring scale that it reads, below `scale_extent`. Default 0.
            path: index of the pair of blocks, see `paths`. Default 0.

        Example:
            >>> import scalegroup as sg
            >>> group = sg.ScaleTranslationGroup(dim=2, base=2.0, num_scales=2)
            >>> lift = sg.nn.GroupConv(1 * group.scalar, 3 * group.regular)
            >>> [tuple(lift.kernels(scale).shape) for scale in (0, 1)]
            [(3, 1, 11, 11), (3, 1, 19, 19)]
        """
        return self._kernel(self.coefficients(path)[:, :, tap], scale, (0,) * self.basis.dim)

    def _kernel(self, coefficients: Tensor, scale: int, phases: tuple[int, ...]) -> Tensor:
        """The kernel `(out, in, *K)` of coefficients `(out, in, F)` at one scale."""
        if isinstance(self.basis, JointBasis):
            functions: Tensor = getattr(self, functions_name(scale, phases))
            return torch.tensordot(coefficients, functions.to(coefficients), dims=1)  # type: ignore[no-any-return]
        taps = [self.taps_of(scale, axis, half)[0] for axis, half in enumerate(phases)]
        return dense.kernel(coefficients, taps, self.products)

    def _functions(self, operators: list[list[AxisOperator]], factors: list[float]) -> list[Tensor]:
        """The functions of a joint basis at all scales in use: `(F, *K)`."""
        found = []
        for s, axes, factor in zip(self._active(operators), operators, factors, strict=True):
            phases = self.phases([axis.n_in for axis in axes], [axis.n_out for axis in axes])
            functions: Tensor = getattr(self, functions_name(s, phases))
            found.append(functions if factor == 1 else functions * factor)
        return found

    def _active(self, operators: list[list[AxisOperator]]) -> Sequence[int]:
        """The index of each operator's scale among those that have taps."""
        return [0] * len(operators) if self.on_grids else self.active_scales()

    def _kernels(
        self, p: int, operators: list[list[AxisOperator]], factors: list[float]
    ) -> dict[tuple[int, int], Tensor]:
        """The full kernels of all scales in use and their taps: constants where the layer is frozen."""
        kernels = {}
        coefficients = None if self.frozen else self.coefficients(p)
        for n, (s, axes, factor) in enumerate(zip(self._active(operators), operators, factors, strict=True)):
            phases = self.phases([axis.n_in for axis in axes], [axis.n_out for axis in axes])
            for t in range(self._extent(*self.paths[p])):
                if coefficients is None:
                    value = getattr(self, _kernel_name(p, s, t, phases))
                else:
                    value = self._kernel(coefficients[:, :, t], s, phases)
                kernels[n, t] = value if factor == 1 else value * factor
        return kernels

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.frozen:
            self.freeze()


def _kernel_name(path: int, scale: int, tap: int, phases: tuple[int, ...]) -> str:
    return f"kernel_{path}_{scale}_{tap}_" + "".join(map(str, phases))
