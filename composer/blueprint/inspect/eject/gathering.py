"""Collects the definitions that networks need from all modules behind them, renamed where names clash.

Tests: tests/blueprint/eject/test_sources.py.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable, Iterator, Mapping

from composer.blueprint.inspect.eject.scopes import module_names
from composer.blueprint.inspect.eject.sources import EjectError, Import, ModuleSource, Statement

TopLevelName = tuple[str, str]
"""A module, and a name that it defines or imports at its top."""


class Gathered:
    """The statements and imports of a file. ``roots`` are top packages whose source may be copied."""

    def __init__(self, roots: Collection[str]) -> None:
        self._roots = roots
        self._sources: dict[str, ModuleSource] = {}
        self._needed: dict[str, set[Statement]] = {}
        self.imports: dict[TopLevelName, Import] = {}
        """Imports that stay, by the module and local name that need them."""

    def take(self, module: str, name: str) -> None:
        """Add the ``name`` of ``module``, and everything that its definition needs; raises EjectError."""
        source = self._source(module)
        if name in source.imports:
            self._take_import(module, source.imports[name])
        elif name in source.by_name:
            statement = source.by_name[name]
            if statement not in self._needed.setdefault(module, set()):
                self._needed[module].add(statement)
                for node in module_names(statement.node):
                    self.take(module, node.id)
        elif not hasattr(builtins, name):
            raise EjectError(f"{module} has no {name!r} at its top")

    def import_whole(self, module: str) -> None:
        """Add an import of the printed file itself: ``torch.nn`` as ``from torch import nn``."""
        parent, _, name = module.rpartition(".")
        self.imports["", module] = Import(parent or name, name if parent else "", name)

    def sections(self) -> Iterator[tuple[ModuleSource, list[Statement]]]:
        """Modules in order of import, each with the statements that are needed, in the order of the source."""
        order: list[str] = []
        seen: set[str] = set()
        for module in sorted(self._needed):
            self._visit(module, seen, order)
        for module in order:
            source, needed = self._sources[module], self._needed.get(module, set())
            if needed:
                yield source, [statement for statement in source.statements if statement in needed]

    def names(self, reserved: Iterable[str]) -> Mapping[TopLevelName, str]:
        """The name in the file of everything that is imported or defined, by the module and the name it has there.

        The first to come keeps its name; ``reserved`` ones are taken.
        """
        given: dict[TopLevelName, str] = {}
        owners: dict[str, object] = dict.fromkeys(reserved)
        for key, imported in sorted(self.imports.items()):
            given[key] = _free(imported.local, imported.module, (imported.module, imported.name), owners)
        for source, statements in self.sections():
            for name in (name for statement in statements for name in statement.names):
                given[source.name, name] = _free(name, source.name, (source.name, name), owners)
        for module, source in self._sources.items():
            for local, imported in source.imports.items():
                origin = self._origin(imported)
                if origin in given:
                    given.setdefault((module, local), given[origin])
        return given

    def _origin(self, imported: Import) -> TopLevelName:
        """Where an import of copied source leads, through modules that pass it on."""
        source = self._sources.get(imported.module)
        onward = source.imports.get(imported.name) if source else None
        return self._origin(onward) if onward else (imported.module, imported.name)

    def _take_import(self, module: str, imported: Import) -> None:
        if imported.stays:
            self.imports[module, imported.local] = imported
        elif imported.name and imported.module.partition(".")[0] in self._roots:
            self.take(imported.module, imported.name)
        else:
            raise EjectError(f"{module} uses {imported.module!r}, which a file of plain torch cannot hold")

    def _visit(self, module: str, seen: set[str], order: list[str]) -> None:
        if module in seen:
            return
        seen.add(module)
        for imported in self._source(module).imports.values():
            if imported.module in self._sources:
                self._visit(imported.module, seen, order)
        order.append(module)

    def _source(self, module: str) -> ModuleSource:
        if module not in self._sources:
            self._sources[module] = ModuleSource(module)
        return self._sources[module]


def _free(name: str, module: str, what: object, owners: dict[str, object]) -> str:
    """``name``, or one made of it and its module where something else has it."""
    stem = module.rpartition(".")[2]
    if name.isupper():
        longer = f"{stem.upper()}_{name}"
    elif name[:1].isupper():
        longer = "".join(part.capitalize() for part in stem.split("_")) + name
    else:
        longer = f"{'_' if name.startswith('_') else ''}{stem}_{name.lstrip('_')}"
    for candidate in (name, longer, *(f"{longer}_{number}" for number in range(2, 100))):
        if owners.setdefault(candidate, what) == what:
            return candidate
    raise EjectError(f"too many things are called {name!r}")
