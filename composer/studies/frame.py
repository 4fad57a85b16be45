"""``composer.read``: every value of runs, one a row, as a pandas DataFrame. Tests: tests/studies/test_frame.py."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.blueprint.inspect.agent_name import plain_name
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.execution.ledger import LEDGER, runs_in
from composer.studies.study.points import name_of
from composer.tracking.journal import JournalRow
from composer.tracking.journal import read as read_rows
from composer.tracking.records import JOURNAL, RUN, TIMING
from composer.training.runs.directory import read_facts

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("run", "agent", "blueprint", "variants", "task", "study", "point")
"""Columns that say which run a row is of, as the tags of MLflow do; each is empty where it does not apply."""
NO_SEED = -1
NO_TIME = -(2**63)


def read(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], metrics: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Read every value of one or more runs, also of runs that still train, one value a row.

    ``runs`` is a run directory, a folder of run directories, a study's folder (its finished runs), a glob of these, or
    a list of them. ``metrics`` keeps those metrics only: names as in the journal, such as ``"evaluation/return"``, or
    globs such as ``"evaluation/*"``. Columns:

    - ``run`` (name of the directory), ``agent`` (equal for runs that train the same agent), ``blueprint``,
      ``variants``, ``task``, ``study`` and ``point``: categories; empty where there is none.
    - ``seed``: ``Int64``; missing in rows that belong to no seed, such as speed.
    - ``env_step``: ``int64``. ``metric``: a category; an intervention that fired is ``events/NAME``.
    - ``value``: ``float64``, bit for bit as in the journal, not finite where it was not.
    - ``time``: when the run had reached this environment step, in UTC; missing where no time was written.

    A journal that is damaged, or whose last row is half written, is read up to there, and a warning says so. Raises
    Refused where there is no run or no such metric, and RunUnusable for a folder that is no run.
    """
    patterns = [metrics] if isinstance(metrics, str) else metrics
    table = _Table()
    for each in _found(runs):
        table.add(each, patterns)
    if patterns is not None:
        table.check(patterns)
    return table.frame()


