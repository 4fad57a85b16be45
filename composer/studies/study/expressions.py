"""``${...}`` in study files: OmegaConf's grammar over the names of a study and its arithmetic, and nothing else.

OmegaConf parses a text, and its visitor asks here for the value of each name and each resolver. So the resolvers that a
process has registered with OmegaConf (``oc.env`` among them) cannot be reached, and none is registered for a study.
The visitor is no documented interface of OmegaConf: tests/studies/study/test_expressions.py holds it to 2.3, and
docs/decisions names the check against 2.4.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from composer.spec.wording import describe
from composer.studies.study.arithmetic import WrongExpression, calculate

MAX_REFERENCES = 32
"""Most ``${...}`` in one text."""
MAX_TEXT = 1_000
"""Longest text that an expression may make."""

Find = Callable[[int, Sequence[str]], object]
"""The value of a name: the number of dots before it, 0 for an absolute one, and its steps."""


def is_expression(value: object) -> bool:
    """Whether a value of a study file is evaluated."""
    return isinstance(value, str) and "${" in value


def evaluate(text: str, find: Find) -> object:
    """The value of ``text``: of one ``${...}`` the value with its type, of a longer text a string.

    Raises WrongExpression, and whatever ``find`` raises.
    """
    if text.count("${") > MAX_REFERENCES:
        raise WrongExpression(f"more than {MAX_REFERENCES} references in one text")
    from omegaconf.errors import OmegaConfBaseException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of an argument left out: the arithmetic refuses it.
            value = _visitor()(find).visit(_parsed(text))
    except (OmegaConfBaseException, RecursionError):
        message = "is no expression"
        raise WrongExpression(message, "write ${axis.width}, ${div:${axis.width},4} or a text around them") from None
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise WrongExpression(f"makes a text of {len(value):,} characters; limit {MAX_TEXT:,}")
    return value


@lru_cache(maxsize=1_024)
def _parsed(text: str) -> Any:
    """The syntax tree of a text, which every point of a study evaluates anew."""
    from omegaconf.grammar_parser import parse

    return parse(text)


@cache
def _visitor() -> Callable[[Find], Any]:
    from omegaconf.grammar_visitor import GrammarVisitor

    class Visitor(GrammarVisitor):
        """Evaluate a syntax tree."""

        def __init__(self, find: Find) -> None:
            def named(key: Any, memo: object = None) -> Any:
                written = key if isinstance(key, str) else key.raw
                return find(len(written) - len(written.lstrip(".")), re.findall(r"[^.\[\]]+", written))

            def resolved(name: str, args: Sequence[object], args_str: object) -> object:
                return calculate(name, args)

            super().__init__(named, resolved, None)

        def visitInterpolation(self, ctx: Any) -> object:
            value = super().visitInterpolation(ctx)
            around = type(ctx.parentCtx).__name__
            if around in ("ConfigKeyContext", "ResolverNameContext"):
                return _as_name(value)
            return value if ctx.parentCtx.getChildCount() == 1 else _as_text(value)

    return Visitor


def _as_name(value: object) -> str:
    if not isinstance(value, str):
        raise WrongExpression(f"a name within a name must be a string, got {describe(value)}")
    return value


def _as_text(value: object) -> str:
    """A value as part of a longer text: as TOML writes it, without quotes."""
    if isinstance(value, list | dict):
        raise WrongExpression(f"a {describe(value)} cannot be part of a text")
    return str(value).lower() if isinstance(value, bool) else str(value)
