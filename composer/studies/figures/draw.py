"""Which figures are drawn of a comparison, from the numbers in its table, and the files that they are written to.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from composer.spec.interval import method
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.studies.compare.compare import Comparison
from composer.studies.compare.groups import Group
from composer.studies.figures.curves import curves, looks_of, names_of, seeds_of
from composer.studies.figures.heat import at_step, heat
from composer.studies.figures.intervals import aggregates, improvement
from composer.studies.figures.lines import efficiency, profiles
from composer.studies.figures.performance import estimate, performance
from composer.studies.figures.sheet import Sheet, in_words, write_pages
from composer.studies.plots import SUFFIXES, Look, check
from composer.studies.profiles import Line, grid, performance_profile, sample_efficiency
from composer.studies.statistics import Estimate, Scores

STATISTICS: Final = {"iqm": "IQM", "median": "median", "mean": "mean", "optimality_gap": "optimality gap"}


@dataclass(frozen=True)
class Wanted:
    """The figures that are asked for."""

    kinds: tuple[str, ...] = ()
    """Empty: those that fit the options and the file."""
    x: str | None = None
    """The x axis of ``scatter``."""
    rows: str | None = None
    columns: str | None = None
    """The axes of ``heat``."""

    def checked(self) -> Self:
        """Itself; raises Refused for a kind that there is not, and for an option without its figure."""
        for option, value, kind in (("--x", self.x, "scatter"), ("--rows", self.rows, "heat")):
            if value is not None and self.kinds and kind not in self.kinds:
                raise Refused(f"{option} is for --figure {kind}, got --figure {', '.join(self.kinds)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise Refused(f"no figure {kind!r}{suggestion(kind, KINDS)}; there are {', '.join(KINDS)}")
        if (self.rows is None) != (self.columns is None):
            raise Refused("a heat map needs both --rows and --columns")
        if "heat" in self.kinds and self.rows is None:
            raise Refused("--figure heat needs --rows KEY and --columns KEY, such as task and variant")
        return self

    def for_file(self, comparison: Comparison, suffix: str) -> tuple[str, ...]:
        """The kinds that are drawn: one into a picture, all that fit into a page."""
        if self.kinds:
            return self.kinds
        asked = [*(["heat"] if self.rows else []), *(["scatter"] if self.x else [])]
        return tuple(asked) if asked and suffix != ".html" else (*fitting(comparison, suffix), *asked)


def fitting(comparison: Comparison, suffix: str = ".html") -> tuple[str, ...]:
    """The kinds that show something of the comparison, without those that need an option; curves in a picture."""
    if suffix != ".html":
        return ("curves",)
    agents, over = {group.agent for group in comparison.groups}, comparison.table["all_tasks"]
    if len(agents) == 1:
        return ("curves",)
    if len(comparison.table["tasks"]) > 1 and (over is None or len(over["agents"]) < 2):
        return ("curves",)
    return ("curves", "aggregates", "profile", "efficiency", "improvement")


def draw(comparison: Comparison, wanted: Wanted, suffix: str) -> list[Sheet]:
    """The figures, drawn; raises Refused."""
    return [KINDS[kind](comparison, wanted) for kind in wanted.for_file(comparison, suffix)]


def write(sheets: Sequence[Sheet], path: Path) -> list[Path]:
    """Write figures to a picture each, or to the pages of one PDF; returns the files."""
    check(path, SUFFIXES)
    if path.suffix == ".pdf" and len(sheets) > 1:
        write_pages(sheets, path)
        return [path]
    files = [path] if len(sheets) == 1 else [path.with_stem(f"{path.stem}-{sheet.name}") for sheet in sheets]
    for sheet, file in zip(sheets, files, strict=True):
        sheet.write(file)
    return files


def _curves(comparison: Comparison, wanted: Wanted) -> Sheet:
    del wanted
    return curves(comparison.groups, comparison.table["metric"])


def _heat(comparison: Comparison, wanted: Wanted) -> Sheet:
    return heat(comparison, wanted.rows or "", wanted.columns or "")


def _scatter(comparison: Comparison, wanted: Wanted) -> Sheet:
    return performance(comparison, wanted.x or "parameters")


def _aggregates(comparison: Comparison, wanted: Wanted) -> Sheet:
    del wanted
    names = names_of(comparison.groups)
    rows = {names[row["agent"]]: _estimates(row) for row in _rows(comparison)}
    common = [name for name in STATISTICS.values() if all(name in each for each in rows.values())]
    shown = {agent: {name: each[name] for name in common} for agent, each in rows.items()}
    return aggregates(shown, _looks(comparison), f"{_score(comparison)}: {method()}, line: estimate.")


def _estimates(row: Mapping[str, Any]) -> dict[str, Estimate]:
    """Of an agent over all tasks, or on the only one."""
    flat = {**row.get("final", {}), **row, **(row.get("normalized") or {})}
    return {name: estimate(flat[key]) for key, name in STATISTICS.items() if flat.get(key) is not None}


def _profile(comparison: Comparison, wanted: Wanted) -> Sheet:
    del wanted
    rows, names = _rows(comparison), names_of(comparison.groups)
    if _over(comparison) is not None:
        lines = {names[row["agent"]]: _line(row["performance_profile"]) for row in rows}
    else:
        scores = {names[row["agent"]]: Scores.of(row["final"]["by_seed"]) for row in rows}
        at = grid(list(scores.values()))
        lines = {agent: performance_profile(each, at) for agent, each in scores.items()}
    score, what = _score(comparison), in_words(comparison.table["metric"])
    return profiles(lines, _looks(comparison), what, f"{score}: share of seeds above each score; band: 95% interval.")


def _efficiency(comparison: Comparison, wanted: Wanted) -> Sheet:
    del wanted
    names = names_of(comparison.groups)
    if _over(comparison) is not None:
        found = {names[row["agent"]]: row["sample_efficiency"] for row in _rows(comparison)}
        lines = {agent: _line(line) for agent, line in found.items() if line is not None}
    else:
        lines = {names[str(group.agent)]: sample_efficiency([group.curve]) for group in comparison.groups}
    if not lines:
        raise Refused("no sample efficiency: the tasks have no environment step in common")
    what = in_words(comparison.table["metric"])
    caption = f"{_score(comparison)}: interquartile mean over seeds; band: {method()}."
    return efficiency(lines, _looks(comparison), f"IQM of {what}", caption)


def _improvement(comparison: Comparison, wanted: Wanted) -> Sheet:
    del wanted
    over = _over(comparison)
    pairs = over["pairs"] if over is not None else comparison.table["tasks"][0]["pairs"]
    if not pairs:
        raise Refused("a probability of improvement needs two agents that ran the same tasks")
    names = names_of(comparison.groups)
    found = [
        (names[pair["left"]], names[pair["right"]], estimate(pair["probability_of_improvement"])) for pair in pairs
    ]
    caption = f"{_score(comparison)}: P(a seed of the first scores higher than one of the second), 95% score interval."
    return improvement(found, caption)


KINDS: Final[Mapping[str, Callable[[Comparison, Wanted], Sheet]]] = {
    "curves": _curves,
    "aggregates": _aggregates,
    "profile": _profile,
    "efficiency": _efficiency,
    "improvement": _improvement,
    "scatter": _scatter,
    "heat": _heat,
}


def _over(comparison: Comparison) -> Mapping[str, Any] | None:
    """The table over all tasks; None for one task. Raises Refused where several have no common scale."""
    over, tasks = comparison.table["all_tasks"], comparison.table["tasks"]
    if len(tasks) == 1:
        return None
    if over is None or not over["agents"]:
        raise Refused(
            "nothing is aggregated over these tasks: their scores have no common scale, or no agent ran all of them;"
            " --normalize names a table of constants"
        )
    return dict(over)


def _rows(comparison: Comparison) -> Sequence[Mapping[str, Any]]:
    over = _over(comparison)
    return list(over["agents"]) if over is not None else list(comparison.table["tasks"][0]["agents"])


def agent_looks(comparison: Comparison) -> dict[str, Look]:
    """How each agent is drawn in all figures of a comparison, by the name that tables give it."""
    return {str(agent): look for agent, look in looks_of(comparison.groups).items()}


def _looks(comparison: Comparison) -> dict[str, Look]:
    names = names_of(comparison.groups)
    return {names[agent]: look for agent, look in agent_looks(comparison).items()}


def _score(comparison: Comparison) -> str:
    """What is aggregated, in words."""
    over, groups = _over(comparison), comparison.groups
    what = in_words(comparison.table["metric"])
    if over is None:
        return f"{what} on {groups[0].task} {at_step(comparison)}, {seeds_of(groups)}"
    scale = "" if over["scores"] == "raw" else f" ({over['scores']})"
    mine: list[Group] = [group for group in groups if group.task in over["tasks"]]
    return f"{what}{scale} over {len(over['tasks'])} tasks {at_step(comparison)}, {seeds_of(mine)} per task"


def _line(line: Mapping[str, Sequence[float | None]]) -> Line:
    """A line of a table, which has None for NaN."""
    return Line(*(np.array([np.nan if x is None else x for x in line[name]], np.float64) for name in Line._fields))
