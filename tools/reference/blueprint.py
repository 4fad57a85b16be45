"""The page of a blueprint's own keys: the top level and every table that is no kind.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import inspect

from composer.blueprint.inspect.kinds.names import tables
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.compose import BEFORE_VALIDATION
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
