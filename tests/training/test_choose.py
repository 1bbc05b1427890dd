"""`scalegroup choose` prints what `nn.estimate` finds, and refuses what that refuses."""

from __future__ import annotations

import pytest

for package in ("monai", "lightning", "jsonargparse", "nibabel", "rich", "scipy"):
    pytest.importorskip(package, reason="needs the extra 'train'")

from scalegroup.nn import estimate
from scalegroup.training.cli import main


def test_the_command_prints_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    main(["choose", "--sigma", "0.7", "--order", "1", "--shape", "[24, 16]", "--sampling", "uniform"])
    expected = estimate(sigma=0.7, order=1, shape=(24, 16))
    assert capsys.readouterr().out == f"{expected}\n"
    assert len(expected.advice) == 2


def test_another_choice_is_another_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["choose", "--sampling", "haar", "--shape", "[24, 16]", "--dtype", "bfloat16"])
    assert "(haar)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"), [(["--sigma", "0"], "sigma"), (["--shape", "[8, 8, 8, 8]"], "a shape of 1 to 3 numbers")]
)
def test_an_error_is_one_line(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["choose", *words])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scalegroup: ")
    assert text in line
