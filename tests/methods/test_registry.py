"""All methods by name: the table, the same networks for each, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

import scalegroup as sg
from scalegroup.methods.registry import REFERENCES
from scalegroup.methods.table import measured

NAMES = [*sg.methods.names(beyond=True), *REFERENCES]
WITH_UNET = [name for name in NAMES if not sg.methods.get(name).no_unet]


POSTER = {  # kind, interscale interaction, admissible scales, equivariance
    "kanazawa2014": ("input scaling", "no", "grid", "local"),
    "xu2014": ("filter scaling", "no", "grid", "global"),
    "marcos2018": ("input scaling", "yes", "grid", "global"),
    "worrall2019": ("filter dilation", "yes", "integer", "global"),
    "ghosh2019": ("steerable", "no", "all", "local"),
    "sosnovik2019": ("steerable", "yes", "all", "global"),
    "zhu2019": ("steerable", "yes", "all", "global"),
    "bekkers2019": ("steerable", "yes", "all", "global"),
    "naderi2020": ("steerable", "yes", "all", "global"),
    "sosnovik2021": ("filter dilation", "yes", "√2^i", "global"),
    "lindeberg2021": ("steerable", "no", "all", "global"),
    "jansson2021": ("scale channels", "no", "all", "global"),
    "wimmer2022": ("steerable", "yes", "all", "global"),
}


def test_the_table_is_the_posters_and_ours() -> None:
    assert sg.methods.names() == [*POSTER, "ours"]
    assert [method.name for method in sg.methods.list(beyond=True)][:14] == sg.methods.names()
    assert all(method.beyond for method in sg.methods.list(beyond=True)[14:])
    rows = {row["method"]: row for row in sg.methods.list().rows()}
    columns = ("kind", "interscale", "scales", "equivariance")
    assert {name: tuple(rows[name][column] for column in columns) for name in POSTER} == POSTER
    printed = str(sg.methods.list()).splitlines()
    assert len(printed) == 15
    assert printed[0].split() == [*" ".join(rows["ours"]).split()]


def test_the_table_shows_what_compare_measured() -> None:
    """The file in the package is what `scalegroup compare` wrote to docs/results."""
    package = Path(sg.methods.__file__).parent
    results = package.parents[1] / "docs" / "results" / "methods.csv"
    listed, whole = (
        list(csv.DictReader(path.read_text().splitlines())) for path in (package / "measured.csv", results)
    )
    assert {(name, dim) for name in sg.methods.names() for dim in "23"} <= {(row["name"], row["dim"]) for row in listed}
    assert listed == [{key: row[key] for key in listed[0]} for row in whole]
    assert measured("ours", 3)["forward"] > 0
    assert measured("ours", 7) == {}


def without_gradient(net: torch.nn.Module, image: torch.Tensor) -> list[str]:
    """The parameters that the output does not depend on (T8 of METHODS.md).

    In eval mode, after a pass that sets the statistics of the norms: in training a constant before a norm has none.
    """
    net(image)
    y = net.eval()(image)
    (y * torch.randn_like(y)).sum().backward()
    return [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_classifier_learns_in_every_dimension(name: str, dim: int) -> None:
    torch.manual_seed(0)
    net = sg.methods.classifier(name, dim=dim, in_channels=2, num_classes=3, channels=(2, 4))
    image = torch.randn(2, 2, *[15, 16, 14][:dim])
    scores = net(image)
    assert scores.shape == (2, 3)
    assert torch.isfinite(scores).all()
    assert without_gradient(net, image) == []


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", WITH_UNET)
def test_every_unet_learns_in_every_dimension(name: str, dim: int) -> None:
    torch.manual_seed(0)
    net = sg.methods.unet(name, dim=dim, in_channels=1, out_channels=2, channels=(2, 4))
    image = torch.randn(1, 1, *[17, 18, 16][:dim])
    y = net(image)
    assert y.shape == (1, 2, *image.shape[2:])
    assert torch.isfinite(y).all()
    assert without_gradient(net, image) == []


def test_a_parameter_without_use_is_found() -> None:
    net = sg.methods.classifier("plain", dim=1, channels=(2,))
    net.register_parameter("unused", torch.nn.Parameter(torch.ones(1)))
    assert without_gradient(net, torch.randn(2, 1, 9)) == ["unused"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_one_network_fit_another_of_its_kind(name: str) -> None:
    make = lambda: sg.methods.classifier(name, dim=2, channels=(2, 4)).eval()  # noqa: E731
    one, other = make(), make()
    other.load_state_dict(one.state_dict())
    image = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(one(image), other(image))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(sg.ScaleGroupError, match=r"perhaps 'sosnovik20(19|21)' is meant"):
        sg.methods.get("sosnovik2022")
    with pytest.raises(sg.ScaleGroupError, match=r"sg\.methods\.list"):
        sg.methods.classifier("?")


def test_a_base_that_a_method_cannot_represent_is_refused() -> None:
    with pytest.raises(sg.ScaleGroupError, match="a whole number as base"):
        sg.methods.classifier("worrall2019", dim=2, base=1.5)
    assert sg.methods.unet("worrall2019", dim=2, channels=(2, 3), base=3, num_scales=2) is not None


@pytest.mark.parametrize("dim", [0, 4, 2.5])
def test_a_dimension_that_a_method_lacks_is_refused(dim: int) -> None:
    with pytest.raises(sg.ScaleGroupError, match=r"dim out of \(1, 2, 3\) for sosnovik2019"):
        sg.methods.classifier("sosnovik2019", dim=dim)


def test_a_method_without_a_unet_says_why() -> None:
    with pytest.raises(sg.ScaleGroupError, match=r"a method that allows a U-Net, received jansson2021: .+classifier"):
        sg.methods.unet("jansson2021", dim=2)


def test_counts_are_checked() -> None:
    with pytest.raises(sg.ScaleGroupError, match=r"channels: integers >= 1, received \(8, 0\)"):
        sg.methods.unet("plain", channels=(8, 0))
    with pytest.raises(sg.ScaleGroupError, match="in_channels: integers"):
        sg.methods.classifier("plain", in_channels=True)
    with pytest.raises(sg.ScaleGroupError, match="2 strides for 3 levels"):
        sg.methods.unet("plain", channels=(2, 3, 4), strides=(2,))


def test_a_methods_file_is_short() -> None:
    """Compositions of the library's parts, not second implementations."""
    folder = Path(sg.methods.__file__).parent
    lengths = {path.name: len(path.read_text().splitlines()) for path in folder.glob("*.py")}
    assert {name: n for name, n in lengths.items() if n >= 200} == {}
