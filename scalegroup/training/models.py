"""The networks that can be trained: ours, and MONAI's of the same size beside it."""

from __future__ import annotations

from dataclasses import asdict, replace
from inspect import signature
from math import prod
from typing import Any

from monai.networks.nets import UNet as PlainUNet
from torch import nn

from scalegroup.errors import ScaleGroupError
from scalegroup.models import UNet
from scalegroup.training.config import ModelConfig


def build_model(config: ModelConfig, in_channels: int, out_channels: int) -> nn.Module:
    """The three-dimensional network that a configuration describes.

    Args:
        config: its name, channels, strides and options.
        in_channels: image channels.
        out_channels: classes, with the background.

    Raises:
        ScaleGroupError: if the name or an option is unknown, or the network would not return one logit per class.
    """
    arguments: dict[str, Any] = asdict(config)
    name, options = arguments.pop("name"), arguments.pop("options")
    networks = {"scale": UNet, "plain": PlainUNet}
    if name not in networks:
        raise ScaleGroupError(f"a model of {sorted(networks)}", name, "'scale' is ours, 'plain' is MONAI's")
    known = set(signature(networks[name]).parameters) - {"spatial_dims", "in_channels", "out_channels", *arguments}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ScaleGroupError(f"options out of {sorted(known)}", unknown, "correct --model.options")
    if options.get("scale_pool", "") is None:
        hint = "leave scale_pool out, or name a mode of nn.ScalePool"
        raise ScaleGroupError("a network with one logit per class", "scale_pool=None", hint)
    settings = {"in_channels": in_channels, "out_channels": out_channels, **arguments, **options}
    try:
        network: nn.Module = networks[name](spatial_dims=3, **settings)
    except ScaleGroupError:
        raise
    except (KeyError, TypeError, ValueError) as error:  # MONAI's, for example for a norm that it does not know
        raise ScaleGroupError(f"settings of the {name} network", error, "correct --model") from error
    return network


def size_multiple(config: ModelConfig) -> int:
    """What the size of an input must be divisible by: MONAI's skip connections need it, ours do not."""
    return prod(config.strides) if config.name == "plain" else 1


def parameter_count(model: nn.Module) -> int:
    """The number of learned values."""
    return sum(parameter.numel() for parameter in model.parameters())


def match_parameters(config: ModelConfig, target: int, in_channels: int, out_channels: int) -> ModelConfig:
    """The configuration with its channels multiplied so that the parameter count comes closest to `target`.

    The coarsest level's channels run over all integers, the ratios between the levels stay as far as they can.

    Example:
        >>> plain = match_parameters(ModelConfig("plain"), target=50_000, in_channels=1, out_channels=3)
        >>> abs(parameter_count(build_model(plain, 1, 3)) / 50_000 - 1) < 0.15
        True
    """

    def count(config: ModelConfig) -> int:
        return parameter_count(build_model(config, in_channels, out_channels))

    def widened(width: int) -> ModelConfig:
        return replace(config, channels=tuple(max(1, round(width * c / last)) for c in config.channels))

    last = config.channels[-1]  # this level holds most of the parameters, so its width is the finest measure
    width = 1
    while count(widened(width + 1)) < target:
        width += 1
    return min(widened(width), widened(width + 1), key=lambda wide: abs(count(wide) - target))