class _Run(NamedTuple):
    """A run directory, with the study in whose folder it was found, and its point there."""

    path: Path
    study: str | None = None
    point: str | None = None

    def texts(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        own = facts.get("study", {})
        variant = facts["variant"] or ""
        agent = facts.get("agent", plain_name(facts["name"], facts["variant"]))
        study = self.study or own.get("name", "")
        point = own.get("label", "") if self.point is None else self.point
        return self.path.resolve().name, agent, facts["name"], variant, facts["task"], study, point


@dataclass
class _Table:
    """The columns while they grow, as numbers: texts and metrics by their index."""

    runs: list[tuple[str, ...]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    """The metrics that are kept, with their index."""
    left: set[str] = field(default_factory=set)
    """The metrics that are not kept."""
    run: array[int] = field(default_factory=lambda: array("q"))
    seed: array[int] = field(default_factory=lambda: array("q"))
    step: array[int] = field(default_factory=lambda: array("q"))
    metric: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    time: array[int] = field(default_factory=lambda: array("q"))

    def add(self, found: _Run, patterns: Sequence[str] | None) -> None:
        """Add the rows of a run."""
        self.runs.append(found.texts(read_facts(found.path)))
        timing = list(_rows(found.path / TIMING))
        times: dict[int, int] = {}
        for row in timing:
            times.setdefault(row["env_step"], int(row["time"] * 1000))
        for row in _rows(found.path / JOURNAL):
            self._add(row, _values(row), times, patterns)
        given: set[tuple[int, str]] = set()
        for row in timing:  # A resumed run repeats steps: this journal is not cut back.
            values = [each for each in _values(row) if (row["env_step"], each[0]) not in given]
            given |= {(row["env_step"], name) for name, _ in values}
            self._add(row, values, times, patterns)

    def _add(
        self,
        row: JournalRow,
        values: Iterable[tuple[str, float]],
        times: Mapping[int, int],
        patterns: Sequence[str] | None,
    ) -> None:
        step, seed = row["env_step"], row.get("seed")
        for name, value in values:
            index = self._index(name, patterns)
            if index is None:
                continue
            self.run.append(len(self.runs) - 1)
            self.seed.append(NO_SEED if seed is None else seed)
            self.step.append(step)
            self.metric.append(index)
            self.value.append(value)
            self.time.append(times.get(step, NO_TIME))

    def _index(self, name: str, patterns: Sequence[str] | None) -> int | None:
        """The index of a metric; None for one that is not kept."""
        if name in self.left:
            return None
        if name not in self.names:
            if patterns is not None and not any(fnmatchcase(name, pattern) for pattern in patterns):
                self.left.add(name)
                return None
            self.names[name] = len(self.names)
        return self.names[name]

    def check(self, patterns: Sequence[str]) -> None:
        """Raise Refused for a pattern that no metric of the runs fits."""
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in self.names):
                names = sorted(self.left | self.names.keys())
                known = ", ".join(names) or "none"
                raise Refused(f"no run has a metric {pattern!r}{suggestion(pattern, names)}; they have {known}")

    def frame(self) -> pd.DataFrame:
        """The table of pandas."""
        import numpy as np
        import pandas as pd

        run, seed = np.array(self.run, np.int64), np.array(self.seed, np.int64)
        columns: dict[str, Any] = {}
        for place, name in enumerate(TEXTS):
            texts = [each[place] for each in self.runs]
            known = {text: code for code, text in enumerate(dict.fromkeys(texts))}
            codes = np.array([known[text] for text in texts], np.int64)
            columns[name] = pd.Categorical.from_codes(codes[run], list(known))
        return pd.DataFrame(
            {
                **columns,
                "seed": pd.arrays.IntegerArray(seed, seed == NO_SEED),
                "env_step": np.array(self.step, np.int64),
                "metric": pd.Categorical.from_codes(np.array(self.metric, np.int64), list(self.names)),
                "value": np.array(self.value, np.float64),
                "time": pd.DatetimeIndex(np.array(self.time, np.int64).view("datetime64[ms]"), tz="UTC"),
            }
        )


def _found(runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[_Run]:
    """The runs that are meant, each once; raises Refused where a place has none."""
    places = [runs] if isinstance(runs, str | os.PathLike) else runs
    found: dict[Path, _Run] = {}
    for place in places:
        here = list(_at(Path(place)))
        if not here:
            raise Refused(f"there is no run in {os.fspath(place)}")
        for each in here:
            found.setdefault(each.path.resolve(), each)
    if not found:
        raise Refused("no run is named")
    return list(found.values())


def _at(place: Path) -> Iterator[_Run]:
    if not place.exists() and any(sign in str(place) for sign in "*?["):
        for each in sorted(glob(str(place))):
            if Path(each).is_dir():
                yield from _at(Path(each))
    elif (place / LEDGER).is_file():
        for path, study in runs_in(place).items():
            yield _Run(path, place.resolve().name, name_of(study["point"]) if study else None)
    elif (place / RUN).exists():
        yield _Run(place)
    elif place.is_dir():
        inside = sorted(path.parent for path in place.glob(f"*/{RUN}") if not path.parent.name.startswith("."))
        yield from map(_Run, inside)


def _values(row: JournalRow) -> Iterator[tuple[str, float]]:
    if row["type"] == "event":
        yield f"events/{row['name']}", row.get("firings", 1)
    else:
        yield from row["metrics"].items()


def _rows(path: Path) -> Iterator[JournalRow]:
    """The rows of a journal; a warning says where it cannot be read to its end."""
    reader = read_rows(path)
    yield from reader
    if reader.problem is not None:
        warnings.warn(f"{path}: read up to {reader.problem}", stacklevel=2)
