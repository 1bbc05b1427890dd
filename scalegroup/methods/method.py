"""The entry of a published method: what the poster's table says of it, and how its networks are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from scalegroup.errors import ScaleGroupError
from scalegroup.methods.layers import Layers


@dataclass(frozen=True)
class Method:
    """A published method.

    Args:
        name: under which it is found, such as "sosnovik2019".
        title: what its authors call it.
        source: authors, title, year.
        kind: "input scaling", "filter scaling", "filter dilation", "steerable" or "scale channels"; beyond the poster
            also what a layer is made of, such as "Riesz transforms".
        interscale: whether a layer may mix the scales.
        scales: which scales are admissible: "grid", "integer", "√2^i" or "all".
        equivariance: "global", or "local" if each layer forgets the scale, so that parts of one object may be scaled by
            different factors.
        layers: the layers, or None for a method that is about whole networks.
        dims: numbers of axes that it works in. Default (1, 2, 3).
        classifier: builder `(dim, in_channels, num_classes, channels)` in place of that from the layers.
        unet: builder `(dim, in_channels, out_channels, channels, strides)` in place of that from the layers.
        no_unet: why there is no U-Net, if there is none.
        beyond: not in the poster's table. Default False.

    Example:
        >>> from scalegroup import methods
        >>> sesn = methods.get("sosnovik2019")
        >>> sesn.title, sesn.kind, sesn.equivariance
        ('SESN', 'steerable', 'global')
        >>> print(sesn.parts(dim=2).lift(1, 8).out_type)
        8*regular
    """

    name: str
    title: str
    source: str
    kind: str
    interscale: bool
    scales: str
    equivariance: str
    layers: type[Layers] | None
    dims: tuple[int, ...] = (1, 2, 3)
    classifier: Callable[..., torch.nn.Module] | None = None
    unet: Callable[..., torch.nn.Module] | None = None
    no_unet: str = ""
    beyond: bool = False

    def parts(self, dim: int = 3, base: float | None = None, num_scales: int | None = None) -> Layers:
        """The layers for images of `dim` axes, on these scales or the method's own.

        Raises:
            ScaleGroupError: for a method that is about whole networks, and for scales that it cannot represent.
        """
        if self.layers is None:
            hint = "use methods.classifier"
            raise ScaleGroupError("a method with layers", f"{self.name}, which is about whole networks", hint)
        return self.layers(dim, base, num_scales)
