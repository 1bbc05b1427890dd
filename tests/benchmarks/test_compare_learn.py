"""Runs are made once, whoever makes them; pages and pictures show what there is."""

from __future__ import annotations

import csv
import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from scalegroup import methods
from scalegroup.benchmarks.compare.learn import Budget, Learned, Scores, Task, learn, learned
from scalegroup.benchmarks.compare.networks import PLAIN, WIDE
from scalegroup.benchmarks.compare.page import as_page, brief_grid, learned_grid, measured_grid
from scalegroup.benchmarks.compare.published import PUBLISHED
from scalegroup.benchmarks.compare.rows import Row
from scalegroup.benchmarks.compare.run import keep
from scalegroup.benchmarks.compare.tasks import TASKS, mnist_scale, unseen_sizes
from scalegroup.data import DataError
from scalegroup.data.mnist_scale import write_idx
from scalegroup.errors import ScaleGroupError
from scalegroup.methods.registry import BEYOND, TABLE
from scalegroup.training.cli import main

BUDGET = Budget(images=20, epochs=1, seeds=2, tested=10)
CALLS: list[tuple[str, int]] = []


def fake(name: str, seed: int, budget: Budget, root: Path, folder: Path) -> tuple[int, Scores]:
    """A run that takes no time."""
    CALLS.append((name, seed))
    assert folder.is_dir()
    if name == WIDE:
        raise ScaleGroupError("a network that can be made", name, "take another")
    return 7, {"accuracy": 90.0 + seed, "0.3–0.5": 50.0}


TASK = Task("MNIST-Scale: nothing", "No protocol.", Path("data"), 2, BUDGET, fake)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        assert learn(TASK, [PLAIN], BUDGET, Path(), tmp_path, "by hand") == {}
    assert CALLS == [(PLAIN, 0), (PLAIN, 1)]
    runs = learned([PLAIN, WIDE], BUDGET, tmp_path)
    assert [(run.method, run.seed, run.weights, run.made_by) for run in runs] == [
        (PLAIN, 0, 7, "by hand"),
        (PLAIN, 1, 7, "by hand"),
    ]
    assert json.loads((tmp_path / "plain-0-20-1-10.json").read_text())["scores"] == {"accuracy": 90.0, "0.3–0.5": 50.0}


def test_another_budget_is_another_run(tmp_path: Path) -> None:
    learn(TASK, [PLAIN], BUDGET, Path(), tmp_path)
    learn(TASK, [PLAIN], Budget(20, 2, 1, 10), Path(), tmp_path)
    assert CALLS == [(PLAIN, 0), (PLAIN, 1), (PLAIN, 0)]


def test_what_another_process_works_on_is_left_to_it(tmp_path: Path) -> None:
    with FileLock(tmp_path / "plain-0-20-1-10.lock"):
        learn(TASK, [PLAIN], BUDGET, Path(), tmp_path)
    assert CALLS == [(PLAIN, 1)]


def test_one_method_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    failed = learn(TASK, [WIDE, PLAIN], BUDGET, Path(), tmp_path)
    assert list(failed) == [WIDE]
    assert "a network that can be made" in failed[WIDE]
    assert CALLS == [(WIDE, 0), (PLAIN, 0), (PLAIN, 1)]


def test_data_that_are_missing_end_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="idx files of MNIST"):
        learn(TASKS["mnist-scale"], [PLAIN], BUDGET, tmp_path, tmp_path / "runs")
    assert learned([PLAIN], BUDGET, tmp_path / "runs") == []


