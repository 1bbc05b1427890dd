"""Signals of diffusion that are known everywhere, and how equivariant layers on positions and q-space are with them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup.errors import ScaleGroupError
from scalegroup.fields.action import act
from scalegroup.groups import DiffusionElement, DiffusionGroup
from scalegroup.nn import each_q
from scalegroup.testing.errors import relative_error
from scalegroup.testing.inputs import Array


@dataclass(frozen=True)
class Tissue:
    """Blobs of tissue, each with a diffusion tensor: `f(p,q) = Σ_n exp(-|p - c_n|² / 2 r²) exp(-qᵀ D_n q)`.

    Args:
        centres: `c_n`, `(blobs, dim)`, in voxels from the middle.
        tensors: `D_n`, `(blobs, dim, dim)`.
        radius: r, in voxels.
        g: by what the signal was moved, `(L_g f)(p,q) = f(g⁻¹ p, g⁻¹ q)`. Default None: nothing.

    Example:
        >>> tissue, group = Tissue.random(dim=1), DiffusionGroup("joint", dim=1, base=2.0)
        >>> q = torch.tensor([[0.0], [1.0]])
        >>> g = group.element(s=2.0)
        >>> moved = tissue.act(g).sample(9, torch.as_tensor(g.act_q(q)))
        >>> torch.equal(moved[..., ::2], tissue.sample(5, q))
        True
    """

    centres: Array
    tensors: Array
    radius: float
    g: DiffusionElement | None = None

    @classmethod
    def random(cls, dim: int = 3, blobs: int = 3, radius: float = 2.0, spread: float = 2.0, seed: int = 0) -> Tissue:
        """Blobs whose centres lie within ±spread, with random tensors."""
        rng = np.random.default_rng(seed)
        roots = rng.uniform(-1, 1, (blobs, dim, dim))
        tensors = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(dim)
        return cls(rng.uniform(-spread, spread, (blobs, dim)), tensors, radius)

    def act(self, g: DiffusionElement) -> Tissue:
        """The signal `L_g f`, exactly."""
        return replace(self, g=g if self.g is None else g @ self.g)

    def sample(self, size: int, q: Tensor) -> Tensor:
        """On a centred grid and at samples `(samples, dim)` of q-space: `(1, 1, samples, *space)`, float64."""
        dim = self.centres.shape[1]
        axis = np.arange(size) - (size - 1) / 2
        points = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        vectors = q.numpy().astype(np.float64)
        if self.g is not None:
            back = ~self.g
            points, vectors = back.act(points), back.act_q(vectors)
        squares = ((points[:, None] - self.centres) ** 2).sum(axis=2)
        decay = np.exp(-np.einsum("qi,nij,qj->qn", vectors, self.tensors, vectors))
        values = np.einsum("qn,pn->qp", decay, np.exp(-squares / (2 * self.radius**2)))
        return torch.tensor(values.reshape(1, 1, len(q), *[size] * dim))


def gradients(count: int, dim: int = 3, seed: int = 0) -> Tensor:
    """A sample at q = 0, and `count` random ones on two shells, `|q| = 0.7` and 1: `(1 + count, dim)`, float64.

    Args:
        count: samples on the shells.
        dim: number of axes. Default 3.
        seed: of the directions. Default 0.

    Example:
        >>> gradients(4).norm(dim=1).round(decimals=1).tolist()
        [0.0, 0.7, 1.0, 1.0, 0.7]
    """
    directions = np.random.default_rng(seed).standard_normal((count, dim))
    lengths = np.where(np.arange(count) % 3, 1.0, 0.7) / np.linalg.norm(directions, axis=1)
    return torch.tensor(np.concatenate([np.zeros((1, dim)), directions * lengths[:, None]]))


def diffusion_error(
    layer: Any,
    g: DiffusionElement,
    *,
    q: Tensor | None = None,
    moved_q: Tensor | None = None,
    tissue: Tissue | None = None,
    size: int = 17,
) -> tuple[float, float]:
    """How far a layer is from `f(L_g x) = L_g f(x)`, with the samples of q-space moving along.

    The moved signal is sampled on a grid so much larger that every voxel of the small one is among its own; the outputs
    are compared there, at the scales that both have.

    Args:
        layer: called as `layer(x, q)`, from one scalar field to fields on positions and q-space, or on positions.
        g: an element of its group without translation, whose dilation of positions is a whole number.
        q: samples of q-space. Default `gradients(8)`.
        moved_q: where they move; by default as g says. Others are for negative twins.
        tissue: the signal. Default `Tissue.random`.
        size: voxels along each axis of the small grid. Default 17.

    Returns:
        The relative error, and the same figure if nothing is done to the output, which must be large.

    Raises:
        ScaleGroupError: if g translates, or its dilation of positions is no whole number.

    Example:
        >>> import scalegroup as sg
        >>> group = sg.DiffusionGroup("joint", dim=2, base=2.0, num_scales=3)
        >>> error, idle = diffusion_error(sg.nn.DiffusionGroupConv(1 * group.scalar, 2 * group.regular),
        ...     group.element(s=2.0))
        >>> error < 1e-3, idle > 0.1
        (True, True)
    """
    group = g.group
    step = round(g.s**group.p_power) if isinstance(group, DiffusionGroup) else 0
    if not isinstance(group, DiffusionGroup) or any(g.t) or step < 1 or abs(step - g.s**group.p_power) > 1e-9:
        hint = "the lattice of the small grid has to lie on that of the large one"
        raise ScaleGroupError("a DiffusionElement that takes voxels to voxels", repr(g), hint)
    q = gradients(8, group.dim) if q is None else q
    tissue = Tissue.random(group.dim) if tissue is None else tissue
    there = torch.as_tensor(g.act_q(q))
    module = copy.deepcopy(layer).double().eval()
    with torch.no_grad():
        small = module(tissue.sample(size, q), q)
        large = module(tissue.act(g).sample(step * (size - 1) + 1, there), there if moved_q is None else moved_q)
    places = slice(None, None, step)
    large = large[(..., *[places] * group.dim)]
    field = layer.out_type.with_group(group)
    turned = _each(partial(act, field, group.element(k=g.k)), small, group.dim)
    rows = np.concatenate([np.tile(rep.overlap(g), m) for m, rep in field.blocks])
    dilation = torch.tensor(np.array(field.representation(group.element(s=g.s))), dtype=small.dtype)
    moved = torch.einsum("ij,bj...->bi...", dilation, turned)
    return relative_error(large[:, rows], moved[:, rows]), relative_error(large[:, rows], small[:, rows])


def _each(function: Callable[[Tensor], Tensor], x: Tensor, dim: int) -> Tensor:
    return each_q(function, x) if x.ndim == dim + 3 else function(x)
