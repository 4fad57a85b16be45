"""The docstrings below the attributes of a class, read from its source when they are asked for.

pydantic would read the source of every class when it is defined: half of the time that importing all kinds takes.
Tests: tests/spec/test_attribute_docs.py.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def attribute_docs(owner: type) -> Mapping[str, str]:
    """The docstring of every annotated attribute by name, empty where it has none; of the class that declares it last.

    Nothing is known of classes without a source file, such as those of an interactive session.
    """
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        definition = _definitions(base.__module__).get(base.__qualname__)
        own = {} if definition is None else dict(_documented(definition.body))
        found |= {name: own.get(name, "") for name in vars(base).get("__annotations__", {})}
    return found


@cache
def _definitions(module: str) -> Mapping[str, ast.ClassDef]:
    """The classes of a module by qualified name."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return {}
    return dict(_classes(tree, ""))


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, _Definition):
            yield from _classes(inner, prefix)
            continue
        name = prefix + inner.name
        if isinstance(inner, ast.ClassDef):
            yield name, inner
        yield from _classes(inner, f"{name}." if isinstance(inner, ast.ClassDef) else f"{name}.<locals>.")


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for first, then in pairwise(body):
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name) and isinstance(then, ast.Expr):
            value = then.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield first.target.id, inspect.cleandoc(value.value)
