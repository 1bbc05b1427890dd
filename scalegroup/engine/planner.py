"""Which method executes a contraction: a model of what each one costs, and a page that shows it.

`seconds = multiply_adds / rate + bytes / bandwidth + calls * overhead`, with constants for each kind of device. Those
of the CPU are measured (2 threads of an AMD EPYC with 512-bit registers, float32, torch 2.13; docs/engine.md) and
stand for other CPUs too, because only their ratios decide; those of GPUs are assumptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from scalegroup.engine import dense, separable, spectral
from scalegroup.engine.contraction import Contraction
from scalegroup.engine.cost import Cost
from scalegroup.engine.operators import AxisOperator

ENGINES = {"dense": dense, "separable": separable, "spectral": spectral}
AUTOMATIC = ("dense", "separable")  # the same function up to rounding; spectral kernels differ from taps by their error


class Speed(NamedTuple):
    """How fast a device runs a method: multiply-adds and bytes in a second, and seconds for each call."""

    rate: float
    bandwidth: float
    overhead: float


_CPU = {
    "dense": Speed(2.1e11, 1e10, 3e-4),
    "separable": Speed(1.2e11, 1e10, 3e-4),
    "spectral": Speed(4e10, 1e10, 3e-4),
}
_GPU = {
    "dense": Speed(2e13, 2e12, 2e-5),
    "separable": Speed(8e12, 2e12, 2e-4),
    "spectral": Speed(4e12, 2e12, 3e-4),
}
_LANES = 16  # channels of the output that a convolution computes together, whether there are as many or not


def cost_of(
    method: str,
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int = 4,
) -> Cost:
    """What `method` ("dense", "separable" or "spectral") costs for one sample of the batch.

    Args:
        method: the method.
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number. Default 4.

    Returns:
        Multiply-adds, bytes and calls of a forward pass.

    Example:
        >>> from scalegroup.engine import Term
        >>> blur = Contraction(((0, 0, 0),), (Term(0, 0, 0, 0),), (1,))
        >>> axis = AxisOperator(torch.ones(1, 9), start=-4, stride=1, n_in=16, n_out=16)
        >>> [cost_of(method, (2, 2, 1, 1), [[axis] * 3], blur).multiply_adds for method in ("dense", "separable")]
        [11946852, 344064]
    """
    cost: Cost = ENGINES[method].cost(weight_shape, operators, contraction, itemsize)
    return cost


def seconds(method: str, cost: Cost, out_channels: int, batch: int, device: torch.device) -> float:
    """The time that the model expects of a forward pass.

    Args:
        method: "dense", "separable" or "spectral".
        cost: of one sample of the batch, see `cost_of`.
        out_channels: of the layer; torch's convolutions compute sixteen together, whether there are as many or not.
        batch: samples.
        device: its kind counts, CPU or GPU.

    Returns:
        Seconds.

    Example:
        >>> cost = Cost(multiply_adds=10**9, bytes=10**6, calls=1)
        >>> [round(seconds(method, cost, 16, 1, torch.device("cpu")), 4) for method in ("dense", "separable")]
        [0.0052, 0.0087]
    """
    speed = (_CPU if device.type == "cpu" else _GPU)[method]
    work = float(cost.multiply_adds)
    if method == "dense":
        work *= -(-out_channels // _LANES) * _LANES / out_channels
    return batch * (work / speed.rate + cost.bytes / speed.bandwidth) + cost.calls * speed.overhead


def choose(
    weight_shape: Sequence[int],
    operators: Sequence[Sequence[AxisOperator]],
    contraction: Contraction,
    itemsize: int,
    batch: int,
    device: torch.device,
) -> str:
    """The method that "auto" stands for: dense or separable, whichever the model expects to be faster.

    Args:
        weight_shape: `(O, C, T, F)`.
        operators: one sequence of axes per operator.
        contraction: what is computed.
        itemsize: bytes of a number.
        batch: samples.
        device: its kind counts, CPU or GPU.

    Returns:
        "dense" or "separable".

    Example:
        >>> from scalegroup.engine import Term
        >>> blur = Contraction(((0, 0, 0),), (Term(0, 0, 0, 0),), (1,))
        >>> axis = AxisOperator(torch.ones(1, 9), start=-4, stride=1, n_in=48, n_out=48)
        >>> choose((16, 16, 1, 1), [[axis] * 3], blur, 4, 1, torch.device("cpu"))
        'separable'
    """
    prices = []
    for method in AUTOMATIC:
        cost = cost_of(method, weight_shape, operators, contraction, itemsize)
        prices.append(seconds(method, cost, weight_shape[0], batch, device))
    return AUTOMATIC[prices.index(min(prices))]  # torch.compile does not trace a minimum with a key


@dataclass(frozen=True)
class Candidate:
    """One method of a plan.

    Attributes:
        method: its name.
        cost: its work on one sample.
        expected: seconds of a forward pass by the model, for the whole batch.
        measured: seconds of a forward pass, the median of five, or None.

    Example:
        >>> import scalegroup as sg
        >>> field = 4 * sg.ScaleTranslationGroup(dim=3, num_scales=4).regular
        >>> plan = sg.nn.GroupConv(field, field).plan((1, 16, 24, 24, 24))
        >>> dense, separable, spectral = plan.candidates
        >>> dense.cost.multiply_adds > 100 * separable.cost.multiply_adds, separable.measured
        (True, None)
    """

    method: str
    cost: Cost
    expected: float
    measured: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a layer does with an input of some shape, and why; `print` shows it.

    Attributes:
        title: which contraction.
        method: the method that is used.
        reason: why.
        candidates: all methods.

    Example:
        >>> print(Plan("a layer", "dense", "asked for", (Candidate("dense", Cost(10**9, 4 * 10**6, 4), 0.01),)))
        a layer: dense (asked for)
          method     multiply-adds       bytes    expected    measured
          dense               1 G       4 MB     10 ms           -
    """

    title: str
    method: str
    reason: str
    candidates: tuple[Candidate, ...]

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.method} ({self.reason})"]
        lines.append(f"  {'method':<10}{'multiply-adds':>14}{'bytes':>12}{'expected':>12}{'measured':>12}")
        for method, cost, expected, measured in ((c.method, c.cost, c.expected, c.measured) for c in self.candidates):
            times = [_unit(expected, "s"), "-" if measured is None else _unit(measured, "s")]
            numbers = [_unit(cost.multiply_adds, ""), _unit(cost.bytes, "B")]
            lines.append(f"  {method:<10}{numbers[0]:>14}{numbers[1]:>12}{times[0]:>12}{times[1]:>12}")
        return "\n".join(lines)


def _unit(value: float, unit: str) -> str:
    """Three digits and a prefix: 0.0012 s is 1.2 ms."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value * 1e6:.3g} µ{unit}" if value else f"0 {unit}"
