"""Count what makes the package hard to read, and hold each count to its bound (``python -m tools.house``).

It prints one table. A count over its bound names its offenders at file and line, and the exit code is 1. It reads the
text of the files and imports nothing of the package. `make lint` runs it. Tests: tests/docs/test_house.py.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tools.source import House, Module, components, imports

BOUNDS = {
    "entries": 16,
    "floors": 8,
    "circles": 0,
    "signatures": 0,
    "isinstance": 0,
    "files": 0,
    "functions": 0,
    "lines": 92_600,
}
"""The most that is allowed of each. Lower a bound when its count has fallen, and never raise one, but for ``lines``:
what the package learns to do takes lines, and decision 18 lists what each rise was for."""

MAX_FILE, MAX_FUNCTION = 300, 40
"""Lines of one file, and of one function with its docstring and decorators."""

BLUEPRINT_ROOMS = ("blueprint", "training.assemble", "api", "studies", "cli")
"""Where a signature may take the root blueprint; everyone else is given the part that they need."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Offence(NamedTuple):
    """One thing that a count counts, and where it is."""

    path: Path
    line: int
    what: str


class Counted(NamedTuple):
    """A count with what it counts, in words, and its offenders; not every count has some."""

    number: int
    what: str
    offenders: tuple[Offence, ...] = ()


def entries(house: House) -> Counted:
    """Files and folders of the package itself."""
    found = sorted(path.name for path in (house.root / house.package).iterdir() if path.name != "__pycache__")
    return Counted(len(found), "entries of the package")


def floors(house: House) -> Counted:
    """The longest way down from room to room by imports; a circle of rooms counts as many floors as it has rooms."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports(house):
        rooms = house.room(importer), house.room(imported)
        for room in rooms:
            below.setdefault(room, set())
        if rooms[0] != rooms[1]:
            below[rooms[0]].add(rooms[1])
    groups = components(below)
    circle = {room: index for index, group in enumerate(groups) for room in group}
    arrows: dict[int, set[int]] = {index: set() for index in circle.values()}
    for room, others in below.items():
        arrows[circle[room]] |= {circle[other] for other in others} - {circle[room]}

    def depth(index: int) -> int:
        return len(groups[index]) + max(map(depth, arrows[index]), default=0)

    return Counted(max(map(depth, arrows), default=0), "floors of rooms that import each other")


def circles(house: House) -> Counted:
    """Files that import each other in a circle, imports for types included."""
    below: dict[str, set[str]] = {name: set() for name in house.modules}
    for importer, imported in imports(house):
        below[importer].add(imported)
    found = [
        Offence(house.modules[group[0]].path, 1, f"a circle of {len(group)}: {', '.join(sorted(group))}")
        for group in components(below)
        if len(group) > 1
    ]
    count = sum(len(group) for group in components(below) if len(group) > 1)
    return Counted(count, "files in circles of imports", tuple(found))


def signatures(house: House) -> Counted:
    """Functions and classes with fields outside of ``BLUEPRINT_ROOMS`` that take the root blueprint."""
    found = set()
    for module in house.modules.values():
        if any(house.is_in(module, room) for room in BLUEPRINT_ROOMS):
            continue
        for name, line, annotation in _annotations(module):
            if any(_is_blueprint(house, module, node) for node in ast.walk(_parsed(annotation))):
                found.add(Offence(module.path, line, f"{name} takes the root blueprint"))
    return Counted(len(found), "signatures that take the root blueprint", tuple(sorted(found)))


def _annotations(module: Module) -> Iterator[tuple[str, int, ast.expr]]:
    """The parameters of functions and the fields of classes: owner, line, annotation."""
    for node in module.nodes:
        if isinstance(node, _Function):
            own = node.args
            for each in (*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg):
                if each is not None and each.annotation is not None:
                    yield node.name, each.lineno, each.annotation
        elif isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    yield node.name, field.lineno, field.annotation


def _parsed(annotation: ast.expr) -> ast.expr:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _is_blueprint(house: House, module: Module, node: ast.AST) -> bool:
    name = house.home(module.dotted(node)) if isinstance(node, ast.Name | ast.Attribute) else None
    return name is not None and name.startswith(f"{house.package}.blueprint.") and name.endswith(".Blueprint")


def questions(house: House) -> Counted:
    """Where ``isinstance``, ``issubclass`` or a ``case`` asks for a kind outside of the kind's own room."""
    found = set()
    for module in house.modules.values():
        for node in module.nodes:
            asked: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
                asked = [node.args[1]] if node.func.id in ("isinstance", "issubclass") else []
            elif isinstance(node, ast.MatchClass):
                asked = [node.cls]
            names = {name for each in asked for name in house.asked(module, each)}
            for name in names & {*house.kinds}:
                if not house.is_in(module, house.kinds[name]):
                    line = node.lineno if isinstance(node, ast.expr | ast.pattern) else 1
                    found.add(Offence(module.path, line, f"asks for the kind {name.rpartition('.')[2]}"))
    return Counted(len(found), "questions for a kind outside of its room", tuple(sorted(found)))


def files(house: House) -> Counted:
    """Files that are longer than ``MAX_FILE``."""
    found = tuple(
        Offence(module.path, module.lines, f"{module.lines} lines")
        for module in house.modules.values()
        if module.lines > MAX_FILE
    )
    return Counted(len(found), f"files over {MAX_FILE} lines", found)


def functions(house: House) -> Counted:
    """Functions that are longer than ``MAX_FUNCTION``."""
    found = []
    for module in house.modules.values():
        for node in module.nodes:
            if isinstance(node, _Function):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                length = (node.end_lineno or first) - first + 1
                if length > MAX_FUNCTION:
                    found.append(Offence(module.path, node.lineno, f"{node.name}: {length} lines"))
    return Counted(len(found), f"functions over {MAX_FUNCTION} lines", tuple(sorted(found)))


def lines(house: House) -> Counted:
    """All lines of the package."""
    return Counted(sum(module.lines for module in house.modules.values()), "lines of the package")


COUNTS: dict[str, Callable[[House], Counted]] = {
    "entries": entries,
    "floors": floors,
    "circles": circles,
    "signatures": signatures,
    "isinstance": questions,
    "files": files,
    "functions": functions,
    "lines": lines,
}


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and what is over a bound; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.house", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the source tree")
    parser.add_argument("--package", default="composer", help="the package in it")
    parser.add_argument("--all", action="store_true", help="name every offender, within the bound too")
    chosen = parser.parse_args(arguments)
    house = House(chosen.root, chosen.package)
    failed = False
    for name, count in COUNTS.items():
        counted, bound = count(house), BOUNDS[name]
        over = counted.number > bound
        failed |= over
        print(f"{counted.number:>7,}  of {bound:>6,}  {counted.what}{'  TOO MANY' if over else ''}")
        for offence in counted.offenders if over or chosen.all else ():
            print(f"         {offence.path}:{offence.line}: {offence.what}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
