"""The networks that can be trained: ours, MONAI's of the same size beside it, and MONAI's made equivariant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from inspect import signature
from math import prod
from typing import Any

from monai.networks.nets import UNet as PlainUNet
from torch import nn

from scalegroup import methods
from scalegroup.errors import ScaleGroupError
from scalegroup.models import ScaleChannels, UNet
from scalegroup.training.config import ModelConfig

SETTLED = ("backbone", "spatial_dims", "in_channels", "out_channels")  # by the data, not by a configuration


def build_model(config: ModelConfig, in_channels: int, out_channels: int) -> nn.Module:
    """The three-dimensional network that a configuration describes.

    Args:
        config: its name, channels, strides and options.
        in_channels: image channels.
        out_channels: classes, with the background.

    Raises:
        ScaleGroupError: if the name, the method or an option is unknown, or the network would not return one logit per
            class.

    Example:
        >>> import torch
        >>> network = build_model(ModelConfig("plain", channels=(4, 8), strides=(2,)), in_channels=4, out_channels=3)
        >>> network(torch.zeros(1, 4, 16, 16, 16)).shape
        torch.Size([1, 3, 16, 16, 16])
    """
    if config.method is not None:
        return _method(config, in_channels, out_channels)
    arguments: dict[str, Any] = asdict(config)
    name, options = arguments.pop("name"), arguments.pop("options")
    del arguments["use_spacing"], arguments["method"]  # the one is said in each call, by `Segmentation`
    networks: dict[str, Any] = {"scale": UNet, "plain": PlainUNet, "channels": ScaleChannels}
    if name not in networks:
        hint = "'scale' is ours, 'plain' is MONAI's, 'channels' is MONAI's on the grids of all scales"
        raise ScaleGroupError(f"a model of {sorted(networks)}", name, hint)
    known = set(signature(networks[name]).parameters) - {*SETTLED, *arguments}
    _check_options(options, known)
    for key in ("scale_pool", "projection"):
        if options.get(key, "") is None:
            hint = f"leave {key} out, or name a mode"
            raise ScaleGroupError("a network with one logit per class", f"{key}=None", hint)
    settings = {"spatial_dims": 3, "in_channels": in_channels, "out_channels": out_channels, **arguments}
    try:
        if name == "channels":
            return ScaleChannels(PlainUNet(**settings), in_channels, **options)
        network: nn.Module = networks[name](**settings, **options)
    except ScaleGroupError:
        raise
    except (KeyError, TypeError, ValueError) as error:  # MONAI's, for example for a norm that it does not know
        raise ScaleGroupError(f"settings of the {name} network", error, "correct --model") from error
    return network


def _method(config: ModelConfig, in_channels: int, out_channels: int) -> nn.Module:
    """The U-Net of a published method."""
    _check_options(config.options, {"base", "num_scales"})
    channels = in_channels, out_channels, config.channels, config.strides
    return methods.unet(str(config.method), 3, *channels, **config.options)


def _check_options(options: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(options) - known)
    if unknown:
        raise ScaleGroupError(f"options out of {sorted(known)}", unknown, "correct --model.options")


def size_multiple(config: ModelConfig) -> int:
    """What the size of an input must be divisible by: MONAI's U-Net alone needs it, not so on its grids."""
    return prod(config.strides) if config.name == "plain" and config.method is None else 1


def parameter_count(model: nn.Module) -> int:
    """The number of learned values.

    Args:
        model: any network.

    Example:
        >>> parameter_count(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def match_parameters(config: ModelConfig, target: int, in_channels: int, out_channels: int) -> ModelConfig:
    """The configuration with its channels multiplied so that the parameter count comes closest to `target`.

    The coarsest level's channels run over all integers, the ratios between the levels stay as far as they can.

    Args:
        config: a network; its name, strides and options stay.
        target: learned values that are wanted.
        in_channels: image channels.
        out_channels: classes, with the background.

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
