"""The page of parts: every part of the registry with parameters, size and an example.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from composer.blueprint.inspect.parts_list import example, try_out
from composer.blueprint.inspect.show_text import size_text
from composer.blueprint.syntax.nodes import plain
from composer.blueprint.syntax.parts import Part
from composer.blueprint.syntax.write import toml_value
from composer.spec.quantities import shape_text
from tools.reference.fields import family_page
from tools.reference.markdown import anchor, code, page, prose, table

_ABOUT = """\
A part is a TOML file that stands for a table: `{ use = "simba", width = 128 }` is replaced by the part's body, with the
given parameters and defaults for the others. `composer parts NAME` prints a part, `composer check FILE` checks one."""


def parts_page(parts: Sequence[Part]) -> str:
    """The whole page."""
    folders: dict[str, list[Part]] = {}
    for part in parts:
        folders.setdefault(PurePosixPath(part.file).parent.name, []).append(part)
    tables = [
        piece
        for folder, found in sorted(folders.items())
        for piece in (f"**{folder}**", table(["part", "stands for", ""], [_row(part) for part in found]))
    ]
    return page("# Parts", _ABOUT, *tables, *map(_section, parts), "[All families](README.md)")


def _row(part: Part) -> list[str]:
    return [f"[`{part.name}`](#{anchor(part.name)})", _family(part), prose(_as_code(part.description))]


def _section(part: Part) -> str:
    trial = try_out(part)
    size = ""
    if trial is not None:
        shapes = f"`{shape_text(trial.outline.input)}` → `{shape_text(trial.outline.output)}`"
        size = f"At its defaults: {shapes}, {size_text(trial.outline)}."
    rows = [[f"`{name}`", f"`{toml_value(plain(node))}`"] for name, node in part.parameters.items()]
    return page(
        f"## {part.name}",
        prose(_as_code(part.description)),
        code(example(part, trial)),
        size,
        table(["parameter", "default"], rows) if rows else "",
        f"Source: {prose(_as_code(part.source))}",
        f"Needs the plug-in `{part.plugin}`." if part.plugin else f"File: [{part.file}](../../{part.file})",
    )


def _family(part: Part) -> str:
    page_of = "blueprint.md" if part.family in ("network", "average", "intervention") else family_page(part.family)
    return f"[{part.family.replace('_', ' ')}]({page_of})"


def _as_code(text: str) -> str:
    """Double the single backticks of parts, as in docstrings."""
    return text.replace("`", "``")
