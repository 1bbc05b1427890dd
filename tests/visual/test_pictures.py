"""Fields, kernels, layer types and networks as pictures; and what all pictures are."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.models import UNet
from scalegroup.visual import Picture, plot_field, plot_kernels, plot_layer_types, plot_network
from scalegroup.visual.figure import limits

PLANE = ScaleTranslationGroup(dim=2, base=2.0, num_scales=3)
VOLUMES = ScaleTranslationGroup(dim=3, base=2.0, num_scales=2)
HAAR = PLANE.window(sampling="haar")


def images(figure: Any) -> list[Any]:
    return [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes if axes.get_images()]


def texts(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_field_has_a_row_for_each_field_and_a_column_for_each_scale() -> None:
    field = 1 * PLANE.scalar + 2 * PLANE.regular
    x = torch.randn(2, 7, 5, 6)
    figure = plot_field(field, x)
    assert len(figure.axes) == 9
    assert np.array_equal(images(figure), x[0].numpy())
    assert [axes.get_title() for axes in figure.axes[:3]] == ["scale 1", "scale 2", "scale 4"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["field 0", "field 1", "field 2"]
    assert figure.get_suptitle() == "1*scalar + 2*regular"
    chosen = plot_field(field, x, scales=[2, 0], title="two of three")
    assert np.array_equal(images(chosen), x[0, [0, 3, 1, 6, 4]].numpy())
    assert chosen.get_suptitle() == "two of three"


def test_of_a_volume_the_middle_slice_is_drawn() -> None:
    x = torch.rand(1, 1, 5, 6, 7)
    (image,) = images(plot_field(1 * VOLUMES.scalar, x))
    assert np.allclose(image, x[0, 0, 2])


def test_many_fields_are_cut_and_it_is_said() -> None:
    figure = plot_field(20 * PLANE.scalar, torch.rand(1, 20, 3, 3))
    assert len(images(figure)) == 8
    assert figure.get_suptitle() == "20*scalar, the first 8 fields"


def test_a_grid_for_each_scale_is_drawn_as_it_is() -> None:
    x = tuple(torch.randn(1, 2, n, n) for n in (9, 5, 3))
    found = images(plot_field(2 * HAAR.regular, x))
    assert [image.shape for image in found] == [(9, 9), (5, 5), (3, 3)] * 2
    assert np.allclose(found[4], x[1][0, 1])


def test_white_is_zero() -> None:
    assert limits(np.array([-1.0, 3.0])) == (-3.0, 3.0)
    assert limits(np.array([0.0, 3.0]), np.array([1.0, 4.0])) == (0.0, 4.0)
    assert limits(np.zeros(3)) == (0.0, 1.0)
    assert limits(np.array([np.nan, -2.0])) == (-2.0, 2.0)
    grey, signed = (plot_field(1 * PLANE.scalar, x).axes[0].get_images()[0] for x in (x01(), x01() - 0.5))
    assert grey.get_cmap().name == "gray"
    assert signed.get_cmap().name == "RdBu_r"
    assert sum(signed.get_clim()) == 0


def x01() -> torch.Tensor:
    return torch.linspace(0, 1, 16).reshape(1, 1, 4, 4)


def test_kernels_are_those_of_the_layer_by_one_ruler() -> None:
    lift = nn.GroupConv(1 * VOLUMES.scalar, 3 * VOLUMES.regular)
    figure = plot_kernels(lift, outputs=[0, 2])
    found = images(figure)
    expected = [lift.kernels(scale)[out, 0].detach() * 8.0**scale for out in (0, 2) for scale in (0, 1)]
    assert all(np.allclose(a, b[len(b) // 2]) for a, b in zip(found, expected, strict=True))
    assert np.allclose(found[0][1:-1, 1:-1], found[1][1::2, 1::2], atol=1e-3)  # one function at two scales
    assert not np.allclose(found[0][1:-1, 1:-1], found[1][5:14, 5:14], atol=0.03)
    first, second = figure.axes[:2]
    assert first.get_xlim() == second.get_xlim()  # so the second is drawn twice as wide
    assert second.get_images()[0].get_extent()[1] / first.get_images()[0].get_extent()[1] == pytest.approx(19 / 11)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["output 0", "output 2"]


def test_kernels_between_scales_and_fields() -> None:
    field = 2 * PLANE.regular
    conv = nn.GroupConv(field, 6 * PLANE.regular, scale_extent=2)
    figure = plot_kernels(conv, scales=[1], tap=1)
    assert [axes.get_title() for axes in figure.axes[:1]] == ["scale 2"]
    assert len(figure.axes) == 8  # the first four outputs, the first two inputs
    assert figure.axes[1].get_ylabel() == "input 1 to\noutput 0"
    assert np.allclose(images(figure)[1], conv.kernels(1, tap=1)[0, 1].detach() * 4)
    assert not np.allclose(images(figure)[1], conv.kernels(1, tap=0)[0, 1].detach() * 4)


def test_of_an_odd_kernel_another_slice_is_drawn() -> None:
    group = ScaleTranslationGroup(dim=3, base=2.0, num_scales=2, rotations="octahedral")
    conv = nn.GroupConv(1 * group.scalar, 1 * group.irrep("T1"))  # its kernels are those of a gradient
    figure = plot_kernels(conv)
    assert all(np.abs(image).max() > 0.1 * np.abs(conv.kernels().detach()).max() for image in images(figure))
    assert texts(figure) == ["off the middle"]
    assert np.abs(conv.kernels()[0, 0, 5].detach()).max() < 1e-6


def test_one_kernel_for_scales_on_grids_of_their_own() -> None:
    figure = plot_kernels(nn.GroupConv(1 * HAAR.regular, 1 * HAAR.regular))
    assert [axes.get_title() for axes in figure.axes] == ["each scale"]


def test_layer_types_name_layers_that_there_are() -> None:
    words = " ".join(texts(plot_layer_types()))
    for name in ("GroupConv(scale_extent=2)", "GroupConv(stride=2)", "ScalePool", "lifting"):
        assert name in words
    assert [word for word in texts(plot_layer_types()) if "*" in word][::4] == ["1*scalar", "32*scalar"]


def network() -> nn.Sequential:
    field = 2 * PLANE.regular
    act = nn.Pointwise(field, torch.nn.SiLU())
    body = nn.Sequential(nn.GroupConv(field, field, scale_extent=2, scale_padding="valid"))
    return nn.Sequential(nn.GroupConv(1 * PLANE.scalar, field), act, body, nn.ScalePool(body.out_type))


def test_a_network_is_its_layers_in_their_order() -> None:
    found = texts(plot_network(network()))
    types = ["1*scalar", *["2*regular, scales 1 to 4"] * 2, "2*regular, scales 1 to 2", "2*scalar"]
    assert [word for word in found if "*" in word] == types
    assert [word for word in found if word[0].isupper() and word != "SiLU"] == [
        "GroupConv",
        "Pointwise",
        "GroupConv",
        "ScalePool",
    ]
    assert "SiLU" in found
    assert "22 weights" not in found
    weights = sum(p.numel() for p in network()[0].parameters())
    assert f"{weights} weights" in found
    assert texts(plot_network(torch.nn.Sequential(*network()))) == found
    assert len(texts(plot_network(network()[1]))) == 4
    unet = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(2, 4), strides=(2,))
    assert [word for word in texts(plot_network(unet)) if "_Level" in word or "|" in word] == []


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (lambda: plot_field("regular", x01()), "expected a field type, received 'regular'"),
        (lambda: plot_field(1 * PLANE.regular, x01()), r"a tensor .batch, 3, 2 axes.* received \(1, 1, 4, 4\)"),
        (lambda: plot_field(1 * HAAR.regular, x01()), "expected 3 tensors .*received Tensor"),
        (lambda: plot_field(1 * PLANE.scalar, (x01(),)), "received tuple"),
        (lambda: plot_field(1 * PLANE.regular, x01().expand(1, 3, 4, 4), scales=[3]), "expected scales from 0 to 2"),
        (lambda: plot_kernels(network()), r"expected a GroupConv .*received Sequential.*net\[0\]"),
        (lambda: plot_kernels(network()[0], outputs=[2]), r"expected outputs from 0 to 1, received \[2\]"),
        (lambda: plot_kernels(network()[0], inputs=[]), "expected inputs from 0 to 0"),
        (lambda: plot_kernels(network()[0], tap=1), "expected tap from 0 to 0"),
        (lambda: plot_kernels(network()[0], path=1), "expected path from 0 to 0"),
        (lambda: plot_network(torch.nn.ReLU()), "expected equivariant layers in a row, received ReLU"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Any, text: str) -> None:
    with pytest.raises(ScaleGroupError, match=text):
        draw()


def test_a_picture_shows_itself_and_no_window_is_opened() -> None:
    figure = plot_layer_types()
    assert isinstance(figure, Picture)
    assert figure._repr_png_().startswith(b"\x89PNG")
    code = (
        "import sys, scalegroup.visual as v; v.plot_layer_types()._repr_png_();"
        "assert 'matplotlib.pyplot' not in sys.modules and 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
