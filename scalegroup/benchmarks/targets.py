"""What the engine promises, as ratios of measured times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from scalegroup.benchmarks.cases import PLAIN, PUBLISHED, SIZES, Case, Layer, UNetStep
from scalegroup.benchmarks.measure import Measurement


@dataclass(frozen=True)
class Target:
    """A bound on the time of one case over that of another.

    Args:
        text: what is promised.
        slow: the case above.
        fast: the case below.
        bound: of the ratio.
        kind: "at least" or "at most".
    """

    text: str
    slow: Case
    fast: Case
    bound: float
    kind: Literal["at least", "at most"]

    @property
    def wanted(self) -> str:
        """The bound with its sign."""
        return f"{'≥' if self.kind == 'at least' else '≤'} {self.bound:g}"

    def judge(self, found: Mapping[Case, Measurement]) -> tuple[str, str]:
        """The measured ratio, and "met", "missed" or why neither can be said.

        A run that was stopped gives a lower bound of its time, hence of the ratio.

        Example:
            >>> slow, fast = Layer("dense", 27, 9, 16, 48), Layer("separable", 27, 9, 16, 48)
            >>> target = Target("9 voxels", slow, fast, 7, "at least")
            >>> target.judge({slow: Measurement(slow, 6.0), fast: Measurement(fast, 0.5)})
            ('12.0', 'met')
            >>> target.judge({slow: Measurement(slow, longer_than=20.0), fast: Measurement(fast, 0.5)})
            ('> 40.0', 'met')
            >>> target.judge({})
            ('', 'not measured')
        """
        slow, fast = (found.get(case, Measurement(case)) for case in (self.slow, self.fast))
        if fast.seconds is None or (slow.seconds is None and slow.longer_than is None):
            return "", "not measured"
        if slow.seconds is None:
            ratio = (slow.longer_than or 0.0) / fast.seconds
            above = ratio >= self.bound
            verdict = "not known" if not above else "met" if self.kind == "at least" else "missed"
            return f"> {digits(ratio)}", verdict
        ratio = slow.seconds / fast.seconds
        met = ratio >= self.bound if self.kind == "at least" else ratio <= self.bound
        return digits(ratio), "met" if met else "missed"

    def spread(self, found: Mapping[Case, Measurement]) -> str:
        """The smallest and the largest ratio of single runs, those of a turn together: how much noise there is.

        A case with a single run is compared with all runs of the other; empty where there is one ratio only, or none.

        Example:
            >>> slow, fast = Layer("dense", 27, 9, 16, 48), Layer("separable", 27, 9, 16, 48)
            >>> target = Target("9 voxels", slow, fast, 7, "at least")
            >>> own = Measurement(slow, 6.0, 2, times=(6.5, 5.5)), Measurement(fast, 0.5, 2, times=(0.5, 0.5))
            >>> target.spread(dict(zip((slow, fast), own)))
            '11.0 … 13.0'
        """
        pair = [found.get(case, Measurement(case)) for case in (self.slow, self.fast)]
        above, below = (one.times or ((one.seconds,) if one.seconds else ()) for one in pair)
        single = min(len(above), len(below)) == 1
        ratios = [a / b for a, b in (product(above, below) if single else zip(above, below, strict=False))]
        return f"{digits(min(ratios))} … {digits(max(ratios))}" if len(ratios) > 1 else ""


def digits(value: float) -> str:
    """A number with three digits.

    Example:
        >>> digits(1.2345), digits(12.345), digits(1234.5)
        ('1.23', '12.3', '1234')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _over_dense(channels: int, bounds: Mapping[int, float], train: bool) -> Iterable[Target]:
    for width, bound in bounds.items():
        dense, ours = (Layer(method, 27, width, channels, 48, train) for method in (PUBLISHED, "separable"))
        text = f"dense over separable, k={width} C={channels} N=48, {ours.passes}"
        yield Target(text, dense, ours, bound, "at least")


def _over_narrow() -> Iterable[Target]:
    for channels, size in SIZES:
        for train in (False, True):
            wide, narrow = (Layer("separable", 27, width, channels, size, train) for width in (25, 9))
            text = f"separable, k=25 over k=9, C={channels} N={size}, {wide.passes}"
            yield Target(text, wide, narrow, 1.3, "at most")


def _over_plain() -> Iterable[Target]:
    plain = Layer(PLAIN, 27, 9, 32, 48)
    for functions, bound, stretch in ((27, 2.0, 1.2), (10, 1.3, 0.8)):
        ours = Layer("separable", functions, 9, 32, 48)
        text = f"separable over 3×3×3 convolutions, {functions} functions, k=9 C=32 N=48, forward"
        yield Target(text, ours, plain, bound, "at most")
        yield Target(f"{text} (stretch)", ours, plain, stretch, "at most")


TARGETS: tuple[Target, ...] = (
    *_over_dense(16, {5: 1.5, 9: 7, 13: 18}, train=False),
    *_over_dense(16, {5: 1.5, 9: 6, 13: 15}, train=True),
    *_over_dense(32, {9: 12}, train=False),
    *_over_dense(32, {9: 10}, train=True),
    *_over_narrow(),
    *_over_plain(),
    Target("U-Net training step, dense over auto, C=8,16,32 N=64", UNetStep("dense"), UNetStep("auto"), 5, "at least"),
)
