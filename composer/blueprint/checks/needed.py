"""What an algorithm needs in a table that a file lacks. Tests: tests/errors/test_needs.py."""

from __future__ import annotations

from collections.abc import Mapping

from composer.algorithms.needs import needs
from composer.blueprint.checks.synonyms.case import Case


def needed_in(values: object, table: str) -> str:
    """What to add to the missing ``table``; empty where the algorithm or its environment is not known."""
    case = Case(values, (), table, None, values) if isinstance(values, Mapping) else None
    info = case.info if case else None
    if case is None or case.algorithm is None or info is None:
        return ""
    found = [each.addition for each in needs(case.algorithm, info) if each.key.startswith(f"{table}.")]
    return f"{case.kind} needs {' and '.join(found)}"
