"""Calls are values until they are made, inner ones first."""

from __future__ import annotations

from fractions import Fraction

import pytest

from composer.spec.lazy_call import call


def test_inner_calls_are_made_wherever_they_stand() -> None:
    half = call("fractions:Fraction", 1, denominator=2)
    assert half.make() == Fraction(1, 2)
    outer = call("builtins:dict", a=half, b=[half, 1], c=(half,), d={"x": half})
    assert outer.make() == {
        "a": Fraction(1, 2),
        "b": [Fraction(1, 2), 1],
        "c": (Fraction(1, 2),),
        "d": {"x": Fraction(1, 2)},
    }


def test_nothing_is_imported_before_it_is_made() -> None:
    absent = call("no_such_module:thing")
    assert absent == call("no_such_module:thing")
    with pytest.raises(ModuleNotFoundError):
        absent.make()
