"""The shapes and the size of a kind's example. Tests: tests/docs/test_reference.py."""

from __future__ import annotations

from pydantic import TypeAdapter

from composer.blueprint.inspect.parts_list import ACTIONS
from composer.networks.blocks.base import Block
from composer.networks.heads.base import Head
from composer.networks.outline import Outline
from composer.spec.family import Family
from composer.spec.quantities import counted, scaled, shape_text
from composer.spec.shape import Shape

FEATURES: Shape = (16,)
"""Input shape for the example of a head."""


def example_outline(member: type[Family]) -> Outline | None:
    """The outline of the example of a block or a head; None for other kinds."""
    if issubclass(member, Block):
        return TypeAdapter[Block](Block).validate_python(member.example).outline(member.example_input)
    if issubclass(member, Head):
        return TypeAdapter[Head](Head).validate_python(member.example).outline(FEATURES, ACTIONS)
    return None


def shapes(member: type[Family]) -> str:
    """Output shape and size of the example of a block or a head, in Markdown; empty for other kinds."""
    outline = example_outline(member)
    if outline is None:
        return ""
    size = counted(outline.count(), "parameter") if outline.count() else "no parameters"
    frozen = outline.count() - outline.count(trainable_only=True)
    size += f" ({frozen:,} frozen)" if frozen else ""
    flops = scaled(outline.total_flops(), "FLOP")
    given = f"`{shape_text(outline.input)}`" + (f" and {ACTIONS} actions" if issubclass(member, Head) else "")
    return f"The example on {given} gives `{shape_text(outline.output)}`: {size}, {flops} per sample forward."
