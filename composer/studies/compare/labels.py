"""Names that the caller of ``composer compare`` gives to agents. Tests: tests/studies/test_compare.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from composer.spec.quantities import counted
from composer.studies import Refused
from composer.studies.compare.read_runs import Agent, Reading, told_apart


def labelled(readings: Sequence[Reading], labels: Sequence[str]) -> list[Reading]:
    """The readings with their agents told apart, and named by ``labels``; raises Refused.

    ``GLOB=NAME`` names the runs whose directory, or the last part of it, fits the glob; where several fit, the last
    counts. Labels without a glob name the agents in the order in which their runs are given.
    """
    patterns = [label.rsplit("=", 1) for label in labels if "=" in label]
    names = [label for label in labels if "=" not in label]
    if patterns and names:
        raise Refused("labels are either all GLOB=NAME or all NAME, in the order of the runs")
    unused = [glob for glob, _ in patterns if not any(_fits(reading, glob) for reading in readings)]
    if unused:
        runs = ", ".join(sorted({reading.path.name for reading in readings}))
        raise Refused(f"no run fits the label {unused[0]!r}; there are {runs}")
    found = told_apart([_named(reading, patterns) for reading in readings])
    if not names:
        return found
    agents = list(dict.fromkeys(reading.agent for reading in found))
    if len(names) != len(agents) or len(set(names)) != len(names):
        listed = ", ".join(map(str, agents))
        different = "different " if len(names) == len(agents) else ""
        raise Refused(f"{counted(len(names), 'label')}, but {len(agents)} {different}agents need one each: {listed}")
    by_agent = {agent: Agent(name, None) for agent, name in zip(agents, names, strict=True)}
    return [replace(reading, agent=by_agent[reading.agent]) for reading in found]


def _named(reading: Reading, patterns: Sequence[Sequence[str]]) -> Reading:
    fitting = [name for glob, name in patterns if _fits(reading, glob)]
    return replace(reading, agent=Agent(fitting[-1], None)) if fitting else reading


def _fits(reading: Reading, glob: str) -> bool:
    return fnmatchcase(str(reading.path), glob) or fnmatchcase(reading.path.name, glob)
