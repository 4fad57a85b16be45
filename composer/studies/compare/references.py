"""Tables of ``registry/references/``: scores that count as 0 and as 1, and results that others have published.

Each names its citation and the file that its numbers come from. Tests: tests/studies/test_references.py.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

from composer.spec.interval import Bounds
from composer.spec.package_files import registry_root
from composer.spec.wording import suggestion
from composer.studies import Refused

FORMAT = 1
FOLDER = "references"


@dataclass(frozen=True)
class Constants:
    """Scores of tasks that count as 0 and as 1."""

    name: str
    title: str
    """What a normalised score is called."""
    description: str
    citation: str
    url: str
    environments: tuple[str, ...]
    """The kinds of environment that have these tasks."""
    metrics: tuple[str, ...]
    tasks: Mapping[str, tuple[float, float]]
    """By the name of a task, or a glob."""
    only_by_name: bool = False
    """Whether ``--normalize auto`` leaves it out."""
    without: tuple[str, ...] = ()
    """Globs of tasks that have no constants."""

    def of(self, environment: str, task: str, metric: str) -> tuple[float, float] | None:
        """The scores that count as 0 and as 1, or None where the table does not have them."""
        if environment not in self.environments or metric not in self.metrics:
            return None
        if any(fnmatchcase(task, each) for each in self.without):
            return None
        return next((pair for each, pair in self.tasks.items() if fnmatchcase(task, each)), None)


class PublishedScore(NamedTuple):
    """What a source says of a method on a task at a step."""

    mean: float
    deviation: float
    """Standard deviation over seeds, with n - 1."""
    seeds: int


@dataclass(frozen=True)
class Published:
    """Results of a publication, by method, task and environment step."""

    name: str
    title: str
    description: str
    citation: str
    url: str
    license: str
    protocol: str
    """How the source trains and evaluates, in words."""
    action_repeat: Mapping[str, int]
    """By a glob of tasks; the first that fits counts."""
    episodes: int
    """Of an evaluation."""
    main: str
    """The method that the publication proposes."""
    metrics: tuple[str, ...]
    titles: Mapping[str, str]
    """Names of methods for people."""
    scores: Mapping[str, Mapping[str, Mapping[int, PublishedScore]]]

    def chosen(self, methods: str) -> tuple[str, ...]:
        """The methods that ``METHOD,METHOD`` means: ``main`` where it is empty, every one for ``all``.

        Raises Refused, which suggests similar names.
        """
        if methods == "all":
            return tuple(self.titles)
        named = tuple(methods.split(",")) if methods else (self.main,)
        for each in named:
            if each not in self.titles:
                raise Refused(f"{self.name} has no method named {each!r}{suggestion(each, ['all', *self.titles])}")
        return named

    def repeat(self, task: str) -> int:
        """The source's action repeat on a task."""
        return next(repeat for each, repeat in self.action_repeat.items() if fnmatchcase(task, each))


@cache
def constants() -> Mapping[str, Constants]:
    """All tables of constants by name."""
    found = {name: table for name in reference_names() if "tasks" in (table := _read(name))}
    return {name: _constants(name, dict(table)) for name, table in found.items()}


@cache
def published(name: str) -> Published:
    """The published results called ``name``; raises Refused, which suggests similar names."""
    known = [each for each in reference_names() if "methods" in _read(each)]
    if name not in known:
        raise Refused(f"no published results named {name!r}{suggestion(name, known)}")
    table = dict(_read(name))
    steps, methods = table.pop("steps"), table.pop("methods")
    titles = {method: rows["title"] for method, rows in methods.items()}
    scores = {
        method: {task: _scores(steps, cells) for task, cells in rows.items() if task != "title"}
        for method, rows in methods.items()
    }
    return Published(name, **{**table, "metrics": tuple(table["metrics"])}, titles=titles, scores=scores)


def reference_names() -> tuple[str, ...]:
    """Names of all tables, sorted."""
    return tuple(sorted(path.stem for path in (registry_root() / FOLDER).glob("*.toml")))


def chosen_constants(name: str) -> Sequence[Constants]:
    """The tables that ``--normalize NAME`` means; raises Refused.

    ``auto`` means every one that applies by itself, ``none`` none.
    """
    known = constants()
    if name == "auto":
        return tuple(table for table in known.values() if not table.only_by_name)
    if name == "none":
        return ()
    if name not in known:
        raise Refused(f"no constants named {name!r}{suggestion(name, ['auto', 'none', *known])}")
    return (known[name],)


def is_share(bounds: Bounds) -> bool:
    """Whether a metric is within 0 and 1 already: an accuracy, a rate of success."""
    return math.isclose(bounds[0], 0) and math.isclose(bounds[1], 1)


def _constants(name: str, table: dict[str, Any]) -> Constants:
    pairs = {task: (float(low), float(high)) for task, (low, high) in table.pop("tasks").items()}
    metrics, without, kinds = tuple(table.pop("metrics")), tuple(table.pop("without", ())), table.pop("environment")
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return Constants(name, **table, environments=kinds, metrics=metrics, without=without, tasks=pairs)


def _scores(steps: Sequence[int], cells: Sequence[Sequence[float]]) -> dict[int, PublishedScore]:
    """A method's scores on a task at the steps at which the source has them."""
    pairs = zip(steps, cells, strict=True)
    return {step: PublishedScore(float(cell[0]), float(cell[1]), int(cell[2])) for step, cell in pairs if cell}


@cache
def _read(name: str) -> dict[str, Any]:
    path = registry_root() / FOLDER / f"{name}.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if (version := table.pop("reference", None)) != FORMAT:
        raise ValueError(f"{path}: this table is of format {version}; composer reads format {FORMAT}")
    return table
