"""A network of layers in a row: a box for each layer, the field types at the arrows."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import torch
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.nn import Sequential
from scalegroup.nn.module import EquivariantModule, group_of, has_scales
from scalegroup.visual.figure import ACCENT, INK, SIZE, Picture, new_figure

BOX, HEIGHT, LINE = 3.7, 0.36, 0.17  # width of a box, its height with one line, and of each further line, in inches
ARROW = 0.4
MARGIN = 0.12
SIDE = 1.5  # beside the boxes, for numbers of weights
LETTERS = 58  # in a line of a box
LEARNS, FIXED = "#DCE9F5", "#EFEFEF"  # boxes of layers with and without weights


def plot_network(net: torch.nn.Module) -> Picture:
    """Layers in a row as boxes, the types of the fields at the arrows between them.

    Boxes of layers that learn are blue, with their number of weights beside them; chains inside a chain are opened.

    Args:
        net: an `nn.Sequential`, one of torch of equivariant layers, or a single layer.

    Returns:
        The picture.

    Raises:
        ScaleGroupError: for a network that is not equivariant layers in a row.

    Example:
        >>> import scalegroup as sg
        >>> from scalegroup import visual
        >>> hidden = 2 * sg.ScaleTranslationGroup(dim=2, num_scales=3).regular
        >>> net = sg.nn.Sequential(sg.nn.GroupConv(1 * hidden.group.scalar, hidden), sg.nn.ScalePool(hidden))
        >>> [text.get_text() for text in visual.plot_network(net).axes[0].texts if "*" in text.get_text()]
        ['1*scalar', '2*regular, scales 1 to 2', '2*scalar']
    """
    layers = list(_layers(net))
    words = [wrap(_options(layer), LETTERS) for layer in layers]
    heights = [HEIGHT + LINE * len(lines) for lines in words]
    inches = (BOX + SIDE + 2 * MARGIN, sum(heights) + ARROW * (len(layers) + 1) + 2 * MARGIN)
    figure = new_figure(*inches, placed=True)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, inches[0]), ylim=(0, inches[1]))
    axes.set_axis_off()
    top = inches[1] - MARGIN
    _draw_arrow(axes, top, layers[0].in_type)
    for layer, lines, height in zip(layers, words, heights, strict=True):
        top -= ARROW
        _draw_layer(axes, layer, lines, top, height)
        top -= height
        _draw_arrow(axes, top, layer.out_type)
    return figure


def _layers(net: torch.nn.Module) -> Iterator[EquivariantModule]:
    """The layers in their order, chains opened."""
    if isinstance(net, torch.nn.Sequential | Sequential):
        for child in net._modules.values():  # not children(), which names a layer used twice once
            if child is not None:
                yield from _layers(child)
    elif isinstance(net, EquivariantModule):
        yield net
    else:
        hint = "of another network plot one of its chains, such as net.encoder"
        raise ScaleGroupError("equivariant layers in a row", type(net).__name__, hint)


def _options(layer: EquivariantModule) -> str:
    """What the layer says about itself, without its types, and the names of the modules it was given."""
    text = layer.extra_repr()
    for types in (f"{layer.in_type} -> {layer.out_type}", str(layer.in_type)):
        if text.startswith(types):
            text = text[len(types) :].removeprefix(", ")
            break
    text = text.split(" | ")[0]  # the number of weights stands beside the box
    held = [type(child).__name__ for child in layer.children() if not isinstance(child, EquivariantModule)]
    return ", ".join([*held, text] if text else held)


def _type(field: FieldType) -> str:
    """The type, and its window."""
    scales = group_of(field).scales
    if not has_scales(field):
        return str(field)
    span = f"scales {scales[0]:.3g} to {scales[-1]:.3g}" if len(scales) > 1 else f"scale {scales[0]:.3g}"
    return f"{field}, {span}"


def _draw_layer(axes: Any, layer: EquivariantModule, lines: list[str], top: float, height: float) -> None:
    count = sum(weight.numel() for weight in layer.parameters())
    look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.07", "edgecolor": "none"}
    paint = LEARNS if count else FIXED
    axes.add_patch(FancyBboxPatch((MARGIN, top - height), BOX, height, facecolor=paint, **look))
    middle = MARGIN + BOX / 2
    name = top - HEIGHT / 2
    centred: dict[str, Any] = {"ha": "center", "va": "center"}
    axes.text(middle, name, type(layer).__name__, fontsize=SIZE + 1, color=INK, weight="bold", **centred)
    for number, line in enumerate(lines):
        axes.text(middle, name - 0.02 - LINE * (number + 1), line, fontsize=SIZE - 1, color="0.3", **centred)
    if count:
        weights = f"{count:,} weight{'s' if count > 1 else ''}"
        axes.text(MARGIN + BOX + 0.14, top - height / 2, weights, fontsize=SIZE, color="0.4", va="center")


def _draw_arrow(axes: Any, top: float, field: FieldType) -> None:
    middle = MARGIN + BOX / 2
    look: dict[str, Any] = {"arrowstyle": "-|>,head_length=4,head_width=2.5", "linewidth": 1.3, "color": ACCENT}
    ends = ((middle, top - 0.03), (middle, top - ARROW + 0.03))
    axes.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **look))
    axes.text(middle + 0.12, top - ARROW / 2, _type(field), fontsize=SIZE, color=ACCENT, va="center")
