"""The package as a user meets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scalegroup import testing


def test_all_names_exist() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    assert sorted(testing.__all__) == testing.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = testing.nothing


def test_only_strategies_need_hypothesis() -> None:
    code = """
import sys
sys.modules["hypothesis"] = sys.modules["pytest"] = None
import scalegroup.testing
assert "sympy" not in sys.modules
try:
    scalegroup.testing.strategies
except ImportError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'hypothesis'" in result.stdout
    assert "pip install 'scalegroup[test]'" in result.stdout
