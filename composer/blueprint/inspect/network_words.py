"""A network in a few words, from how it was written: ``simba, width 128, 1 block``.

Tests: tests/blueprint/inspect/test_note.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from composer.blueprint.inspect.as_written import side
from composer.blueprint.inspect.call_text import NAMED_BY, callee
from composer.blueprint.schema import Blueprint
from composer.spec.quantities import counted, scaled

LONGEST: Final = 100
"""Characters of a trunk in words."""


def network_words(blueprint: Blueprint) -> dict[str, str]:
    """By role: its trunk and its head with their sizes, and the parameters of one seed, all copies."""
    written = side(blueprint).table["networks"]
    return {role: _network(blueprint, role, written[role]) for role in blueprint.sound_outlines}


def _network(blueprint: Blueprint, role: str, written: Mapping[str, Any]) -> str:
    copies = blueprint.networks[role].copies
    count = blueprint.sound_outlines[role].count() * copies
    trunk = shortened(words(written["trunk"]), LONGEST)
    return f"{f'{copies} × ' if copies > 1 else ''}{trunk}; head {words(written['head'])}; {scaled(count)} parameters"


def words(value: Any) -> str:
    """A block or a head by its name and sizes, without other settings; blocks in a row with an arrow between them."""
    if isinstance(value, list):
        return " → ".join(words(each) for each in value)
    name = callee(value) or ""
    inner = next((value[key] for key in ("block", "layers") if key in value), None)
    if inner is not None and isinstance(value.get("times", 1), int):
        times = value.get("times", 1)
        return f"{times} × ({words(inner)})" if times > 1 else words(inner)
    return ", ".join([name, *_sizes(value)])


def _sizes(table: Mapping[str, Any]) -> Iterator[str]:
    """``width 128``, ``1 block``."""
    for key, value in table.items():
        if key not in NAMED_BY and isinstance(value, int) and not isinstance(value, bool):
            noun = key.replace("_", " ")
            yield counted(value, noun.removesuffix("s")) if noun.endswith("s") else f"{noun} {value:,}"


def shortened(text: str, longest: int) -> str:
    """A text that may be cut, with an ellipsis where it was."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
