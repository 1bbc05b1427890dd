"""`scalegroup` and `python -m scalegroup`: the command line."""

from __future__ import annotations

import sys

from scalegroup.errors import MissingExtraError


def main() -> None:
    """Runs the command line, or says which extra it needs."""
    try:
        from scalegroup.training.cli import main as run
    except MissingExtraError as error:
        sys.exit(f"scalegroup: {error}")
    run()


if __name__ == "__main__":
    main()
