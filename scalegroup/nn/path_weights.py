"""The weights of a convolution: one for each pair of blocks, after the constraint that rotations put on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalegroup.engine import Term
from scalegroup.errors import FieldTypeError
from scalegroup.kernels import steerable
from scalegroup.nn.basis import ScaleBasis
from scalegroup.nn.module import EquivariantModule, group_of
from scalegroup.nn.paths import paths
from scalegroup.representations import Representation, on_scales

SCALE_PADDINGS = ("zeros", "replicate", "valid")


class PathWeights(EquivariantModule, ABC):
    """Base of all convolutions, on grids, points and q-space: what their kernels are, whatever they are applied to.

    `K_oc(u, t) = Σ_f C[o,c,t,f] ψ_f(u)` with the coefficients C = weights times constraint. A subclass sets `basis`,
    `scale_extent`, `scale_basis`, `scale_padding` and `admissible`, then calls `find_paths`, and `add_path_weights`.

    Attributes:
        basis: the functions; anything with `len`, `action` and `zero_mean_constraint`.
        paths: pairs of an input and an output block; each has a weight `(out, in, taps over the scales, M)`, where M
            counts the kernels that the rotations of the group allow between the two.
        scale_extent: neighbouring scales that are mixed between fields on the scales.
        scale_basis: functions whose sums the taps over the scales are, `(M, scale_extent)`, or None for free taps.
        scale_padding: what lies above the window of scales: "zeros", "replicate", or "valid".
        admissible: whether kernels have zero mean.
        transposed: whether the layer is the adjoint of a convolution.
    """

    basis: Any
    paths: list[tuple[int, int]]
    scale_extent: int
    scale_basis: ScaleBasis | None
    scale_padding: str
    admissible: bool
    transposed = False
    scale_functions: Tensor

    @abstractmethod
    def weight_std(self, white: bool) -> NDArray[np.float64]:
        """Standard deviation of the coefficient of each function, for one input channel of white noise or features."""

    def find_paths(self) -> None:
        """The pairs of blocks that kernels lead between: those with scales on one side, and some kernel at all."""
        turns = not group_of(self.in_type).rotations.is_trivial
        found = paths(self.in_type, self.out_type)
        self.paths = [path for path in found if self._constraint(*path).shape[1] or not turns]
        bare = set(range(len(self.out_type.blocks))) - {j for _, j in self.paths}
        if bare:
            names = ", ".join(str(self.out_type.blocks[j][1]) for j in sorted(bare))
            hint = "raise the order, or add input fields that rotate"
            raise FieldTypeError(f"kernels of {self.basis!r} from {self.in_type} to {names}", "none", hint)

    def add_path_weights(self) -> None:
        """The parameters, one for each path; `reset_parameters` fills them."""
        shapes = []
        for i, j in self.paths:
            counts = self.out_type.blocks[j][0], self.in_type.blocks[i][0]
            shapes.append((*counts, self._scale_functions(i, j), self._constraint(i, j).shape[1]))
        self.add_weights(shapes)

    def add_constraints(self) -> None:
        """Constants that lead from weights to coefficients; `build` calls it."""
        for p, path in enumerate(self.paths):
            constraint = self._constraint(*path)
            if not np.array_equal(constraint, np.eye(len(constraint))):
                self.register_constant(f"constraint_{p}", constraint)
        if self.scale_basis is not None:
            self.register_constant("scale_functions", np.array(self.scale_basis))

    def _constraint(self, i: int, j: int) -> NDArray[np.float64]:
        """Columns `(out components * in components * F, M)` that span the kernels between two blocks."""
        window = group_of(self.in_type).window(num_scales=1, first=0, sampling="uniform")
        out_rep, in_rep = (rep.with_group(window) for rep in (self.out_type.blocks[j][1], self.in_type.blocks[i][1]))
        return constraint(out_rep, in_rep, self.basis, self.admissible)

    def _extent(self, i: int, j: int) -> int:
        both = on_scales(self.in_type.blocks[i][1]) and on_scales(self.out_type.blocks[j][1])
        return self.scale_extent if both else 1

    def _scale_functions(self, i: int, j: int) -> int:
        """The number of learned taps over the scales, or of the functions whose sum they are."""
        extent = self._extent(i, j)
        return extent if extent == 1 or self.scale_basis is None else len(self.scale_basis)

    def reset_parameters(self) -> None:
        """New random weights that keep the variance of constants and of noise; biases are zero.

        With rotations a kernel is a sum of functions that are not orthogonal, such as a Laplacian: outputs then have
        0.6 to 3.5 times the variance (measured, orders 2 and 3 in 3-D; most for scalars), which the norms behind undo.
        """
        for (i, j), weight in zip(self.paths, self.weights, strict=True):
            columns = self._constraint(i, j) ** 2
            std = np.resize(self.weight_std(not on_scales(self.in_type.blocks[i][1])), len(columns))
            variance = columns.T @ std**2 * self._share(columns, j)
            siblings = [k for k, target in self.paths if target == j]
            fan_in = sum(self.in_type.blocks[k][0] * self._extent(k, j) for k in siblings)
            gain = self._gain()
            if self.scale_basis is not None and self._extent(i, j) > 1:  # taps of unit variance, in the mean
                gain /= float(np.sqrt((np.array(self.scale_basis) ** 2).sum(axis=0).mean()))
            with torch.no_grad():
                weight.normal_().mul_(torch.from_numpy(np.sqrt(variance / fan_in) * gain).to(weight))
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def _share(self, columns: NDArray[np.float64], j: int) -> NDArray[np.float64]:
        """By how much each weight of a path must be larger in square because rotations allow fewer kernels: `(M,)`.

        Kernels with a mean and those without keep their shares of the output's variance.

        Args:
            columns: squares of the constraint, `(out components * in components * F, M)`.
            j: index of the output block.
        """
        if group_of(self.in_type).rotations.is_trivial:
            return np.ones(columns.shape[1])
        zero_mean = self.basis.zero_mean_constraint()
        carries = (zero_mean**2).sum(axis=1) < 1 - 1e-9  # functions that have a mean
        kinds = np.stack([carries & (not self.admissible), ~carries])
        of_columns = np.stack([np.resize(kind, len(columns)) @ columns for kind in kinds])  # (2, M), sums to 1
        wanted = self.components_of(self.out_type.blocks[j][1]) * kinds.sum(axis=1)
        return np.asarray((wanted / np.maximum(of_columns.sum(axis=1), 1e-300)) @ of_columns)

    def _gain(self) -> float:
        """A factor on all new weights."""
        return 1.0

    def coefficient_shape(self, path: int) -> tuple[int, int, int, int]:
        """The shape of `coefficients`."""
        i, j = self.paths[path]
        (fields, in_rep), (copies, out_rep) = self.in_type.blocks[i], self.out_type.blocks[j]
        outputs, inputs = copies * self.components_of(out_rep), fields * self.components_of(in_rep)
        return outputs, inputs, self._extent(i, j), len(self.basis)

    def coefficients(self, path: int = 0) -> Tensor:
        """Coefficients `(out, in, scale_extent, F)` of the functions: the weights after their constraint.

        `out` and `in` count the components of all fields of the block.
        """
        weight: Tensor = self.weights[path]
        name = f"constraint_{path}"
        if name in self._constants:
            i, j = self.paths[path]
            d_out, d_in = (self.components_of(rep) for rep in (self.out_type.blocks[j][1], self.in_type.blocks[i][1]))
            weight = weight @ getattr(self, name).to(weight).t()
            if d_out * d_in > 1:
                # Not len(self.basis): torch.compile does not like the cache behind it.
                weight = weight.unflatten(3, (d_out, d_in, -1)).permute(0, 3, 1, 4, 2, 5)
                weight = weight.flatten(2, 3).flatten(0, 1)
        if self.scale_basis is None or self._extent(*self.paths[path]) == 1:
            return weight
        return torch.einsum("oimf,mt->oitf", weight, self.scale_functions.to(weight))

    def terms(self, i: int, j: int) -> tuple[Term, ...]:
        """Which scales of the input block `i` feed which of the output block `j`, by which operator and tap."""
        in_rep, out_rep = self.in_type.blocks[i][1], self.out_type.blocks[j][1]
        num_in, num_out = len(self.scales_of(in_rep)), len(self.scales_of(out_rep))
        if not on_scales(in_rep):
            return tuple(Term(s, 0, s, 0) for s in range(num_out))
        if not on_scales(out_rep):
            return tuple(Term(0, s, s, 0) for s in range(num_in))
        narrow, wide = (num_in, num_out) if self.transposed else (num_out, num_in)
        terms = []
        for s in range(narrow):
            for t in range(self.scale_extent):
                other = min(s + t, wide - 1) if self.scale_padding == "replicate" else s + t
                if other < wide:
                    terms.append(Term(other, s, s, t) if self.transposed else Term(s, other, s, t))
        return tuple(terms)

    def _factors(self, i: int, j: int) -> list[float]:
        """For each scale in use: the power of the scale that characters ask for, and the mean over the scales."""
        powers = self._powers(i, j)
        return powers if on_scales(self.out_type.blocks[j][1]) else [power / len(powers) for power in powers]

    def _powers(self, i: int, j: int) -> list[float]:
        """For each scale in use the power of the scale that the weights of the two representations ask for."""
        power = (self.out_type.blocks[j][1].weight or 0.0) - (self.in_type.blocks[i][1].weight or 0.0)
        return [scale**power for scale in self.scales_in_use()]


@lru_cache(maxsize=512)
def constraint(out_rep: Representation, in_rep: Representation, basis: Any, admissible: bool) -> NDArray[np.float64]:
    """The kernels between two representations, as columns `(out components * in components * F, M)`.

    Args:
        out_rep: of the output, on a window of one scale.
        in_rep: of the input, on the same window.
        basis: the functions.
        admissible: whether kernels must have zero mean, which rotations leave zero.
    """
    allowed = basis.zero_mean_constraint() if admissible else np.eye(len(basis))
    rotations = out_rep.group.rotations  # type: ignore[attr-defined]
    if rotations.is_trivial and prod((out_rep.size, in_rep.size)) == 1:
        return np.asarray(allowed)
    every = rotations.order is not None
    elements = rotations.elements if every else rotations.generators
    stacks = [np.stack([rep.rotation(k) for k in elements]) for rep in (out_rep, in_rep)]
    action = np.stack([allowed.T @ basis.action(k.matrix) @ allowed for k in elements])
    found = steerable(stacks[0], stacks[1], action, every_element=every)
    if not admissible:
        return found
    pairs, count = out_rep.size * in_rep.size, found.shape[1]  # sizes are those of one scale
    blocks = found.reshape(pairs, allowed.shape[1], count)
    return np.asarray(np.einsum("fz,bzm->bfm", allowed, blocks).reshape(pairs * len(allowed), count))
