"""The grids of Haar sampling: the spacing grows with the scale, and all of them are centred on the volume.

Dilation by the base moves scale k to scale k + 1, and the points of grid k onto those of grid k + 1: the arrays are
identical, whatever a layer does with them. Strides keep that only if they pick the same points on all grids. A
stride counts from the centre if every size is odd, and from the corner the same way if all sizes differ by even
multiples of it: **sizes are equal modulo twice the product of all strides**, and odd wherever a layer needs its
centre on a sample.
"""

from __future__ import annotations

from math import ceil

from scalegroup.errors import ScaleGroupError

_ROUNDING = 1e-6  # samples; a volume that a grid covers but for rounding errors is covered


def haar_grid(
    n_in: int, ratio: float, divisor: int = 1, *, odd: bool = True, periodic: bool = False
) -> tuple[int, float]:
    """The number of samples of one scale along an axis, and their distance in voxels.

    The smallest number that covers the volume, `size * ratio ≥ n_in`, and is 1 (with `odd`) or 0 modulo
    `2 * divisor`. A periodic grid must tile the volume: the nearest multiple of the divisor, the distance
    being changed to `n_in / size`. Between scales such grids are exact only if that changes nothing and `n_in` is
    a multiple of `2 * divisor` times all scales; a volume and its dilation, period and all, always meet the same grids.

    Args:
        n_in: number of voxels.
        ratio: distance of the samples in voxels: the scale, times the ratio of millimetres where spacings are known.
        divisor: product of the strides of all layers that follow. Default 1.
        odd: all sizes odd, as centred layers need (default), or multiples of `2 * divisor`, for networks that count
            from the corner and halve even sizes.
        periodic: for `padding_mode="circular"`. Default False.

    Returns:
        Size and distance.

    Raises:
        ScaleGroupError: for sizes and divisors below 1, and a ratio that is not positive.

    Example:
        >>> [haar_grid(35, 2**(k / 2), divisor=4)[0] for k in range(-2, 4)]
        [73, 57, 41, 25, 25, 17]
        >>> haar_grid(35, 0.5, divisor=4, odd=False), haar_grid(72, 2.0, divisor=4, periodic=True)
        ((72, 0.5), (36, 2.0))
    """
    if n_in < 1 or divisor < 1 or not 0 < ratio < float("inf"):
        raise ScaleGroupError(
            "n_in ≥ 1, divisor ≥ 1 and a ratio > 0",
            (n_in, divisor, ratio),
            "sizes are numbers of voxels, the ratio is a distance in voxels",
        )
    if periodic:
        size = divisor * max(1, round(n_in / (ratio * divisor)))
        return size, n_in / size
    needed = ceil(n_in / ratio - _ROUNDING)
    first, step = int(odd), 2 * divisor
    size = first + step * max(0, -(-(needed - first) // step))
    return size or step, ratio
