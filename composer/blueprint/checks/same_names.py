"""Several blueprints under one name. Tests: tests/blueprint/test_warnings.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from composer.blueprint.serialize import digest
from composer.blueprint.syntax.problems import Problem, problem

if TYPE_CHECKING:
    from composer.blueprint.load import Loaded


def same_names(found: Iterable[Loaded]) -> Iterator[Problem]:
    """Warnings of blueprints that have the name and the variants of another one, and differ from it."""
    first: dict[tuple[str, str | None], Loaded] = {}
    for each in found:
        other = first.setdefault((each.blueprint.name, each.variant), each)
        if other.origin("name") != each.origin("name") and digest(other.blueprint) != digest(each.blueprint):
            message = f"{other.origin('name').file} is called {each.blueprint.name!r} too, and is another experiment"
            yield problem(each.origin("name"), "name", message, "give each a name of its own")
