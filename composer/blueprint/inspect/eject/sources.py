"""Modules as text: their definitions and imports. Nothing is imported or run.

Tests: tests/blueprint/eject/test_sources.py.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIBRARY = "torch"
"""The only package that an ejected file imports besides Python's own library."""


class EjectError(ValueError):
    """A network cannot be printed as one file; the message says which module is in the way."""


@dataclass(frozen=True, order=True)
class Import:
    """``import module as local``, or ``from module import name as local``."""

    module: str
    name: str
    """Empty where the module itself is imported."""
    local: str

    @property
    def stays(self) -> bool:
        """Whether it imports from torch or from Python's library; anything else is copied."""
        top = self.module.partition(".")[0]
        return top == LIBRARY or top in sys.stdlib_module_names


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a module that binds names: a class, a function, a constant."""

    node: ast.stmt
    names: tuple[str, ...]
    first: int
    """Its first line, counted from 1: that of the comment above it where there is one."""
    last: int

    @property
    def is_definition(self) -> bool:
        """Whether it is a class or a function, which empty lines set apart."""
        return isinstance(self.node, ast.FunctionDef | ast.ClassDef)


class ModuleSource:
    """One module: its lines, its statements by name, its imports by local name."""

    def __init__(self, name: str) -> None:
        """Reads the file of the module ``name``; raises EjectError where there is none."""
        self.name = name
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            raise EjectError(f"the module {name!r} has no source to be printed")
        text = Path(spec.origin).read_text(encoding="utf-8")
        self.lines = text.split("\n")
        tree = ast.parse(text)
        self.title = (ast.get_docstring(tree) or name).split("\n\n")[0].replace("\n", " ").partition(" Tests:")[0]
        self.statements = [*self._statements(tree.body)]
        self.by_name = {bound: statement for statement in self.statements for bound in statement.names}
        self.imports = dict(_imports(tree.body, spec.parent or ""))

    def _statements(self, body: list[ast.stmt]) -> Iterator[Statement]:
        for position, node in enumerate(body):
            names = tuple(_binds(node))
            if not names:
                continue
            decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            while self.lines[first - 2].startswith("#"):
                first -= 1
            documented = body[position + 1] if position + 1 < len(body) else node
            is_documented = isinstance(node, ast.Assign | ast.AnnAssign) and _is_text(documented)
            last = documented if is_documented else node
            yield Statement(node, names, first, last.end_lineno or last.lineno)


def _binds(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(body: list[ast.stmt], package: str) -> Iterator[tuple[str, Import]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                yield local, Import(alias.name, "", local)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            for alias in node.names:
                local = alias.asname or alias.name
                module = importlib.util.resolve_name("." * node.level + node.module, package)
                yield local, Import(module, alias.name, local)
        elif isinstance(node, ast.If):  # ``if TYPE_CHECKING``: annotations name them.
            yield from _imports(node.body, package)
