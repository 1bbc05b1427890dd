"""How far methods are from equivariance: on the torus, as classifiers and as U-Nets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from statistics import fmean
from typing import Any

import torch

from scalegroup import check_equivariance, methods
from scalegroup.benchmarks.compare.inputs import band_limited, blob_images
from scalegroup.benchmarks.compare.networks import classifier, features, layers_of, settle, unet
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.methods.layers import Layers

FACTOR = 2**0.5  # of the networks; on the torus each method has its own
TORUS_SIZES = {1: 72, 2: 48, 3: 24}  # samples per axis of the smaller torus, at least
TORUS_CHANNELS = {1: 4, 2: 4, 3: 2}
HIGHEST = math.pi / 2  # radians per sample of the smaller torus
MORE_SCALES = 4  # that a window is widened by at most
PARTS = 12  # a base is replaced by so many parts or fewer: 17/12 is √2 to 0.2 %
FEW_SCALES = ("integer", "√2^i")  # of methods whose base stays
POWERS = range(1, 13)  # of the base, out of which a factor for the torus is chosen
SIZES = {1: 97, 2: 65, 3: 33}  # samples per axis of images of blobs: odd, so that their centre is a sample
IMAGES = 8  # of blobs, for a classifier: their logits have a spread
CHANNELS = (4, 8)  # of the classifiers that are measured whole
UNET_CHANNELS = (2, 4)
NAN = math.nan


@dataclass(frozen=True)
class Errors:
    """Relative errors of a method; nan where something does not exist.

    Attributes:
        value: of what comes out.
        inner: on the torus the error with every activation replaced by the identity, that of kernels alone; of a U-Net
            the worst scale before the projection over the scales.
        factor: by which the input was scaled.
        trivial: the error if nothing had to be done to the output; it has to be large.
    """

    value: float
    inner: float = NAN
    factor: float = FACTOR
    trivial: float = NAN


def torus_errors(name: str, dim: int, seed: int = 0) -> Errors:
    """The error of lifting, norm, activation, convolution, norm and activation on a torus, where scaling is exact.

    The factor is one step of the method's base, which becomes the nearest ratio of small integers, such as 17/12 for
    √2; a method of powers of 2 and √2 keeps its base, and the factor is 2. Where there is an axis of scales it is the
    error of the worst scale that reads nothing beyond the window; a window without such a scale is made wider. The
    norms have the statistics of one batch of random images. All weights are random.

    Args:
        name: of a method with layers, or of a plain network.
        dim: number of axes.
        seed: of weights and inputs. Default 0.

    Raises:
        ScaleGroupError: for a method without layers, and for a base of which no power is a ratio of small integers.

    Example:
        >>> torus_errors("plain", 1).value > 0.1
        True
    """
    channels = TORUS_CHANNELS[dim]
    layers = _with_rational_base(name, dim)
    for _ in range(MORE_SCALES + 1):
        torch.manual_seed(seed)
        found = _on_torus(features(layers, channels), layers, channels, seed)
        if not math.isnan(found.value):
            break
        layers = layers_of(name, dim, layers.base, layers.num_scales + 1)
    return found


def _with_rational_base(name: str, dim: int) -> Layers:
    """The layers of a method on scales that fit a torus, if it may have any scales."""
    own = layers_of(name, dim)
    few = methods.get(name).scales in FEW_SCALES
    return own if few else layers_of(name, dim, float(Fraction(own.base).limit_denominator(PARTS)))


def _on_torus(network: torch.nn.Module, layers: Layers, channels: int, seed: int) -> Errors:
    factor, size = fitting(layers.group.base, TORUS_SIZES[layers.dim])
    settle(network, band_limited(2, layers.dim, size, HIGHEST, seed))
    image, options = 1 * layers.group.scalar, {"size": size, "wmax": HIGHEST, "seed": seed}
    report = _check(network, image, layers.field(channels), factor, "torus", **options)
    return Errors(report.errors.error, report.linear.error, factor, report.trivial)


def _check(network: Any, image: FieldType, out: FieldType, factor: float, protocol: Any, **options: Any) -> Any:
    """The `EquivarianceReport` on a network of known types; those of its layers stay as they are."""
    network.in_type, network.out_type = image, out
    return check_equivariance(network, factor, protocol, dtype=torch.float32, **options)


def fitting(base: float, size: int) -> tuple[float, int]:
    """The smallest power of a base, and the smallest torus of at least `size` samples that it turns into a whole one.

    Raises:
        ScaleGroupError: if there is none.

    Example:
        >>> fitting(2**0.5, 24), fitting(1 / 0.9, 24)
        ((2.0..., 24), (1.1..., 27))
    """
    for power, side in product(POWERS, range(size, 2 * size)):
        if abs(base**power * side - round(base**power * side)) < 1e-6:
            return base**power, side
    raise ScaleGroupError("a base with a power that is a ratio of small integers", f"{base:g}", "such as 2**0.5")


def classifier_error(name: str, dim: int, seeds: int = 3) -> Errors:
    """By how much a classifier's logits change when everything in the image becomes √2 times as large.

    `‖y(L_a f) - y(f)‖ / ‖y(f) - mean over the images‖`, so that nothing is won by an output that is always the same;
    the mean over random weights. The norms have the statistics of the images.

    Args:
        name: of a method or a plain network.
        dim: number of axes.
        seeds: of weights and images. Default 3.
    """
    ratios = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = classifier(name, dim, channels=CHANNELS)
        f, g = (blob_images(IMAGES, dim, SIZES[dim], factor, seed=seed) for factor in (1.0, FACTOR))
        settle(network, f)
        with torch.no_grad():
            before, after = network(f), network(g)
        ratios.append(float((after - before).norm() / (before - before.mean(dim=0)).norm()))
    return Errors(fmean(ratios))


def unet_error(name: str, dim: int, seed: int = 0) -> Errors:
    """By how much a U-Net's output departs from scaling with its input, for blobs that become √2 times as large.

    Args:
        name: of a method or a plain network.
        dim: number of axes.
        seed: of weights and blobs. Default 0.

    Raises:
        ScaleGroupError: for a method without U-Net.
    """
    torch.manual_seed(seed)
    network = settle(unet(name, dim, UNET_CHANNELS), blob_images(4, dim, SIZES[dim], seed=seed))
    image, options = 1 * layers_of(name, dim).group.scalar, {"size": SIZES[dim], "seed": seed}
    report = _check(network, image, image, FACTOR, "blobs", **options)
    inner = report.per_scale if report.before is not None else NAN
    return Errors(report.projected, inner, FACTOR, report.trivial)
