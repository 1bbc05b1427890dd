"""A function in a process of its own, which is ended when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from scalegroup.benchmarks.measure import CONTEXT
from scalegroup.errors import ScaleGroupError

Result = TypeVar("Result")
STARTING = 60.0  # seconds in which a process has to have started


def apart(function: Callable[[], Result], seconds: float, threads: int = 1) -> tuple[Result | None, str]:
    """What a function returns, or why there is nothing: no error of one method ends a comparison of all.

    Args:
        function: can be pickled, such as a `functools.partial` of a function of a module.
        seconds: after which it is stopped.
        threads: of torch. Default 1.

    Returns:
        the result and "", or None and the reason.

    Example:
        >>> import math
        >>> from functools import partial
        >>> apart(partial(math.sqrt, 4.0), 60.0)
        (2.0, '')
        >>> apart(partial(math.sqrt, -1.0), 60.0)
        (None, 'ValueError: math domain error')
    """
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_answer, args=(there, function, threads), daemon=True)
    process.start()
    there.close()
    try:
        started = here.poll(STARTING) and here.recv() is None
        if not started or not here.poll(seconds):
            return None, f"stopped after {seconds:g} s"
        found: tuple[Result | None, str] = here.recv()
        return found
    except EOFError:
        process.join()
        return None, f"its process ended with status {process.exitcode}"
    finally:
        process.kill()
        process.join()
        here.close()


def _answer(pipe: Connection, function: Callable[[], Any], threads: int) -> None:
    torch.set_num_threads(threads)
    pipe.send(None)
    try:
        pipe.send((function(), ""))
    except ScaleGroupError as error:
        pipe.send((None, str(error).splitlines()[0]))
    except Exception as error:  # whatever it is, the others go on
        pipe.send((None, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"))
