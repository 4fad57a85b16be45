"""The files of a package as text: what their names mean across files, which classes are kinds, who imports whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import grimp

PROTOCOLS = {"Collector": "training.collect", "Program": "algorithms"}
"""Classes outside of the families whose subclasses are kinds too, each with the kinds' own room."""


@dataclass(frozen=True)
class Module:
    """A file: its dotted name, its path below the root, its text as a tree, and what its imports' names mean."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> int:
        """The number of lines."""
        return self.text.count("\n")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def names(self) -> dict[str, str]:
        """The dotted name of everything that is imported or defined at the top, by its name in this file."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for each in node.names:
                    found[each.asname or each.name.partition(".")[0]] = (
                        each.name if each.asname else each.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                above = package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(filter(None, (above, node.module)))
                found |= {each.asname or each.name: f"{source}.{each.name}" for each in node.names}
        found |= {node.name: f"{self.name}.{node.name}" for node in self.tree.body if isinstance(node, ast.ClassDef)}
        found |= {name: f"{self.name}.{name}" for name in self.constants}
        return found

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What is assigned to a name at the top of the file."""
        return {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def dotted(self, node: ast.expr) -> str | None:
        """The dotted name that an expression such as ``schema.Blueprint`` means, as far as this file says."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Subscript):
            return self.dotted(node.value)
        owner = self.dotted(node.value) if isinstance(node, ast.Attribute) else None
        return f"{owner}.{node.attr}" if owner and isinstance(node, ast.Attribute) else None


class House:
    """The modules of one package below ``root``, and what the names in them mean across files."""

    def __init__(self, root: Path, package: str = "composer") -> None:
        self.root, self.package = root, package
        self.modules: dict[str, Module] = {}
        for path in sorted((root / package).rglob("*.py")):
            inside = path.relative_to(root)
            parts = inside.parent.parts if path.name == "__init__.py" else inside.with_suffix("").parts
            name = ".".join(parts)
            self.modules[name] = Module(name, inside, path.read_text(encoding="utf-8"))

    def room(self, name: str) -> str:
        """The room of a dotted name: its second part."""
        return name.split(".")[1] if "." in name else ""

    def is_in(self, module: Module, room: str) -> bool:
        """Whether a file belongs to a room such as ``networks`` or ``training.collect``."""
        return f"{module.name}.".startswith(f"{self.package}.{room}.")

    def home(self, name: str | None) -> str | None:
        """Where a dotted name is defined: packages that hand a name on are followed to its file."""
        while name:
            module, _, last = name.rpartition(".")
            further = self.modules[module].names.get(last) if module in self.modules else None
            if further is None or further == name:
                return name
            name = further
        return None

    @cached_property
    def classes(self) -> dict[str, tuple[Module, ast.ClassDef]]:
        """Every class at the top of a file, by its dotted name."""
        return {
            f"{module.name}.{node.name}": (module, node)
            for module in self.modules.values()
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
        }

    def bases(self, name: str) -> list[str]:
        """The dotted names of a class's bases that are classes of the package."""
        module, node = self.classes[name]
        return [found for base in node.bases if (found := self.home(module.dotted(base))) in self.classes]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The own room of every class that says of what kind something is: members of families and what they share."""
        roots = {name for name, (_, node) in self.classes.items() if _opens_a_family(node) or node.name in PROTOCOLS}
        closed = {name for root in roots for name in self.above(root)} | roots
        members = {name for name in self.classes if roots & {*self.above(name)}}
        shared = {base for name in members for base in self.above(name)}
        own = {
            name: room for name in members for base, room in PROTOCOLS.items() if base in map(_last, self.above(name))
        }
        return {name: own.get(name, self.room(name)) for name in (members | shared) - closed}

    def above(self, name: str) -> list[str]:
        """Every class of the package from which a class inherits."""
        return [found for base in self.bases(name) for found in (base, *self.above(base))]

    def asked(self, module: Module, node: ast.expr) -> Iterator[str]:
        """The dotted names of the classes in the second argument of ``isinstance``."""
        if isinstance(node, ast.Tuple):
            for each in node.elts:
                yield from self.asked(module, each.value if isinstance(each, ast.Starred) else each)
        elif isinstance(node, ast.BinOp):
            yield from self.asked(module, node.left)
            yield from self.asked(module, node.right)
        elif (name := self.home(module.dotted(node))) is not None:
            owner, _, constant = name.rpartition(".")
            value = self.modules[owner].constants.get(constant) if owner in self.modules else None
            yield from self.asked(self.modules[owner], value) if value is not None else (name,)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _opens_a_family(node: ast.ClassDef) -> bool:
    return any(keyword.arg == "family" for keyword in node.keywords)


def imports(house: House) -> Iterator[tuple[str, str]]:
    """Every import of one file of the package by another: importer, imported; those for types included."""
    sys.path.insert(0, str(house.root))
    try:
        graph = grimp.build_graph(house.package, exclude_type_checking_imports=False, cache_dir=None)
    finally:
        sys.path.remove(str(house.root))
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            yield importer, imported


def components(below: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of a graph: each node with all that it reaches and that reach it."""
    reached = {node: _reached(node, below) for node in below}
    found: dict[str, list[str]] = {}
    for node in sorted(below):
        leader = min([node, *(other for other in reached[node] if node in reached.get(other, ()))])
        found.setdefault(leader, []).append(node)
    return list(found.values())


def _reached(start: str, below: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [*below[start]]
    while waiting:
        if (node := waiting.pop()) not in seen:
            seen.add(node)
            waiting += below.get(node, ())
    return seen
