"""An ordinary network too, with kernels about as wide as those of the methods: 3 samples are not the only reference."""

from __future__ import annotations

from dataclasses import replace

from scalegroup.methods import plain


class WidePlainLayers(plain.PlainLayers):
    """Convolutions of 7 samples along each axis."""

    kernel_size = 7


METHOD = replace(plain.METHOD, name="plain7", title="plain, 7 wide", layers=WidePlainLayers)
