"""All methods by name, and the networks made of them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

import torch

from scalegroup.errors import ScaleGroupError
from scalegroup.methods.method import Method
from scalegroup.methods.networks import LayerClassifier, LayerUNet
from scalegroup.methods.table import MethodTable

TABLE = (  # of the poster, in its order
    "kanazawa2014",
    "xu2014",
    "marcos2018",
    "worrall2019",
    "ghosh2019",
    "sosnovik2019",
    "zhu2019",
    "bekkers2019",
    "naderi2020",
    "sosnovik2021",
    "lindeberg2021",
    "jansson2021",
    "wimmer2022",
    "ours",
)
BEYOND = ("rahman2023", "barisin2024", "li2024", "cho2024")
REFERENCES = ("plain", "plain7")  # what methods are compared with


def names(beyond: bool = False) -> builtins.list[str]:
    """The names of all methods in the order of the table.

    Args:
        beyond: also those that are not in the poster's table. Default False.

    Example:
        >>> import scalegroup as sg
        >>> sg.methods.names()[:2]
        ['kanazawa2014', 'xu2014']
    """
    return [*TABLE, *BEYOND] if beyond else [*TABLE]


def get(name: str) -> Method:
    """The entry of a method.

    Args:
        name: such as "sosnovik2019"; "plain" and "plain7" are the ordinary networks that all are compared with.

    Raises:
        ScaleGroupError: for an unknown name.

    Example:
        >>> import scalegroup as sg
        >>> sg.methods.get("sosnovik2021").kind
        'filter dilation'
    """
    known = [*names(beyond=True), *REFERENCES]
    if name not in known:
        near = get_close_matches(str(name), known, 1, 0.4)
        hint = f"perhaps {near[0]!r} is meant" if near else "sg.methods.list() shows them"
        raise ScaleGroupError(f"a method out of {', '.join(known)}", repr(name), hint)
    method: Method = import_module(f"scalegroup.methods.{name}").METHOD
    return method


def list(beyond: bool = False) -> MethodTable:
    """The poster's table: all methods, what they can do, and what was measured of them.

    Args:
        beyond: also the methods that the poster does not list. Default False.

    Example:
        >>> import scalegroup as sg
        >>> table = sg.methods.list()
        >>> len(table), table[5].title
        (14, 'SESN')
        >>> print(table)  # doctest: +ELLIPSIS
        method ...
    """
    return MethodTable(tuple(get(name) for name in names(beyond)))


def classifier(
    name: str,
    dim: int = 3,
    in_channels: int = 1,
    num_classes: int = 10,
    channels: Sequence[int] = (16, 32),
    base: float | None = None,
    num_scales: int | None = None,
) -> torch.nn.Module:
    """A small classifier by any method: blocks with a stride of 2 between them, projection, maximum, linear layer.

    Args:
        name: of the method, see `list`.
        dim: number of axes of space. Default 3.
        in_channels: channels of the image. Default 1.
        num_classes: number of scores. Default 10.
        channels: features of each block. Default (16, 32).
        base: ratio of neighbouring scales. Default: the method's own.
        num_scales: number of scales. Default: the method's own.

    Shape:
        `(batch, in_channels, *space)` to `(batch, num_classes)`.

    Raises:
        ScaleGroupError: for an unknown name, and for a number of axes or scales that the method does not have.

    Example:
        >>> import torch, scalegroup as sg
        >>> net = sg.methods.classifier("lindeberg2021", dim=2, channels=(2, 4))
        >>> net(torch.randn(3, 1, 16, 16)).shape
        torch.Size([3, 10])
    """
    method = _checked(get(name), dim, in_channels=in_channels, num_classes=num_classes, channels=channels)
    scales = {"base": base, "num_scales": num_scales}
    if method.classifier is not None:
        return method.classifier(dim, in_channels, num_classes, tuple(channels), **_given(method, "classifier", scales))
    return LayerClassifier(method.parts(dim, base, num_scales), in_channels, num_classes, tuple(channels))


def unet(
    name: str,
    dim: int = 3,
    in_channels: int = 1,
    out_channels: int = 1,
    channels: Sequence[int] = (8, 16),
    strides: Sequence[int] = (2,),
    base: float | None = None,
    num_scales: int | None = None,
) -> torch.nn.Module:
    """A U-Net by any method that allows one.

    Args:
        name, dim, in_channels, base, num_scales: as in `classifier`.
        out_channels: channels of the result. Default 1.
        channels: features at each level, finest first. Default (8, 16).
        strides: stride between the levels, one less than levels. Default (2,).

    Shape:
        `(batch, in_channels, *space)` to `(batch, out_channels, *space)`.

    Raises:
        ScaleGroupError: as `classifier`, and for a method that is about classifiers only.

    Example:
        >>> import torch, scalegroup as sg
        >>> net = sg.methods.unet("sosnovik2021", dim=2, channels=(2, 4))
        >>> net(torch.randn(1, 1, 15, 16)).shape
        torch.Size([1, 1, 15, 16])
    """
    method = _checked(get(name), dim, in_channels=in_channels, out_channels=out_channels, channels=channels)
    if method.no_unet:
        raise ScaleGroupError("a method that allows a U-Net", f"{name}: {method.no_unet}", "use methods.classifier")
    _check_counts("strides", strides)
    if len(strides) != len(channels) - 1:
        hint = "give one stride for each step between levels"
        raise ScaleGroupError(f"{len(channels) - 1} strides for {len(channels)} levels", tuple(strides), hint)
    scales = {"base": base, "num_scales": num_scales}
    if method.unet is not None:
        own = _given(method, "unet", scales)
        return method.unet(dim, in_channels, out_channels, tuple(channels), tuple(strides), **own)
    return LayerUNet(method.parts(dim, base, num_scales), in_channels, out_channels, tuple(channels), tuple(strides))


def _checked(method: Method, dim: int, **counts: Any) -> Method:
    if dim not in method.dims:
        hint = "choose another method or another dim"
        raise ScaleGroupError(f"dim out of {method.dims} for {method.name}", repr(dim), hint)
    for name, value in counts.items():
        _check_counts(name, value if name == "channels" else [value])
    return method


def _check_counts(name: str, values: Sequence[int]) -> None:
    whole = isinstance(values, Sequence) and not isinstance(values, str)
    if not whole or not values or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
        raise ScaleGroupError(f"{name}: integers >= 1", values, "such as channels=(16, 32) and strides=(2,)")


def _given(method: Method, builder: str, scales: dict[str, Any]) -> dict[str, Any]:
    """Those scales that were asked for, if the method's own builder takes them."""
    given = {key: value for key, value in scales.items() if value is not None}
    known = signature(getattr(method, builder)).parameters
    unknown = [key for key in given if key not in known]
    if unknown:
        hint = "leave it out; this method's networks choose their scales themselves"
        raise ScaleGroupError(f"no {unknown[0]} for {method.name}", given[unknown[0]], hint)
    return given
