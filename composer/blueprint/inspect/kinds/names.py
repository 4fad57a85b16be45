"""What a name means: a family, kinds of that name, or a table of a blueprint.

Tests: tests/blueprint/inspect/test_kinds.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.parts import parts
from composer.spec import builtin_kinds
from composer.spec.errors import ComposerError
from composer.spec.family import FAMILIES, Family, Spec
from composer.spec.wording import listing, near, spelled, suggestion


class UnknownNameError(ComposerError, LookupError):
    """No family, kind or table has the name."""

    exit_code = 2


def plural(family: str) -> str:
    """``blocks``, ``penalties``, ``data``."""
    if family == "data":
        return family
    return f"{family[:-1]}ies" if family.endswith("y") else f"{family}s"


def families() -> dict[str, type[Family]]:
    """Every family by its plural, in alphabetical order."""
    builtin_kinds.register()
    return {plural(name): family for name, family in sorted(FAMILIES.items())}


def find(name: str) -> list[type[Spec]]:
    """The families, kinds and tables that a name means: ``blocks``, ``block``, ``residual``, ``blocks/residual``.

    Raises UnknownNameError with near names, and with parts of the name.
    """
    known = families()
    of, mark, kind = name.partition("/")
    family = known.get(of) or FAMILIES.get(of)
    if mark and family is not None:
        if kind in family.kinds():
            return [family.kinds()[kind]]
        hint = suggestion(kind, family.kinds())
        raise UnknownNameError(f"no {family.noun()} is called {spelled(kind)}{hint}")
    found: list[type[Spec]] = [family] if family is not None else []
    found += [each.kinds()[name] for each in known.values() if name in each.kinds()]
    found += [each for each in tables() if table_name(each) == name]
    if not found:
        raise UnknownNameError(f"no kind and no family is called {spelled(name)}{_elsewhere(name)}")
    return found


def known_names() -> list[str]:
    """Every name that ``find`` knows, without families before kinds."""
    kinds = {kind for family in FAMILIES.values() for kind in family.kinds()}
    return sorted({*families(), *kinds, *map(table_name, tables())})


def _elsewhere(name: str) -> str:
    """What else has the name, or a near one."""
    known, named, word = known_names(), [*parts()], name.casefold().removesuffix("s")
    if name in named:
        return f": it is a part, see 'composer parts {name}'"
    groups = {"kinds": [each for each in known if word in each], "parts": [each for each in named if word in each]}
    if len(word) > 2 and any(groups.values()):
        return "; " + ", ".join(f"{what}: {listing(found, 6)}" for what, found in groups.items() if found)
    meant = near(name, [*known, *named])
    if meant in named:
        return f"; did you mean the part {meant!r} ('composer parts {meant}')?"
    return f"; did you mean {meant!r}?" if meant else "; 'composer kinds' lists all families"


def table_name(spec: type[Spec]) -> str:
    """The name of a table that is no kind: ``training``, ``action_noise``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", spec.__name__).lower()


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
