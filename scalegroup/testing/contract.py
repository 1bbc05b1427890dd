"""What all contracts share: their tests can be listed, run outside pytest, and turned on a negative twin."""

from __future__ import annotations

import copy
import pickle
import re
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

TWIN = "test_twin_is_rejected"


class BrokenLaw(AssertionError):
    """A test of a contract has failed: what was expected, what came instead, what to do about it, and for what object.

    Args:
        law: what must hold.
        received: what was found.
        hint: what to do about it, one sentence without a final stop.
        subject: the object that breaks the law, or a text that names it.

    Example:
        >>> print(BrokenLaw("g @ ~g == e", "e.element(2)", "look at `invert`", "WrongInverse()"))
        expected: g @ ~g == e
        received: e.element(2)
        hint: look at `invert`.
        for: WrongInverse()
    """

    def __init__(self, law: str, received: object, hint: str, subject: object) -> None:
        super().__init__(law, str(received), hint, str(subject))
        self.law = law

    def __str__(self) -> str:
        law, received, hint, subject = self.args
        return f"expected: {law}\nreceived: {received}\nhint: {hint}.\nfor: {subject}"


class Contract(ABC):
    """A class of tests that users inherit, with one method to write: the one that makes what is tested.

    pytest collects the tests of a subclass whose name begins with `Test`. A subclass may also define `make_twin`, with
    the arguments of the method that makes the right thing: it makes the same thing broken on purpose, and the contract
    then has one more test, `test_twin_is_rejected`.

    Example:
        >>> from scalegroup.groups import SignedPermutations
        >>> from scalegroup.testing import GroupContract
        >>> class WrongInverse(SignedPermutations):
        ...     def invert(self, a):
        ...         return a
        >>> class TestQuarterTurns(GroupContract):
        ...     def make_group(self):
        ...         return SignedPermutations.c4()
        ...     def make_twin(self):
        ...         return WrongInverse([(-2, 1)])
        >>> TestQuarterTurns().test_twin_is_rejected()
    """

    maker: ClassVar[str]  # the name of the method to write

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "make_twin" in vars(cls):  # only then: a test without a twin would pass whatever happens
            setattr(cls, TWIN, _test_twin)

    @classmethod
    def checks(cls) -> dict[str, str]:
        """The name of every test, in the order in which they run, and the first line of its docstring.

        Example:
            >>> from scalegroup.testing import GroupContract
            >>> GroupContract.checks()["test_inverse_undoes"]
            'g @ ~g and ~g @ g are the identity.'
        """
        names = {name: None for base in reversed(cls.__mro__) for name in vars(base) if name.startswith("test_")}
        return {name: (getattr(cls, name).__doc__ or "").strip().split("\n")[0] for name in names}

    def run(self) -> None:
        """Run all tests of the contract, outside pytest; the first that fails raises `BrokenLaw`."""
        for name in self.checks():
            getattr(self, name)()

    @classmethod
    def _made_by(cls, make: Callable[..., Any], attributes: Mapping[str, Any]) -> Self:
        contract: Self = type(cls.__name__, (cls,), {cls.maker: lambda self, *field: make(*field), **attributes})()
        return contract


def _test_twin(self: Any) -> None:
    """The broken twin that `make_twin` makes fails one of the tests."""
    assert_rejected(type(self)._made_by(self.make_twin, {}))


def assert_rejected(contract: Contract, test: str | None = None, match: str = "") -> BrokenLaw:
    """State that something must fail: the contract of a negative twin.

    Args:
        contract: a contract of something that is broken on purpose, such as `GroupContract.of(WrongInverse())`.
        test: name of the test that must reject it. Default None: any of them.
        match: a regular expression that the text of the failure must contain. Default: any text.

    Returns:
        The failure, whose text says which law is broken.

    Raises:
        AssertionError: if nothing fails, or with another text. Whatever else the tests raise is not caught: a twin that
            crashes has not been rejected.

    Example:
        >>> import torch, scalegroup as sg
        >>> from scalegroup.testing import LayerContract, assert_rejected
        >>> class Blur(sg.nn.EquivariantModule):  # three taps, whatever the scale
        ...     def forward(self, x):
        ...         return x + x.roll(1, -1) + x.roll(-1, -1)
        >>> blur = LayerContract.of(lambda field: Blur(field, field), dims=(1,), tolerance=1e-3)
        >>> print(assert_rejected(blur, "test_equivariance").law)
        the layer commutes with dilations, with an error within its bound of 1.0e-03
    """
    names = [test] if test is not None else [name for name in contract.checks() if name != TWIN]
    for name in names:
        try:
            getattr(contract, name)()
        except BrokenLaw as failure:
            if not re.search(match, str(failure)):
                text = f"{name} rejects the twin, but for another reason than {match!r}:\n{failure}"
                raise AssertionError(text) from failure
            return failure
    made = f"{type(contract).__name__}.{contract.maker}"
    raise AssertionError(
        f"expected: {test or 'a test'} rejects what {made} makes\n"
        f"received: it passes {', '.join(names)}\n"
        "hint: either it is not broken, or the tests cannot see how; add a test of your own that can."
    )


def require(holds: Any, law: str, received: object, hint: str, subject: object) -> None:
    """Raise `BrokenLaw` unless it holds.

    Not an assert statement: pytest does not explain those of installed packages, and -O removes them.

    Example:
        >>> require(True, "the group is closed", "a stranger", "look at `multiply`", "my group")
    """
    __tracebackhide__ = True
    if not holds:
        raise BrokenLaw(law, received, hint, _shown(subject))


def _shown(subject: object) -> str:
    """Its repr, and its class where an inherited repr names another one."""
    text, name = repr(subject), type(subject).__name__
    return text if name in text or isinstance(subject, str) else f"{text}, of the class {name}"


@contextmanager
def must_run(law: str, hint: str, subject: object) -> Iterator[None]:
    """Whatever is raised inside breaks this law.

    Example:
        >>> with must_run("a number", "give digits", "text"):
        ...     int("x")
        Traceback (most recent call last):
        ...
        scalegroup.testing.contract.BrokenLaw: expected: a number
        received: ValueError: invalid literal for int() with base 10: 'x'
        hint: give digits.
        for: 'text'
    """
    __tracebackhide__ = True
    try:
        yield
    except BrokenLaw:
        raise
    except Exception as error:
        raise BrokenLaw(law, f"{type(error).__name__}: {error}", hint, _shown(subject)) from error


def round_trips(value: Any, names: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """What comes back from repr, pickle and deepcopy: the law, the copy, and what to do if it differs.

    Args:
        value: any value.
        names: what `repr` may mention, next to the class of the value.

    Example:
        >>> [law for law, twin, _ in round_trips((1, 2), {}) if twin == (1, 2)]
        ['the round trip of repr', 'the round trip of pickle', 'the round trip of deepcopy']
    """
    trips: dict[str, tuple[Callable[[], Any], str]] = {
        "the round trip of repr": (
            lambda: eval(repr(value), {type(value).__name__: type(value), **names}),
            "store each constructor argument under its own name, and extend `names` if repr mentions other classes",
        ),
        "the round trip of pickle": (
            lambda: pickle.loads(pickle.dumps(value)),
            "define the class at the top of a module, and keep lambdas and open files out of it",
        ),
        "the round trip of deepcopy": (lambda: copy.deepcopy(value), "keep the arguments of the constructor only"),
    }
    for law, (copied, hint) in trips.items():
        with must_run(law, hint, value):
            twin = copied()
        yield law, twin, hint
