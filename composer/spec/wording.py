"""The parts of messages: values as text, near names, lists. Tests: tests/errors/."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

INTEGERS = range(-(2**63), 2**63)
INTEGER_RULE = "must be in -2^63 to 2^63-1"
"""The integers of TOML, and what a message says of others."""
MAX_CANDIDATES = 1_000
"""Most names that ``near`` compares, in ten milliseconds."""


def describe(value: object) -> str:
    """A TOML value with its type: ``string "256"``."""
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "list", dict: "table"}
    name = names.get(type(value), type(value).__name__)
    if isinstance(value, list | dict):
        return name
    return f"{name} {written(value)}"


def written(value: object) -> str:
    """A scalar as TOML writes it, shortened: ``0.99``, ``true``, ``"adam"``."""
    if isinstance(value, bool):
        return str(value).lower()
    return quote(value) if isinstance(value, str) else shorten(str(value))


def spelled(name: object) -> str:
    """A name in single quotes, shortened, with non-ASCII letters escaped; other values as by ``describe``."""
    return ascii(shorten(name)) if isinstance(name, str) else describe(name)


def quote(text: str) -> str:
    """``text`` in double quotes on one line, shortened, with unprintable characters escaped."""
    return printable(json.dumps(shorten(text), ensure_ascii=False))


def printable(text: str) -> str:
    """``text`` with control and direction characters escaped, which would disturb a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shorten(text: str, limit: int = 60) -> str:
    """``text``, or its beginning and its length where it is longer than ``limit``."""
    return text if len(text) <= limit else f"{text[: limit - 20]}... ({len(text)} characters)"


def near(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name closest to ``name``, if one is close; capitals and hyphens do not count.

    Equal names have a closeness of 1; ``cutoff`` is the least.
    """
    candidates = sorted(known)[:MAX_CANDIDATES]
    folded = {_folded(candidate): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(_folded(name[:100]), sorted(folded), n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'layer_norm'?`` where a near name exists, else the list of known names."""
    names = sorted(known)
    meant = near(name, names)
    return f"; did you mean {meant!r}?" if meant else f"; one of {listing(names)}"


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names in quotes; of more than ``limit``, the count of the rest."""
    ordered = sorted(names)
    shown = ", ".join(repr(name) for name in ordered[:limit]) or "(none)"
    return shown if len(ordered) <= limit else f"{shown} and {len(ordered) - limit} more"


def with_article(noun: str) -> str:
    """The noun with its indefinite article: ``a block``, ``an optimizer``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