@pytest.mark.parametrize("value", [{"images": 0}, {"epochs": -1}, {"seeds": 0}])
def test_a_budget_is_positive(value: dict[str, int]) -> None:
    with pytest.raises(ScaleGroupError, match="images, epochs and seeds >= 1"):
        Budget(**{"images": 1, "epochs": 1, "seeds": 1, "tested": 1} | value)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose mean tells the class."""
    root = tmp_path_factory.mktemp("mnist")
    labels = np.arange(2400, dtype=np.uint8) % 10
    images = np.broadcast_to((20 + 23 * labels)[:, None, None].astype(np.uint8), (2400, 28, 28))
    write_idx(root / "train-images-idx3-ubyte.gz", images)
    write_idx(root / "train-labels-idx1-ubyte.gz", labels)
    return root


def test_digits_are_learned(digits: Path, tmp_path: Path) -> None:
    weights, scores = mnist_scale(PLAIN, 0, Budget(600, 2, 1, 200), digits, tmp_path)
    assert weights == 5226
    assert scores["accuracy"] > 30  # 10 by chance
    assert list(scores) == ["accuracy", "0.3–0.5", "0.5–0.75", "0.75–1"]


def test_unseen_sizes_are_small(digits: Path, tmp_path: Path) -> None:
    _, scores = unseen_sizes(PLAIN, 0, Budget(200, 1, 1, 100), digits, tmp_path)
    assert list(scores) == ["accuracy", "0.3–0.5", "0.5–0.75"]


ROWS = [
    Row(name, dim, 0.1 / (1 + place), 0.01, 2.0, 0.5, 0.4, 0.02, 5000, 1 + place, 2, 3, 1, 2, 3, made_by="by hand")
    for dim in (2, 3)
    for place, name in enumerate((PLAIN, WIDE, "kanazawa2014", "xu2014"))
]
RUNS = [Learned(PLAIN, seed, 5226, 1.5, {"accuracy": 90.0 + seed, "0.3–0.5": 50.0}) for seed in range(3)]


def test_tables_have_the_columns_of_the_poster_and_those_measured() -> None:
    grid = measured_grid(ROWS, 3)
    assert len(grid.rows) == 4
    assert all(len(row) == len(grid.heads) for row in grid.rows)
    assert grid.rows[3][1:6] == ("filter scaling", "no", "grid", "global", "0.025")
    assert brief_grid(ROWS, 2).rows[0][:2] == (PLAIN, "0.1")


def test_runs_are_shown_with_their_spread_beside_what_was_published() -> None:
    grid = learned_grid(TASK, BUDGET, [*RUNS, Learned("xu2014", 0, 9, 1.0, {"accuracy": 80.0})])
    assert grid.rows[0][:5] == ("plain", "5,226", "91.0 ± 1.0", "50.0 ± 0.0", "3")
    assert grid.rows[1][2:4] == ("80.0", "–")
    assert grid.rows[1][-2:] == ("97.53 ± 0.12", "")


def test_published_figures_are_of_known_methods() -> None:
    folder = Path(methods.__file__).parent
    assert all((folder / f"{name}.py").is_file() for name in PUBLISHED)
    assert {*TABLE} - {*PUBLISHED} == {"bekkers2019", "lindeberg2021", "jansson2021", "wimmer2022", "ours"}


def test_the_page_tells_what_is_missing_and_how_it_was_made() -> None:
    text = as_page([*ROWS, Row("jansson2021", 3, notes="torus: it has no layers")], [(TASK, BUDGET, RUNS)], "a.png")
    assert "jansson2021): torus: it has no layers" in text
    assert text.count("Made by by hand.") == 2
    assert "from other protocols" in text
    assert "No protocol." in text
    assert "from other protocols" not in as_page(ROWS, [], "a.png")


def test_files_are_written_and_grow(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results"
    keep(results, ROWS[:4], {}, runs, tmp_path / "measured.csv")
    learn(TASK, [PLAIN], BUDGET, Path(), runs / "mnist-scale")
    paths = keep(results, ROWS[4:], {"mnist-scale": BUDGET}, runs, tmp_path / "measured.csv")
    assert {path.name for path in paths} == {
        *("methods.csv", "methods.png", "methods.md", "methods_mnist_scale.csv", "measured.csv")
    }
    assert all(path.is_file() for path in paths)
    with (tmp_path / "measured.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "dim", "torus", "end_to_end", "parameters", "forward", "step", "memory"]
    assert [(row["name"], row["dim"]) for row in rows[3:6]] == [("xu2014", "2"), (PLAIN, "3"), (WIDE, "3")]
    page = (results / "methods.md").read_text()
    assert "## 2-D" in page
    assert "## 3-D" in page
    assert "90.5 ± 0.7" in page


def test_names_in_the_picture_do_not_overlap(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from scalegroup.visual import MethodPoint
    from scalegroup.visual.methods import plot_methods

    rng = np.random.default_rng(0)
    points = [
        MethodPoint(name, "steerable", math.exp(rng.uniform(0, 2)), math.exp(rng.uniform(0, 3)))
        for name in (PLAIN, WIDE, *TABLE, *BEYOND)
    ]
    figure = plot_methods({("2-D", "error"): points, ("3-D", "error"): points[:3]})
    figure.draw_without_rendering()
    for axes in figure.axes:
        from matplotlib.text import Text

        boxes = [Text.get_window_extent(name) for name in axes.texts]
        assert len(boxes) in (3, len(points))
        assert not any(one.overlaps(two) for one, two in combinations(boxes, 2))


def test_the_command_line_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dims", "1", "--methods", "plain,plain7", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")]
    main(["compare", *words])
    assert "plain7" in capsys.readouterr().out
    assert "--dims 1 --methods plain,plain7" in (tmp_path / "methods.md").read_text()


def test_the_command_line_learns(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = ["--images", "100", "--epochs", "1", "--seeds", "1", "--tested", "50", "--root", str(digits)]
    folders = ["--results", str(tmp_path), "--runs", str(tmp_path / "runs")]
    main(["compare", "--methods", "plain", "--measure", "false", "--train", "mnist-scale", *budget, *folders])
    assert "MNIST-Scale" in capsys.readouterr().out
    assert not (tmp_path / "methods.csv").exists()
    assert (tmp_path / "methods_mnist_scale.csv").is_file()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--methods", "nothing"], "a method out of"),
        (["--dims", "0"], "numbers of axes out of 1, 2, 3"),
        (["--threads", "0"], "threads >= 1 and limit > 0"),
        (["--measure", "false", "--train", "mnist-scale", "--seeds", "0"], "images, epochs and seeds >= 1"),
    ],
)
def test_mistakes_are_told(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--methods", "plain", *words])
    assert text in capsys.readouterr().err
