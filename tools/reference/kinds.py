"""The page of a family: its documentation, a table of its kinds and a section for each.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from composer.blueprint.inspect.parts_list import ACTIONS
from composer.blueprint.syntax.write import toml_value
from composer.networks.blocks.base import Block
from composer.networks.heads.base import Head
from composer.networks.outline import Outline
from composer.spec.family import Family
from composer.spec.quantities import counted, scaled, shape_text
from composer.spec.shape import Shape
from tools.reference.fields import fields_table
from tools.reference.markdown import anchor, code, page, prose, table

FEATURES: Shape = (16,)
"""Input shape for the example of a head."""
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
        fields_table(member),
        f"Code: {source(member)}",
    )


def shapes(member: type[Family]) -> str:
    """Output shape and size of the example of a block or a head; empty for other kinds."""
    outline = example_outline(member)
    if outline is None:
        return ""
    size = counted(outline.count(), "parameter") if outline.count() else "no parameters"
    frozen = outline.count() - outline.count(trainable_only=True)
    size += f" ({frozen:,} frozen)" if frozen else ""
    flops = scaled(outline.total_flops(), "FLOP")
    given = f"`{shape_text(outline.input)}`" + (f" and {ACTIONS} actions" if issubclass(member, Head) else "")
    return f"The example on {given} gives `{shape_text(outline.output)}`: {size}, {flops} per sample forward."


def example_outline(member: type[Family]) -> Outline | None:
    """The outline of the example of a block or a head; None for other kinds."""
    if issubclass(member, Block):
        return TypeAdapter[Block](Block).validate_python(member.example).outline(member.example_input)
    if issubclass(member, Head):
        return TypeAdapter[Head](Head).validate_python(member.example).outline(FEATURES, ACTIONS)
    return None


def source(member: type[Family]) -> str:
    """A link to the file of a kind, or the name of its module where that is not composer's."""
    path = Path(inspect.getfile(member)).resolve()
    if not path.is_relative_to(_ROOT / "composer"):
        return f"`{member.__module__}`"
    name = path.relative_to(_ROOT).as_posix()
    return f"[{name}](../../{name})"
