"""Problems of a blueprint, and how they are told: where, what, and what was meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from composer.blueprint.syntax.nodes import Origin
from composer.spec.wording import printable, shorten

MAX_MESSAGE = 600
"""Longest message, in characters: what a file repeats a thousand times is not."""
MAX_NOTES = 8
"""Ways of one value through references and parts that are told; more lead nowhere new."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a blueprint. ``path`` is a key's path, empty where the whole file is meant.

    Printed as ``file:line:column: key.path: message``. ``hint`` is what was probably meant, where that is known.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return printable(f"{self.file}:{self.line}:{self.column}: {path}{self.message}{hint}")

    def as_dict(self) -> dict[str, str | int]:
        """For ``--json``."""
        return asdict(self)


class BlueprintError(ValueError):
    """A blueprint that cannot be used; ``problems`` says everything that is wrong with it, in order of lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = ordered(problems)
        super().__init__("\n".join(map(str, self.problems)))


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """By file, line and column; one value that is wrong in the same way at several paths is told at the first."""
    first: dict[tuple[str, int, int, str], Problem] = {}
    for found in sorted(problems):
        first.setdefault((found.file, found.line, found.column, found.message), found)
    return list(first.values())


def problem(origin: Origin, path: str, message: str, hint: str = "") -> Problem:
    """A problem at ``origin``, whose notes (variant, override, part) are told after the message."""
    notes = "".join(f" ({note})" for note in origin.notes[:MAX_NOTES])
    return Problem(origin.file, origin.line, origin.column, path, shorten(message, MAX_MESSAGE) + notes, hint)


def at_file(file: str, message: str, line: int = 1, column: int = 1) -> BlueprintError:
    """The one problem that kept ``file`` from being read any further."""
    return BlueprintError([Problem(file, line, column, "", message)])
