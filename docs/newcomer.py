"""How long is it from `git clone` to a layer of one's own that passes its tests? Follows tutorial 5, and nothing else.

    python docs/newcomer.py

The page's own blocks are taken, in their order: the commands in bash, the files (`%%writefile`), and the lines that run
pytest. They are carried out in an empty folder, where the first version of the layer has to fail and the second to
pass. Seconds of each step are printed, and the time that reading and typing take comes on top of them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tutorials" / "05_own_layer.md"
BLOCK = re.compile(r"^```(bash|\{code-cell\})\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Step:
    """A command of the page, or a file that it says to write.

    Attributes:
        text: the command, or the text of the file.
        file: name of the file; empty for a command.
    """

    def __init__(self, text: str, file: str = "") -> None:
        self.text, self.file = text, file

    @property
    def name(self) -> str:
        """How the step is printed."""
        return f"write {self.file}, {len(self.text.splitlines())} lines" if self.file else self.text

    @property
    def tests(self) -> bool:
        """Whether the step runs tests."""
        return not self.file and "pytest" in self.text.split()


def steps_of(page: str) -> Iterator[Step]:
    """The steps of a page in their order; cells that are neither files nor commands are for reading."""
    for kind, text in BLOCK.findall(page):
        if kind == "bash":
            yield from (Step(line) for line in text.splitlines() if line)
        elif text.startswith("%%writefile"):
            first, _, rest = text.partition("\n")
            yield Step(rest, file=first.split()[1])
        elif text.startswith("!"):
            yield from (Step(line[1:]) for line in text.splitlines())


def follow(steps: Sequence[Step], folder: Path) -> list[tuple[Step, float, int]]:
    """Carry out all steps in one shell, so that `cd` and `source` last; the seconds and the exit status of each."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment |= {"REPOSITORY": str(ROOT)}
    shell = subprocess.Popen(
        ["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    results = []
    for number, step in enumerate(steps):
        start, end = time.monotonic(), f"end of step {number}"
        command = f"cat > {step.file} <<'END-OF-FILE'\n{step.text}END-OF-FILE" if step.file else step.text
        shell.stdin.write(f"{command}\nstatus=$?; echo; echo {end} $status\n")
        shell.stdin.flush()
        for line in shell.stdout:
            if line.startswith(end):
                results.append((step, time.monotonic() - start, int(line.split()[-1])))
                break
            sys.stderr.write(line)
        else:
            raise RuntimeError(f"the shell ended in: {step.name}")
    shell.stdin.close()
    shell.wait()
    return results


def main() -> None:
    """Print a table; exit with 1 unless the first test fails, the last one passes and so does all else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="another page of the same kind")
    steps = list(steps_of(parser.parse_args().page.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        results = follow(steps, Path(folder))
    for step, seconds, status in results:
        sys.stdout.write(f"{seconds:8.1f} s  {'ok    ' if status == 0 else 'failed'}  {step.name}\n")
    total = sum(seconds for _, seconds, _ in results)
    sys.stdout.write(f"{total:8.1f} s  from clone to a layer that passes its contract, without reading and typing\n")
    tested = [status for step, _, status in results if step.tests]
    other = [status for step, _, status in results if not step.tests]
    if any(other) or len(tested) < 2 or tested[0] == 0 or tested[-1] != 0:
        sys.exit("the page does not lead where it says: the first tests must fail, the last must pass")


if __name__ == "__main__":
    main()
