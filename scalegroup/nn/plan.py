"""What a convolution does with an input of some shape: the planner's page for a layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scalegroup.engine import ENGINES, Candidate, Contraction, Cost, Plan, autocasts, choose, cost_of, seconds, wide
from scalegroup.errors import ScaleGroupError
from scalegroup.nn.haar import haar_grids
from scalegroup.nn.module import Samples, group_of, on_grids
from scalegroup.symbolic import JointBasis

if TYPE_CHECKING:
    from scalegroup.nn.convolution import Convolution

REPEATS = 5
LONGEST = 2.0  # expected seconds of a pass that is still measured; torch's convolutions can take 1000 times longer


def plan(layer: Convolution, input_shape: Sequence[int] | Sequence[Sequence[int]], measure: bool) -> Plan:
    """The plan of `Convolution.plan`."""
    shapes = _checked(layer, input_shape)
    spaces = [tuple(shape[2:]) for shape in shapes]
    if layer.on_grids and not on_grids(layer.in_type):
        lifted = haar_grids(layer.scales_in_use(), spaces[0], divisor=layer.divisor, padding_mode=layer.padding_mode)
        spaces = [tuple(sizes) for sizes, _ in lifted]
    operators = layer.operators(spaces)
    device, batch, size = next(layer.parameters()).device, shapes[0][0], _itemsize(layer)
    chosen: list[str] = []
    joint = isinstance(layer.basis, JointBasis)
    engines = ["dense"] if joint else list(ENGINES)
    costs, expected = dict.fromkeys(engines, Cost(0, 0, 0)), dict.fromkeys(engines, 0.0)
    for p, (i, j) in enumerate(layer.paths):
        terms = layer.terms(i, j)
        contraction = Contraction(layer.products, terms, (1 + max(term.target for term in terms),))
        shape = layer.coefficient_shape(p)
        problem = shape, operators, contraction, size
        for method in engines:
            cost = cost_of(method, *problem)
            costs[method] = Cost(*(a + b for a, b in zip(costs[method], cost, strict=True)))
            expected[method] += seconds(method, cost, shape[0], batch, device)
        if joint:
            fourier = layer.method == "auto" and wide.pays(batch, problem[0], operators, contraction)
            chosen.append("wide" if fourier else "dense")
        else:
            chosen.append(choose(*problem, batch, device) if layer.method == "auto" else layer.method)
    reason = "asked for"
    if layer.frozen and layer.method != "spectral":
        chosen, reason = ["dense"], "frozen: constant kernels"
    elif joint and layer.method == "auto":
        reason = "kernels that are no products: dense, or where they are wide by their spectra"
    elif layer.method == "auto":
        reason = "expected to be faster than the other of dense and separable, which compute the same"
    runs = chosen if layer.frozen else engines  # a frozen layer runs in one way
    brief = [method for method in engines if method in runs and expected[method] < LONGEST]
    times = _measured(layer, shapes, brief) if measure else {}
    candidates = [Candidate(method, costs[method], expected[method], times.get(method)) for method in engines]
    title = f"{type(layer).__name__} {' '.join('×'.join(map(str, shape)) for shape in shapes)}"
    return Plan(title, " + ".join(sorted(set(chosen))), reason, tuple(candidates))


def _checked(layer: Convolution, given: Sequence[int] | Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The shapes of the input tensors: one, or one for each scale."""
    dim, channels = group_of(layer.in_type).dim, layer.in_type.size
    count = len(layer.scales_in_use()) if on_grids(layer.in_type) else 1
    if count > 1 or on_grids(layer.in_type):
        channels //= len(group_of(layer.in_type).scales)
    nested = isinstance(given, Sequence) and len(given) > 0 and isinstance(given[0], Sequence)
    listed: Any = given if nested else [given]
    if len(listed) != count or not all(_is_shape(shape, dim, channels) for shape in listed):
        expected = f"{count} shape(s) (batch, {channels}, {dim} sizes) of integers >= 1"
        raise ScaleGroupError(expected, repr(given), "give the shape of what forward takes")
    return [tuple(shape) for shape in listed]


def _is_shape(given: object, dim: int, channels: int) -> bool:
    if not isinstance(given, Sequence) or len(given) != dim + 2:
        return False
    return all(isinstance(n, int | np.integer) and n >= 1 for n in given) and given[1] == channels


def _itemsize(layer: Convolution) -> int:
    """Bytes of the numbers that a forward pass now computes with."""
    weight = next(layer.parameters())
    device = weight.device.type
    dtype = torch.get_autocast_dtype(device) if autocasts(weight.device) else weight.dtype
    return max(dtype.itemsize, 4) if device == "cpu" else dtype.itemsize  # half precision is computed in float32 there


def _measured(layer: Convolution, shapes: list[tuple[int, ...]], methods: Sequence[str]) -> dict[str, float]:
    """Seconds of a forward pass by each of these methods."""
    like = next(layer.parameters())
    tensors = [torch.randn(shape, dtype=like.dtype, device=like.device) for shape in shapes]
    x: Samples = tuple(tensors) if on_grids(layer.in_type) else tensors[0]
    own, times = layer.method, {}
    try:
        for method in methods:
            layer.method = method
            times[method] = median(_once(layer, x) for _ in range(REPEATS))
    finally:
        layer.method = own
    return times


def _once(layer: Convolution, x: Samples) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        layer(x)
    if next(layer.parameters()).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
