"""Problems of a blueprint: where, what is wrong, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from composer.blueprint.syntax.nodes import Origin
from composer.spec.errors import ComposerError
from composer.spec.wording import printable, shorten

MAX_MESSAGE = 600
"""Longest message, in characters."""
MAX_NOTES = 8
"""Most notes of an origin (references and parts that a value came through) in one message."""


@dataclass(frozen=True, order=True)
class Problem:
    """One problem. Printed as ``file:line:column: key.path: message; hint (cause)``.

    ``path`` is empty where the whole file is meant, ``hint`` where nobody knows what was meant, ``cause`` where the
    problem follows from no override, variant or child, and replaces no inherited value.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    cause: str = ""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        cause = f" ({self.cause})" if self.cause else ""
        return printable(f"{self.file}:{self.line}:{self.column}: {path}{self.message}{hint}{cause}")

    def as_warning(self) -> str:
        """One line, in which the word ``warning`` follows the location."""
        place = f"{self.file}:{self.line}:{self.column}:"
        return f"{place} warning:{str(self).removeprefix(printable(place))}"

    def as_dict(self) -> dict[str, str | int]:
        """The entry of ``--json``."""
        return asdict(self)


class BlueprintError(ComposerError, ValueError):
    """A blueprint that cannot be used; ``problems`` lists everything that is wrong with it, in order of lines."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = ordered(problems)
        super().__init__("\n".join(map(str, self.problems)))


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """Problems by file, line and column; of equal problems at one location, the first.

    What has no location, such as a table composed in Python, is at 1:1: there the path tells problems apart.
    """
    first: dict[tuple[str, int, int, str, str], Problem] = {}
    for found in sorted(problems):
        path = found.path if (found.line, found.column) == (1, 1) else ""
        first.setdefault((found.file, found.line, found.column, found.message, path), found)
    return list(first.values())


def problem(origin: Origin, path: str, message: str, hint: str = "") -> Problem:
    """A problem at ``origin``, with the origin's notes (variant, override, part) after the message."""
    notes = "".join(f" ({note})" for note in origin.notes[:MAX_NOTES])
    return Problem(origin.file, origin.line, origin.column, path, shorten(message, MAX_MESSAGE) + notes, hint)


def at_file(file: str, message: str, line: int = 1, column: int = 1, hint: str = "") -> BlueprintError:
    """The error of a ``file`` that cannot be read beyond one location."""
    return BlueprintError([Problem(file, line, column, "", message, hint)])
