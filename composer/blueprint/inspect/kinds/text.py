"""The text of ``kinds``: all families, one family, one kind, or one table of a blueprint.

Tests: tests/blueprint/inspect/test_kinds.py.
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterator

from composer.blueprint.inspect.kinds.example import shapes
from composer.blueprint.inspect.kinds.fields import Key, keys
from composer.blueprint.inspect.kinds.names import families, find, plural, table_name, tables
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec
from composer.spec.quantities import counted

_INDENT = "    "
_MORE = """\
composer kinds FAMILY lists its kinds, composer kinds KIND the keys of one. A kind is written in code, kind = "linear";
a part is a TOML file that combines kinds, use = "simba": composer parts."""


def kinds_text(name: str | None = None, width: int | None = None) -> str:
    """The families, or what a name means, in lines of at most ``width``; raises UnknownNameError."""
    width = max(40, min(width or shutil.get_terminal_size((100, 24)).columns, 120))
    pieces = _overview(width) if name is None else [_about(each, width) for each in find(name)]
    return "\n\n".join(pieces)


def _overview(width: int) -> list[str]:
    rows = [(name, f"{len(family.kinds())}", _plain(family.summary())) for name, family in families().items()]
    declared = ", ".join(table_name(each) for each in tables())
    return [
        "\n".join(line for row in rows for line in _row(f"{row[0]:<19}{row[1]:>2}  ", row[2], width)),
        _filled(f"Tables that are no kinds: {declared}.", width),
        _filled(_MORE, width),
    ]


def _about(spec: type[Spec], width: int) -> str:
    if not issubclass(spec, Family):
        return "\n\n".join([f"{table_name(spec)} (a table)", _documentation(spec, width), _keys(spec, width)])
    return _kind(spec, width) if spec.kind else _family(spec, width)


def _family(family: type[Family], width: int) -> str:
    forms = [f"a {name}" for name in (*family.shorthands(), "table with 'kind'")]
    written = f"Written as {' or '.join(forms)}." if len(forms) > 1 else ""
    size = max((len(kind) for kind in family.kinds()), default=0) + 2
    listed = [
        line
        for kind, member in family.kinds().items()
        for line in _row(f"{kind:<{size}}", _plain(member.summary()), width)
    ]
    heading = f"{plural(family.family)} ({counted(len(family.kinds()), 'kind')})"
    return "\n\n".join(filter(None, [heading, _documentation(family, width), written, "\n".join(listed)]))


def _kind(member: type[Family], width: int) -> str:
    example = "\n".join(f"{_INDENT}{key} = {toml_value(value)}" for key, value in member.example.items())
    size = shapes(member).replace("`", "")
    module = f"{member.__module__.replace('.', '/')}.py"
    pieces = [
        f"{plural(member.family)}/{member.kind}",
        _documentation(member, width),
        _keys(member, width),
        f"example:\n{example}",
        _filled(size, width),
        f"code: {module}",
    ]
    return "\n\n".join(filter(None, pieces))


def _keys(spec: type[Spec], width: int) -> str:
    found: list[Key] = list(keys(spec))
    lines: list[str] = []
    size = max((len(key.name) for key in found), default=0) + 2
    for key in found:
        default = key.note or f"default {key.default}"
        lines.extend(_row(f"{key.name:<{size}}", f"{key.accepts}; {default}", width, under=_INDENT * 2))
        for paragraph in _paragraphs(key.meaning):
            lines.extend(textwrap.wrap(paragraph, width, initial_indent=_INDENT, subsequent_indent=_INDENT))
    return "\n".join(["keys:", *lines]) if lines else "no keys"


def _documentation(spec: type[Spec], width: int) -> str:
    return "\n\n".join(_filled(each, width) for each in _paragraphs(inspect.getdoc(spec) or ""))


def _paragraphs(text: str) -> list[str]:
    return [" ".join(_plain(each).split()) for each in text.strip().split("\n\n") if each.strip()]


def _row(left: str, words: str, width: int, under: str = "") -> Iterator[str]:
    indent = under or " " * len(left)
    yield from textwrap.wrap(words, width, initial_indent=left, subsequent_indent=indent, break_on_hyphens=False)


def _filled(words: str, width: int) -> str:
    return textwrap.fill(" ".join(words.split()), width, break_on_hyphens=False)


def _plain(text: str) -> str:
    return text.replace("``", "")
