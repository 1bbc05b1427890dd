"""The one place that imports escnn; everything else takes it from here, when it is needed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from scalegroup.interop.escnn.names import missing_escnn

try:
    with warnings.catch_warnings():
        # Said at every import; without py3nj escnn computes Clebsch-Gordan coefficients numerically, and we need none.
        warnings.filterwarnings("ignore", message="`py3nj` package not found", category=UserWarning)
        from escnn import group, gspaces, nn
except ImportError as error:
    raise missing_escnn() from error

__all__ = ["group", "gspaces", "nn", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Without what escnn prints when it reads its cache, and warnings of the file it leaves open when it fills it."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unclosed file", category=ResourceWarning)
        yield
