"""Which SymPy expressions can be kernels: real, finite and integrable functions of one variable, by proof.

A function with finitely many breaks (Piecewise, Abs, poles) has one smooth branch between neighbouring ones. It is
bounded if every branch has finite limits at both its ends, and then integrable if the outer branches fall faster than
1/x². Both are limits, which SymPy takes exactly.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from scalegroup.errors import ScaleGroupError

if TYPE_CHECKING:
    import sympy

KERNEL = "a real function of one variable, finite everywhere, that falls faster than 1/x²"


def parse_function(function: Any) -> sympy.Expr:
    """A SymPy expression, or text that SymPy reads, as an expression in the real symbol `x`.

    SymPy evaluates text as Python code, so pass none from a source that you do not trust.

    Raises:
        ScaleGroupError: where the text is no expression, or depends on none or on several symbols.

    Example:
        >>> parse_function("exp(-x**2)").free_symbols
        {x}
    """
    import sympy

    x = sympy.Symbol("x", real=True)
    try:
        parsed = sympy.sympify(function, locals={"x": x})
    except (sympy.SympifyError, TypeError, SyntaxError) as error:
        raise ScaleGroupError(KERNEL, repr(function), "write it in SymPy's notation") from error
    symbols = sorted(map(str, getattr(parsed, "free_symbols", ())))
    if not isinstance(parsed, sympy.Expr) or len(symbols) != 1:
        what = f"depends on {', '.join(symbols)}" if symbols else "depends on no symbol, so it does not decay"
        raise ScaleGroupError(KERNEL, f"{function}, which {what}", "use one symbol x and numbers for the rest")
    return parsed.subs(next(iter(parsed.free_symbols)), x)


def critical_points(expression: sympy.Expr) -> list[Any]:
    """The finitely many points where a function of `x` may break: poles, kinks and ends of pieces, ascending.

    Raises:
        ScaleGroupError: where there are infinitely many, or SymPy cannot find them.
    """
    import sympy

    (x,) = expression.free_symbols
    kinks = sympy.Abs | sympy.sign | sympy.Heaviside
    edges = [atom.args[0] for atom in expression.atoms(sympy.Function) if isinstance(atom, kinks)]
    edges += [atom.lhs - atom.rhs for atom in _pieces(expression).atoms(sympy.core.relational.Relational)]
    try:
        points = sympy.calculus.singularities(expression, x, sympy.S.Reals)
        for edge in edges:
            points += sympy.solveset(edge, x, sympy.S.Reals)
    except (NotImplementedError, TypeError, ValueError) as error:
        hint = "SymPy cannot tell where it breaks; write it with exp, powers, Abs or Piecewise"
        raise ScaleGroupError(KERNEL, str(expression), hint) from error
    if not isinstance(points, sympy.FiniteSet) and points != sympy.S.EmptySet:
        hint = f"it breaks at infinitely many points, {points}; a kernel has finitely many"
        raise ScaleGroupError(KERNEL, str(expression), hint)
    return sorted(points, key=float)


@lru_cache(maxsize=1024)
def require_integrable(expression: sympy.Expr) -> tuple[str, ...]:
    """Prove that `∫ |h| dx` is finite, so that `s^-d ψ(u / s)` has the same transfer function at every scale.

    Args:
        expression: a function of one real symbol, as `parse_function` returns it.

    Returns:
        The steps of the proof.

    Raises:
        ScaleGroupError: with the function and the reason, where the proof fails.

    Example:
        >>> import sympy
        >>> require_integrable(parse_function("x*exp(-Abs(x))"))[-1]
        'x²·h(x) → 0 for x → ±oo, so ∫|h| dx is finite'
        >>> require_integrable(parse_function("exp(-x)"))
        Traceback (most recent call last):
        ...
        scalegroup.errors.ScaleGroupError: expected a real function ..., received exp(-x); x²·h(x) → oo for x → -oo.
    """
    import sympy

    (x,) = expression.free_symbols
    points = critical_points(expression)
    ends = [-sympy.oo, *points, sympy.oo]
    for left, right in pairwise(ends):
        branch = _branch(expression, x, _between(left, right))
        if branch.is_real is not True and sympy.simplify(sympy.im(branch)) != 0:
            raise ScaleGroupError(KERNEL, str(expression), f"it is not real between {left} and {right}")
        _require_limit(expression, branch, x, left, "+")
        _require_limit(expression, branch, x, right, "-")
    where = f"its limits at {', '.join(map(str, points))} are finite" if points else "it has no poles or kinks"
    return ("it is real", where, "x²·h(x) → 0 for x → ±oo, so ∫|h| dx is finite")


def _require_limit(expression: Any, branch: Any, x: Any, end: Any, side: str) -> None:
    import sympy

    far = end.is_infinite
    try:
        value = sympy.limit(x**2 * branch if far else branch, x, end, side)
    except (NotImplementedError, TypeError, ValueError, AttributeError) as error:
        raise ScaleGroupError(KERNEL, str(expression), f"SymPy cannot take its limit at {end}") from error
    if far and value != 0:
        raise ScaleGroupError(KERNEL, str(expression), f"x²·h(x) → {value} for x → {end}")
    if value.is_finite is not True:
        raise ScaleGroupError(KERNEL, str(expression), f"h(x) → {value} for x → {end}{side}")


def _pieces(expression: Any) -> Any:
    """Maxima, minima and steps written as pieces, whose conditions name the breaks."""
    import sympy

    return expression.replace(lambda e: isinstance(e, sympy.Max | sympy.Min), lambda e: e.rewrite(sympy.Piecewise))


def _branch(expression: Any, x: Any, point: Any) -> Any:
    """The expression with every Piecewise replaced by the piece that holds at a point."""
    import sympy

    def piece(*pairs: Any) -> Any:
        return next((value for value, condition in pairs if condition.subs(x, point) is sympy.true), sympy.nan)

    return _pieces(expression).replace(sympy.Piecewise, piece)


def _between(left: Any, right: Any) -> Any:
    import sympy

    if left.is_infinite:
        return sympy.S.Zero if right.is_infinite else right - 1
    return left + 1 if right.is_infinite else (left + right) / 2
