"""The object of ``kinds --json``. Tests: tests/blueprint/inspect/test_kinds.py."""

from __future__ import annotations

import inspect
from typing import Any

from composer.blueprint.inspect.kinds.example import example_outline
from composer.blueprint.inspect.kinds.fields import keys
from composer.blueprint.inspect.kinds.names import families, find, plural
from composer.blueprint.inspect.show import size_table
from composer.spec.family import Family, Spec


def kinds_json(name: str | None = None) -> dict[str, Any]:
    """All families, or the families, kinds and tables that a name means; raises UnknownNameError."""
    found = find(name) if name is not None else [*families().values()]
    members = [each for each in found if issubclass(each, Family)]
    return {
        "families": [_family(each) for each in members if not each.kind],
        "kinds": [_kind(each) for each in members if each.kind],
        "tables": [_spec(each) for each in found if not issubclass(each, Family)],
    }


def _family(family: type[Family]) -> dict[str, Any]:
    listed = [{"kind": kind, "summary": member.summary()} for kind, member in family.kinds().items()]
    about = {"family": plural(family.family), "documentation": inspect.getdoc(family) or ""}
    return {**about, "shorthands": list(family.shorthands()), "kinds": listed}


def _kind(member: type[Family]) -> dict[str, Any]:
    outline = example_outline(member)
    size = size_table(outline) if outline else None
    about = {"kind": member.kind, "family": plural(member.family), **_spec(member)}
    return {**about, "example": dict(member.example), "size": size}


def _spec(spec: type[Spec]) -> dict[str, Any]:
    named = [key._asdict() for key in keys(spec)]
    return {"name": spec.__name__, "module": spec.__module__, "documentation": inspect.getdoc(spec), "keys": named}
