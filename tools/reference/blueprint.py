"""The page of a blueprint's own keys: the top level and every table that is no kind.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.compose import BEFORE_VALIDATION
from composer.spec.family import FAMILIES, Family, Spec
from tools.reference.fields import fields_table
from tools.reference.markdown import page, prose, table

_BEFORE = "These keys are processed before validation:"


def blueprint_page() -> str:
    """The whole page."""
    sections = [
        page(f"## {spec.__name__}", prose(inspect.getdoc(spec) or ""), fields_table(spec))
        for spec in tables()
        if spec is not Blueprint
    ]
    return page(
        "# Blueprint",
        prose(inspect.getdoc(Blueprint) or ""),
        fields_table(Blueprint),
        _BEFORE,
        table(["key", "meaning"], [[f"`{name}`", text] for name, text in BEFORE_VALIDATION.items()]),
        *sections,
        "[All families](README.md)",
    )


def tables() -> list[type[Spec]]:
    """Blueprint, then the specs in its fields and in those of composer's kinds that are no kinds, in order of keys."""
    found: dict[type[Spec], None] = {}

    def visit(spec: type[Spec]) -> None:
        if spec not in found:
            found[spec] = None
            inside(spec)

    def inside(spec: type[Spec]) -> None:
        for field in spec.model_fields.values():
            for inner in _specs(field.annotation):
                visit(inner)

    visit(Blueprint)
    # Sorted, since families are registered in order of import.
    for _, family in sorted(FAMILIES.items()):
        for _, kind in sorted(family.kinds().items()):
            if kind.__module__.partition(".")[0] == "composer":
                inside(kind)
    return list(found)


def _specs(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec) and not issubclass(annotation, Family):
        yield annotation
    for argument in get_args(annotation):
        yield from _specs(argument)
