"""Pieces of the ejected file as text: statements under their new names, and imports in the order that linters want.

Tests: tests/blueprint/eject/test_sources.py.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from composer.blueprint.inspect.eject.gathering import TopLevelName
from composer.blueprint.inspect.eject.scopes import module_names
from composer.blueprint.inspect.eject.sources import LIBRARY, Import, ModuleSource, Statement


def renamed(source: ModuleSource, statement: Statement, names: Mapping[TopLevelName, str]) -> str:
    """The text of a statement, with top-level names replaced by those of the file."""
    lines = [line.encode() for line in source.lines[statement.first - 1 : statement.last]]
    # From the last to the first: a change moves what follows it on its line. Columns are counted in bytes.
    for line, column, name in sorted(_names(statement.node), reverse=True):
        new = names.get((source.name, name), name).encode()
        text = lines[line - statement.first]
        lines[line - statement.first] = text[:column] + new + text[column + len(name.encode()) :]
    return b"\n".join(lines).decode()


def _names(node: ast.stmt) -> Iterator[tuple[int, int, str]]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        keyword = "class " if isinstance(node, ast.ClassDef) else "def "
        yield node.lineno, node.col_offset + len(keyword), node.name
    for name in module_names(node):
        yield name.lineno, name.col_offset, name.id


def import_lines(imports: Mapping[TopLevelName, Import], names: Mapping[TopLevelName, str]) -> Iterator[str]:
    """Import statements: Python's own library, an empty line, torch; in each, modules before names out of modules."""
    given = {(imported, names[key]) for key, imported in imports.items()}
    ours = {(imported, local) for imported, local in given if imported.module.partition(".")[0] == LIBRARY}
    for position, section in enumerate(filter(None, (given - ours, ours))):
        if position:
            yield ""
        yield from sorted(_whole(imported, local) for imported, local in section if not imported.name)
        yield from _names_of_modules(section)


def _whole(imported: Import, local: str) -> str:
    is_plain = local == imported.module.partition(".")[0] and imported.local == local
    return f"import {imported.module}" + ("" if is_plain else f" as {local}")


def _names_of_modules(section: Collection[tuple[Import, str]]) -> Iterator[str]:
    wanted = [(imported, local) for imported, local in section if imported.name]
    for module in sorted({imported.module for imported, _ in wanted}):
        own = {imported.name: local for imported, local in wanted if imported.module == module}
        plain = [name for name, local in own.items() if name == local]
        if plain:
            yield f"from {module} import {', '.join(sorted(plain, key=_by_type))}"
        yield from (f"from {module} import {name} as {local}" for name, local in sorted(own.items()) if name != local)


def _by_type(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as isort has it."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name
