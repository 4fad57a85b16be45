"""The arithmetic of study files: ``${div:${axis.width},4}``. Numbers in, a number out.

Integers stay integers as long as the result is one: 512 / 4 is 128, 513 / 4 is 128.25.
Tests: tests/studies/study/test_expressions.py.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from composer.spec.wording import INTEGER_RULE, INTEGERS, describe, listing, near

Number = int | float
MAX_ARGUMENTS = 64
"""Most arguments of one operation."""


class WrongExpression(Exception):
    """An expression without a value; ``hint`` says what was probably meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


def _divide(dividend: Number, divisor: Number) -> Number:
    both_integers = isinstance(dividend, int) and isinstance(divisor, int)
    return dividend // divisor if both_integers and dividend % divisor == 0 else dividend / divisor


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        # Judge the size first: the power of two integers may have billions of digits.
        if abs(base) > 1 and exponent * math.log2(abs(base)) > 64:
            raise OverflowError
        return int(base**exponent)
    result = float(base) ** exponent
    if isinstance(result, complex):
        raise WrongExpression(f"{base} to the power of {exponent} is no real number")
    return float(result)


def _rounded(value: Number, digits: Number = 0) -> Number:
    if not (isinstance(digits, int) and 0 <= digits <= 15):
        raise WrongExpression(f"round takes 0 to 15 decimal places, got {describe(digits)}")
    return round(value, digits) if digits else round(value)


def _of_all(operation: Callable[[Number, Number], Number]) -> Callable[..., Number]:
    return lambda *numbers: reduce(operation, numbers)


_OPERATIONS: Mapping[str, tuple[Callable[..., Number], int, int]] = {
    "add": (_of_all(operator.add), 2, MAX_ARGUMENTS),
    "sub": (operator.sub, 2, 2),
    "mul": (_of_all(operator.mul), 2, MAX_ARGUMENTS),
    "div": (_divide, 2, 2),
    "floordiv": (operator.floordiv, 2, 2),
    "mod": (operator.mod, 2, 2),
    "pow": (_power, 2, 2),
    "min": (min, 1, MAX_ARGUMENTS),
    "max": (max, 1, MAX_ARGUMENTS),
    "round": (_rounded, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
}
"""By name: the function, its fewest and its most arguments."""
OPERATIONS = tuple(_OPERATIONS)
"""Names of all operations that a study file can use."""


def calculate(name: str, arguments: Sequence[object]) -> Number:
    """The result of an operation; raises WrongExpression, whose message does not repeat what is no number."""
    if name not in _OPERATIONS:
        meant = near(name, OPERATIONS)
        hint = f"did you mean {meant!r}?" if meant else f"one of {listing(OPERATIONS)}"
        raise WrongExpression("a study file has arithmetic alone, and no other resolver", hint)
    compute, fewest, most = _OPERATIONS[name]
    if not fewest <= len(arguments) <= most:
        count = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise WrongExpression(f"{name} takes {count} numbers, got {len(arguments)}")
    numbers = [_number(name, argument) for argument in arguments]
    try:
        result = compute(*numbers)
    except ZeroDivisionError:
        raise WrongExpression(f"{name} divides by zero") from None
    except OverflowError:
        raise WrongExpression(f"{name} leads beyond the largest number") from None
    return _bounded(name, result)


def _number(name: str, value: object) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        what = "nothing" if value is None else describe(value)
        raise WrongExpression(f"{name} takes numbers, got {what}")
    return _bounded(name, value)


def _bounded(name: str, value: Number) -> Number:
    if isinstance(value, int) and value not in INTEGERS:
        raise WrongExpression(f"an integer of {name} {INTEGER_RULE}")
    if not math.isfinite(value):
        raise WrongExpression(f"a number of {name} must be finite, got {value}")
    return value
