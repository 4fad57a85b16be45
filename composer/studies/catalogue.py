"""``composer list``: blueprints and studies, those that ship and those of the working folder.

Tests: tests/studies/test_catalogue.py.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from composer.blueprint.inspect.catalogue import Cost, Entry, entry, local_files
from composer.blueprint.inspect.purpose import UNKNOWN, Purpose, purpose_of
from composer.blueprint.syntax.extends import shipped
from composer.blueprint.syntax.problems import BlueprintError
from composer.blueprint.syntax.read import read_tree
from composer.spec.errors import ComposerError
from composer.spec.quantities import counted, duration, scaled
from composer.spec.wording import quote, suggestion
from composer.studies.study.axes import read_axes
from composer.studies.study.load import shipped_studies

NOTE = "Times are guesses for a CPU, perhaps ten times off. composer list PATTERN shows variants and sources."
HERE = "in this folder"


class NothingFound(ComposerError, LookupError):
    """No blueprint and no study has the words that were looked for."""

    exit_code = 2


@dataclass(frozen=True)
class StudyEntry:
    """A study."""

    name: str
    file: Path
    about: Purpose = UNKNOWN
    axes: tuple[str, ...] = ()
    runs: int = 0
    """Points times tasks, each with all its seeds; 0 where that follows from a suite."""
    problem: str = ""


def found(pattern: str | None, folder: Path) -> list[Entry | StudyEntry]:
    """The entries whose name, purpose, source or variants have ``pattern``, a word or a glob of names; or all.

    Those of ``folder`` come first. Raises NothingFound with a near name.
    """
    blueprints = {**local_files(folder, "blueprint"), **shipped()}
    studies = {**local_files(folder, "study"), **shipped_studies()}
    entries: list[Entry | StudyEntry] = [entry(name, file) for name, file in blueprints.items()]
    entries += [_study(name, file) for name, file in studies.items()]
    chosen = [each for each in entries if pattern is None or _matches(each, pattern)]
    if pattern is not None and not chosen:
        names = [*blueprints, *studies]
        raise NothingFound(f"no blueprint and no study has {quote(pattern)}{suggestion(pattern, names)}")
    return chosen


def _study(name: str, file: Path) -> StudyEntry:
    try:
        about, tree = purpose_of(file), read_tree(file, str(file))
        axes = read_axes(tree)
    except BlueprintError as error:
        return StudyEntry(name, file, problem=str(error.problems[0]))
    if axes.problems:
        return StudyEntry(name, file, about, problem=str(axes.problems[0]))
    tasks = tree.get(("tasks",))
    several = len(tasks.value) if tasks is not None and isinstance(tasks.value, list) else 1
    runs = 0 if tree.get(("suite",)) else max(len(axes.combinations), 1) * several
    return StudyEntry(name, file, about, tuple(axes.values), runs)


def _matches(each: Entry | StudyEntry, pattern: str) -> bool:
    texts = (each.name, *each.about, *(each.variants if isinstance(each, Entry) else each.axes))
    folded = pattern.casefold()
    return fnmatchcase(each.name, pattern) or any(folded in text.casefold() for text in texts)


def table(entries: Iterable[Entry | StudyEntry]) -> dict[str, Any]:
    """The object of ``--json``."""
    rows = [*entries]
    return {
        "blueprints": [_row(each) | _costs(each.cost) for each in rows if isinstance(each, Entry)],
        "studies": [_row(each) | {"runs": each.runs} for each in rows if isinstance(each, StudyEntry)],
    }


def _row(each: Entry | StudyEntry) -> dict[str, Any]:
    more = ("variants", each.variants) if isinstance(each, Entry) else ("axes", each.axes)
    about = {"name": each.name, **each.about._asdict(), "file": str(each.file)}
    return {**about, more[0]: list(more[1]), "problem": each.problem or None}


def _costs(cost: Cost | None) -> dict[str, Any]:
    return {"cost": None if cost is None else asdict(cost)}


def text(entries: Iterable[Entry | StudyEntry], is_whole: bool, width: int | None = None) -> str:
    """A line with the cost and one with the purpose per entry; with ``is_whole`` variants and source too."""
    width = max(min(width or shutil.get_terminal_size((100, 24)).columns, 120), 40)
    groups: dict[str, list[str]] = {}
    for each in sorted(entries, key=lambda each: _group(each) != HERE and "/" in each.name):
        groups.setdefault(_group(each), []).extend(_lines(each, is_whole, width))
    head = _columns("", ("variants", "steps", "parameters", "time"))
    return "\n\n".join([head, *("\n".join(lines) for lines in groups.values()), textwrap.fill(NOTE, width)])


def _group(each: Entry | StudyEntry) -> str:
    return HERE if each.name.endswith(".toml") else each.name.rpartition("/")[0]


def _lines(each: Entry | StudyEntry, is_whole: bool, width: int) -> Iterator[str]:
    yield _columns(each.name, _cells(each)).rstrip()
    yield from _filled(each.problem or each.about.purpose, width)
    if not is_whole or each.problem:
        return
    named = ("variants", each.variants) if isinstance(each, Entry) else ("axes", each.axes)
    if named[1]:
        yield from _filled(f"{named[0]}: {', '.join(named[1])}", width)
    if isinstance(each, Entry) and each.cost is not None:
        seeds, updates = counted(each.cost.seeds, "seed"), counted(each.cost.updates, "update")
        yield from _filled(f"run: {each.cost.env_steps:,} environment steps, {updates}, {seeds}", width)
    if each.about.source:
        yield from _filled(f"source: {each.about.source}", width)


def _columns(name: str, cells: Sequence[str]) -> str:
    return f"{name:<27}" + "".join(f"{cell:>{size}}" for cell, size in zip(cells, (8, 9, 12, 10), strict=False))


def _cells(each: Entry | StudyEntry) -> tuple[str, ...]:
    if isinstance(each, StudyEntry):
        return ("", counted(each.runs, "run")) if each.runs else ()
    variants, cost = str(len(each.variants) or ""), each.cost
    if cost is None:
        return (variants,)
    return variants, scaled(cost.env_steps), scaled(cost.parameters), duration(cost.seconds)


def _filled(words: str, width: int) -> Iterator[str]:
    indent = "    "
    yield from textwrap.wrap(words, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
