"""Finds the names of a statement that its module defines: not locals, arguments and attributes.

Tests: tests/blueprint/eject/test_sources.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def module_names(statement: ast.stmt) -> list[ast.Name]:
    """The names in a top-level statement, annotations included, that the module defines or imports at its top."""
    finder = _Finder()
    finder.visit(statement)
    return finder.found


class _Finder(ast.NodeVisitor):
    """Walks with a stack of scopes; the names of a class body are not seen from its functions."""

    def __init__(self) -> None:
        self.found: list[ast.Name] = []
        self._scopes: list[tuple[set[str], bool]] = []

    def visit_Name(self, node: ast.Name) -> None:
        """Take in a name that no scope around it binds."""
        innermost = len(self._scopes) - 1
        is_local = any(
            node.id in names and (not is_class or depth == innermost)
            for depth, (names, is_class) in enumerate(self._scopes)
        )
        if not is_local:
            self.found.append(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Decorators, defaults and annotations belong to the scope around."""
        self._function(node, [*node.decorator_list, *([node.returns] if node.returns else [])], node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """As a function of one expression."""
        self._function(node, [], [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bases and decorators belong to the scope around."""
        self._all([*node.decorator_list, *node.bases, *node.keywords])
        self._inside(_bound(node.body), node.body, is_class=True)

    def _function(self, node: _Function, around: list[ast.expr], body: list[ast.stmt] | list[ast.expr]) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        annotations = [argument.annotation for argument in arguments if argument.annotation]
        defaults = [default for default in (*node.args.defaults, *node.args.kw_defaults) if default]
        self._all([*around, *annotations, *defaults])
        self._inside({argument.arg for argument in arguments} | _bound(body), body)

    def _comprehension(self, node: _Comprehension) -> None:
        targets = {name.id for each in node.generators for name in ast.walk(each.target) if isinstance(name, ast.Name)}
        self._inside(targets, [*ast.iter_child_nodes(node)])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _inside(self, names: set[str], nodes: Iterable[ast.AST], is_class: bool = False) -> None:
        self._scopes.append((names, is_class))
        self._all(nodes)
        self._scopes.pop()

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def _bound(body: Iterable[ast.AST]) -> set[str]:
    """Names that statements bind in their own scope."""
    names: set[str] = set()
    waiting = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, _Comprehension | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return names
