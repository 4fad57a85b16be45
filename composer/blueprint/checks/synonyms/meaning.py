"""Find what a key of another library, or of ours at a wrong place, is called here, and write it out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from composer.blueprint.checks.synonyms.case import Case, folded
from composer.blueprint.checks.synonyms.table import ROLE, SYNONYMS, TASK, WRAPPERS, Synonym
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import read_path, show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec

MAX_VALUE = 200
"""Longest value that a message writes out."""
TABLES = ("environment", "algorithm", "replay", "training", "evaluation", "checkpoint", "compute", "normalization")
"""Tables in which a key of ours that stands elsewhere is looked for."""

OWN = (("interventions",), ("penalties",), ("diagnostics",), ("tracking",))
"""Tables that no other library has, where names of others mean nothing."""


class Setting(NamedTuple):
    """A key of ours, with its value where that can be told."""

    key: str
    value: object = None


class Meaning(NamedTuple):
    """What a key is called here."""

    settings: tuple[Setting, ...]
    why: str = ""

    def text(self, on_command_line: bool) -> str:
        """What to write: as overrides on the command line, as ``KEY = VALUE`` in a file."""
        if not self.settings:
            return self.why
        written = [_written(setting, on_command_line) for setting in self.settings]
        joined = (" " if on_command_line else " and ").join(dict.fromkeys(written))
        return f"write {joined}" + (f": {self.why}" if self.why else "")

    def paths(self) -> Iterator[Path]:
        """Our keys and the tables around them, as paths."""
        for setting in self.settings:
            path = read_path(setting.key) or ()
            yield from (path[:length] for length in range(1, len(path) + 1))


def meaning(values: object, table: Path, name: str) -> Meaning | None:
    """What ``name``, an unknown key of ``table``, is called here; None where nobody knows it."""
    if not isinstance(values, Mapping) or table[:1] in OWN:
        return None
    around: Any = values
    for step in table:
        around = around.get(step) if isinstance(around, Mapping) else None
    if not isinstance(around, Mapping):
        return None
    case = Case(values, table, name, around.get(name), around)
    if folded(name) in WRAPPERS and isinstance(case.given, Mapping):
        return _unwrapped(case, case.given)
    found = next((each for each in SYNONYMS if _fits(each, case)), None)
    return _converted(found, case) if found else _misplaced(case)


def _unwrapped(case: Case, inner: Mapping[str, Any]) -> Meaning | None:
    """All keys of a table of another library, which its keys see side by side."""
    found: dict[str, Setting] = {}
    for name in list(inner)[:16]:
        one = Case(case.values, case.table, str(name), inner[name], {**case.around, **inner})
        synonym = next((each for each in SYNONYMS if _fits(each, one)), None)
        told = _converted(synonym, one) if synonym else _misplaced(one)
        found |= {setting.key: setting for setting in (told.settings if told else ())}
    return Meaning(tuple(found.values())) if found else None


def _fits(synonym: Synonym, case: Case) -> bool:
    kinds, table = synonym.kinds, case.table[:1]
    is_of_kind = not kinds or case.kind in kinds
    return is_of_kind and synonym.within in ("", *table) and folded(case.name) in synonym.names.split()


def _converted(synonym: Synonym, case: Case) -> Meaning:
    settings = [
        Setting(key, synonym.value(case.of(role))) for pattern in synonym.keys for key, role in _expanded(pattern, case)
    ]
    return Meaning(tuple(settings), synonym.why)


def _expanded(pattern: str, case: Case) -> Iterator[tuple[str, str]]:
    """The keys of a pattern, with their roles."""
    if TASK in pattern:
        key = case.environment.task_key if case.environment else ""
        yield pattern.replace(TASK, key or "id"), ""
    elif ROLE in pattern:
        for role in case.roles(pattern.partition(".")[0]):
            yield pattern.replace(ROLE, show_path((role,))), role
    else:
        yield pattern, ""


def _misplaced(case: Case) -> Meaning | None:
    """A key of ours that belongs to another table, under the kinds that the blueprint has chosen."""
    homes = [table for table in TABLES if case.name in _fields(case, table)]
    if case.name in Blueprint.model_fields:
        return Meaning((Setting(case.name, case.given),)) if case.table else None
    if not homes or case.table[:1] == (homes[0],):
        return None
    return Meaning((Setting(f"{homes[0]}.{case.name}", case.given),))


def _fields(case: Case, table: str) -> Mapping[str, object]:
    spec: Any = Blueprint.model_fields[table].annotation
    if issubclass(spec, Family):
        written = case.values.get(table)
        kind = written.get("kind") if isinstance(written, Mapping) else None
        spec = spec.kinds().get(kind, Spec) if isinstance(kind, str) else Spec
    fields: Mapping[str, object] = spec.model_fields
    return fields


def _written(setting: Setting, on_command_line: bool) -> str:
    value = "" if setting.value is None else toml_value(setting.value)
    if not value or len(value) > MAX_VALUE:
        return setting.key
    return shlex.quote(f"{setting.key}={value}") if on_command_line else f"{setting.key} = {value}"
