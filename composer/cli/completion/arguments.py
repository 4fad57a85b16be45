"""The functions that typer calls for the word at which TAB was pressed. A failure offers nothing, without a word.

Tests: tests/cli/completion/test_words.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import typer

from composer.cli.completion import files, keys
from composer.cli.completion.vocabulary import vocabulary

_TAKE_STUDIES = ("scale", "cp")
"""Commands that take studies where others take blueprints alone."""
Completion = Callable[[typer.Context, str], list[str]]


def _safe(function: Callable[[typer.Context, str], Iterable[str]]) -> Completion:
    @wraps(function)
    def run(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [*dict.fromkeys(each for each in function(ctx, incomplete) if each.startswith(incomplete))]
        except Exception:  # Nobody who pressed TAB asked for a traceback.
            return []

    return run


def _named(ctx: typer.Context) -> str:
    """The blueprint of the line. Where an option still lacks its value, the parser leaves it among the words."""
    return ctx.params.get("blueprint") or (ctx.args[0] if ctx.args else "")


@_safe
def blueprint(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """A blueprint, and after ``@`` and ``+`` its variants."""
    name, mark, named = incomplete.rpartition("@")
    if mark:
        return _combinations(name, named, f"{name}@")
    return [*files.blueprints(incomplete), *_studies_too(ctx, incomplete)]


def _combinations(name: str, named: str, before: str) -> list[str]:
    """Variants of a blueprint after those that ``named`` has already."""
    first, mark, _ = named.rpartition("+")
    taken = first.split("+")
    return [f"{before}{first}{mark}{each}" for each in files.variants(name) if each not in taken]


@_safe
def blueprints(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Blueprints, each with overrides after it."""
    before = [word for word in ctx.params.get("blueprints") or ctx.params.get("what") or () if not _is_override(word)]
    is_override = "=" in incomplete or incomplete.startswith("~")
    found = [] if is_override else blueprint(ctx, incomplete)
    return [*found, *(_overrides(before[-1], (), incomplete) if before else ())]


def _studies_too(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    return files.studies(incomplete) if ctx.command.name in _TAKE_STUDIES else ()


@_safe
def overrides(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Keys of the schema with ``=`` after them, a level at a time, and their values."""
    return _overrides(_named(ctx), ctx.params.get("variant") or (), incomplete)


@_safe
def run_overrides(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The same, of the blueprint of a run."""
    path = os.path.join(ctx.params["run"], "blueprint.toml")
    return keys.words(incomplete, vocabulary()["schema"], files.written(path))


@_safe
def key(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """A key or a table of a blueprint."""
    return keys.dotted(incomplete, vocabulary()["schema"], _written(_named(ctx), ()))


def _overrides(named: str, variants: Iterable[str], incomplete: str) -> list[str]:
    return keys.words(incomplete, vocabulary()["schema"], _written(named, variants))


def _written(named: str, variants: Iterable[str]) -> dict[str, Any]:
    """What a blueprint with its variants writes."""
    name, _, behind = named.partition("@")
    table = dict(files.written(name))
    known = table.pop("variants", {})
    for each in (*behind.split("+"), *(name for given in variants for name in given.split("+"))):
        table = files.layered(table, known.get(each, {}))
    return table


def _is_override(word: str) -> bool:
    return (word.startswith("~") or "=" in word) and not os.path.exists(word)


@_safe
def variant(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Variants of the blueprint, joined by ``+``."""
    return _combinations(_named(ctx).partition("@")[0], incomplete, "")


@_safe
def variants(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Combinations of variants, separated by commas."""
    before, mark, last = incomplete.rpartition(",")
    name = _named(ctx).partition("@")[0]
    found = ["base", *_combinations(name, last, "")]
    return (f"{before}{mark}{each}" for each in found if each not in before.split(","))


@_safe
def run(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Run directories."""
    return files.runs(incomplete)


@_safe
def study(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Studies."""
    return files.studies(incomplete)


@_safe
def kind(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Families, kinds and tables."""
    return vocabulary()["names"]


@_safe
def algorithm(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Kinds of algorithms."""
    return vocabulary()["algorithms"]


@_safe
def environment(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Tasks, kinds of environments and data sets."""
    return vocabulary()["environments"]


@_safe
def part(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Named parts."""
    return vocabulary()["parts"]


def one_of(*words: str) -> Completion:
    """Fixed words."""

    @_safe
    def fixed(ctx: typer.Context, incomplete: str) -> Iterable[str]:
        return words

    return fixed
