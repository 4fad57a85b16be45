"""Mutants of a file: one small change each in the body of a function. Tests: tests/tools/test_mutation.py."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

Change = Callable[[], None]
Site = tuple[ast.AST, str, Change]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: Path
    line: int
    change: str
    """What is changed, in words."""
    function: str
    """The outermost function that holds it, by its qualified name."""
    index: int
    """Its number among the mutants of the file."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change} (in {self.function})"

    def apply(self) -> bool:
        """Give the live function the changed code; False where it cannot take it."""
        tree = ast.parse(self.file.read_text(encoding="utf-8"))
        list(_sites(tree))[self.index][2][2]()
        path = str(self.file.resolve())
        changed = _codes(compile(ast.fix_missing_locations(tree), path, "exec"))
        taken = False
        gc.unfreeze()  # Frozen objects would not be listed.
        for live in gc.get_objects():
            if type(live) is FunctionType and live.__code__.co_filename == path:
                code = changed.get((live.__code__.co_qualname, live.__code__.co_firstlineno))
                if code is not None and live.__code__.co_qualname == self.function:
                    try:
                        live.__code__ = code
                    except ValueError:
                        return False
                    taken = True
        return taken


def mutants_of(file: Path) -> list[Mutant]:
    """All mutants of a file, in order of its lines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = enumerate(_sites(tree))
    return [
        Mutant(file, getattr(node, "lineno", 0), words, name, index) for index, (name, _, (node, words, _)) in found
    ]


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found = {(code.co_qualname, code.co_firstlineno): code}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= _codes(inner)
    return found


def _sites(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int, Site]]:
    """The possible changes in the functions of a tree, each with the outermost function around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            name = f"{inside}{node.name}"
            for statement in node.body:
                yield from ((name, node.lineno, site) for site in _changes(statement, node.body))
        elif isinstance(node, ast.ClassDef):
            yield from _sites(node, f"{inside}{node.name}.")


def _changes(node: ast.AST, body: list[ast.stmt] | None = None) -> Iterator[Site]:
    if isinstance(node, ast.Assert | ast.JoinedStr) or _is_text(node):
        return
    yield from _of_statement(node, body)
    yield from _of_expression(node)
    skipped = {"annotation", "returns", "decorator_list", "args", "exc", "cause"}
    for field, value in ast.iter_fields(node):
        if field in skipped and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                inner = value if isinstance(value, list) and isinstance(child, ast.stmt) else None
                yield from _changes(child, inner)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of_statement(node: ast.AST, body: list[ast.stmt] | None) -> Iterator[Site]:
    if body is not None and isinstance(node, ast.Raise | ast.Expr) and not _yields(node):
        word = "raise" if isinstance(node, ast.Raise) else f"call {ast.unparse(node)[:40]}"
        yield (
            node,
            f"without the {word}",
            lambda: body.__setitem__(body.index(node), ast.copy_location(ast.Pass(), node)),
        )
    if isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)):
        yield node, "returns None", lambda: setattr(node, "value", ast.Constant(None))
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        words = f"not ({ast.unparse(node.test)[:40]})"
        yield node, words, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield node.ifs[0], f"without the condition {ast.unparse(node.ifs[0])[:40]}", lambda: node.ifs.clear()


def _of_expression(node: ast.AST) -> Iterator[Site]:
    if isinstance(node, ast.Compare):
        new = COMPARISONS[type(node.ops[0])]
        yield node, f"{_sign(node.ops[0])} to {new.__name__}", lambda: node.ops.__setitem__(0, new())
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in ARITHMETIC:
        other = ARITHMETIC[type(node.op)]
        yield node, f"{_sign(node.op)} to {other.__name__}", lambda: setattr(node, "op", other())
    elif isinstance(node, ast.BoolOp):
        swapped = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield node, f"{_sign(node.op)} to {swapped.__name__}", lambda: setattr(node, "op", swapped())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node, "without the minus", lambda: setattr(node, "op", ast.UAdd())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield node, f"{node.value} to {value}", lambda: setattr(node, "value", value)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield node, f"{node.id} to {NAMES[node.id]}", lambda: setattr(node, "id", NAMES[node.id])
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield node, f"{node.attr} to {NAMES[node.attr]}", lambda: setattr(node, "attr", NAMES[node.attr])


def _yields(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _sign(operator: ast.AST) -> str:
    return type(operator).__name__
