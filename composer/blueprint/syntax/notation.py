"""How a text names an experiment: ``FILE@VARIANT+VARIANT KEY=VALUE ~KEY``, on the command line and in Python.

A file whose own name contains ``@``, ``+`` or ``=`` is found under that name. Tests: tests/blueprint/test_notation.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import NamedTuple

from composer.blueprint.syntax.extends import find_blueprint
from composer.blueprint.syntax.overrides import COMMAND_LINE, TILDE
from composer.blueprint.syntax.problems import at_file
from composer.blueprint.syntax.variants import AND
from composer.spec.wording import quote

UNDER = "@"
"""Stands between a file and its variants."""


class Experiment(NamedTuple):
    """A file, the variants that are laid over it, and the overrides: the arguments of ``load``."""

    path: FilePath
    overrides: tuple[str, ...] = ()
    variant: str | None = None
    """The name of the combination, such as ``small+clipped``; None for the file itself."""


def experiment(file: str, overrides: Sequence[str] = (), variants: Sequence[str] = ()) -> Experiment:
    """The experiment that ``file`` names, perhaps with variants behind ``@``; ``variants`` come after those."""
    path, named = _split(file)
    return Experiment(find_blueprint(path), tuple(overrides), combination([*named, *variants]))


def experiments(arguments: Sequence[str]) -> list[Experiment]:
    """Several experiments, each a file with the overrides that follow it; raises BlueprintError."""
    return [experiment(file, overrides) for file, *overrides in grouped(arguments)]


def grouped(arguments: Sequence[str]) -> list[list[str]]:
    """The arguments as groups, each a file and the overrides that follow it; raises BlueprintError."""
    groups: list[list[str]] = []
    for text in arguments:
        if not _is_override(text):
            groups.append([text])
        elif groups:
            groups[-1].append(text)
        else:
            raise at_file(COMMAND_LINE, f"expected a blueprint before the override {quote(text)}")
    return groups


def selection(
    file: str, overrides: Sequence[str] = (), variants: Sequence[str] = (), listed: str | None = None
) -> tuple[FilePath, tuple[str, ...], list[str]]:
    """Several experiments on one file: its path, the overrides, and the combinations of variants.

    Either ``listed`` holds the combinations, comma-separated, or ``file`` and ``variants`` name one; without both the
    list is empty. Raises BlueprintError where both do.
    """
    chosen = experiment(file, overrides, variants)
    names = [] if listed is None else [name.strip() for name in listed.split(",")]
    if chosen.variant is not None:
        if names:
            message = f"variants are chosen twice: {quote(chosen.variant)} and the list {quote(listed or '')}"
            raise at_file(COMMAND_LINE, f"{message}; list all combinations, such as base,small,small{AND}clipped")
        names = [chosen.variant]
    return chosen.path, chosen.overrides, names


def combination(names: Sequence[str]) -> str | None:
    """The one name of several variants, in their order: ``small+clipped``; None for no variant."""
    return AND.join(names) if names else None


def names_in(variant: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names in a variant, in a combination of several, or in a list of them."""
    return () if variant is None else (variant,) if isinstance(variant, str) else tuple(variant)


def _is_override(text: str) -> bool:
    return (text.startswith(TILDE) or "=" in text) and not os.path.exists(text)


def _split(text: str) -> tuple[FilePath, list[str]]:
    """The file, and what follows its last ``@``; a text that names an existing file, or ends like one, is a file."""
    path, mark, names = text.rpartition(UNDER)
    if not mark or not path or os.path.exists(text) or text.endswith(".toml"):
        return FilePath(text), []
    return FilePath(path), [names]
