"""The page of a family: its documentation, a table of its kinds and a section for each.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from composer.algorithms.base import Algorithm
from composer.algorithms.needs import needs
from composer.blueprint.inspect.kinds.example import shapes
from composer.blueprint.syntax.write import toml_value
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Family
from tools.reference.fields import fields_table
from tools.reference.markdown import anchor, code, page, prose, table

INFOS = {
    actions: EnvironmentInfo((8,), 4, 1_000, 1, True, discrete=actions == "choices")
    for actions in ("numbers", "choices")
}
"""Environments by what actions are in them."""
_ROOT = Path(__file__).resolve().parents[2]


def family_page_text(family: type[Family], members: Sequence[type[Family]]) -> str:
    """The whole page."""
    short = [f"a {name}" for name in family.shorthands()]
    shorthand = f"A table with `kind`, or {' or '.join(short)}, is accepted." if short else ""
    rows = [[f"[`{member.kind}`](#{anchor(member.kind)})", prose(member.summary())] for member in members]
    sections = [section(member) for member in members]
    return page(
        f"# {family.noun().capitalize()}",
        prose(inspect.getdoc(family) or ""),
        shorthand,
        table(["kind", ""], rows),
        *sections,
        "[All families](README.md)",
    )


def section(member: type[Family]) -> str:
    """The section of a kind: documentation, example, shapes, keys, source."""
    return page(
        f"## {member.kind}",
        prose(inspect.getdoc(member) or ""),
        code("\n".join(f"{key} = {toml_value(value)}" for key, value in member.example.items())),
        shapes(member),
        needs_table(member) if issubclass(member, Algorithm) else "",
        fields_table(member),
        f"Code: {source(member)}",
    )


def needs_table(member: type[Algorithm]) -> str:
    """What an algorithm's example needs with numbers or with choices as actions, and an entry that fits."""
    algorithm = member.model_validate({key: value for key, value in member.example.items() if key != "kind"})
    told = [(need, actions) for actions, info in INFOS.items() for need in needs(algorithm, info)]
    order = ("networks", "averages", "optimizers")
    rows = []
    for need in sorted(dict.fromkeys(need for need, _ in told), key=lambda need: order.index(need.key.split(".")[0])):
        where = [actions for other, actions in told if other == need]
        only = f", where actions are {where[0]}" if len(where) < len(INFOS) else ""
        rows.append([f"`{need.key}`", f"{need.what}{only}", f"`{need.addition}`"])
    return table(["needs", "", "such as"], rows)


def source(member: type[Family]) -> str:
    """A link to the file of a kind, or the name of its module where that is not composer's."""
    path = Path(inspect.getfile(member)).resolve()
    if not path.is_relative_to(_ROOT / "composer"):
        return f"`{member.__module__}`"
    name = path.relative_to(_ROOT).as_posix()
    return f"[{name}](../../{name})"
