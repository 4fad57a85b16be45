"""Runs that train in one program: which they are, and their places in it, as each one's ``run.json`` holds it.

A run's numbers depend on its place and on how many seeds each place has, for a kernel may add up in another order where
more seeds are computed at once; they do not depend on what the other places hold. So a run resumes exactly in a
program of the same places, whoever else is still there. Tests: tests/faults/test_resume_together.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from composer.spec.errors import ComposerError
from composer.training.runs.directory import RunUnusable, read_facts

PROGRAM = "program"
"""The key of ``run.json``."""


class Sharer(NamedTuple):
    """The directory at a place of a program."""

    place: int
    path: Path


@dataclass(frozen=True)
class SharedProgram:
    """A program with several places, each with its seeds."""

    runs: tuple[str | None, ...]
    """The ``run_id`` of the run at each place; None where nobody is, for its run had been finished elsewhere."""
    seeds: tuple[int, ...]
    """How many seeds each place has."""

    def facts(self) -> dict[str, Any]:
        """The entry of ``run.json``, equal for all of its runs."""
        return {PROGRAM: {"runs": list(self.runs), "seeds": list(self.seeds)}}

    def provenance(self, run_id: str) -> dict[str, Any]:
        """What enters the provenance hash of a run: its place, and the size of every place."""
        return {PROGRAM: {"seeds": list(self.seeds), "place": self.runs.index(run_id)}}


def read_program(facts: Mapping[str, Any]) -> SharedProgram | None:
    """The program that a run shares by its ``run.json``; None of a run that trains alone. Raises RunUnusable."""
    held = facts.get(PROGRAM)
    if held is None:
        return None
    names, seeds = (held.get(key) for key in ("runs", "seeds"))
    sound = isinstance(names, list) and isinstance(seeds, list) and len(names) == len(seeds) > 1
    if not (
        sound
        and all(each is None or (isinstance(each, str) and Path(each).name == each) for each in names)
        and all(type(each) is int and 0 < each < 4_096 for each in seeds)
        and facts["run_id"] in names
    ):
        raise RunUnusable("run.json does not say which runs share the program of this one: it is damaged")
    return SharedProgram(tuple(names), tuple(seeds))


def program_provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the program of a run adds to its provenance hash; nothing where it trains alone."""
    program = read_program(facts)
    return {} if program is None else program.provenance(facts["run_id"])


def sharers(path: Path, program: SharedProgram) -> tuple[list[Sharer], list[str]]:
    """The directories of a program's runs, which lie beside ``path``, and the names of those that are gone."""
    found, gone = [], []
    for place, name in enumerate(program.runs):
        if name is None:
            continue
        try:
            is_it = read_facts(path.parent / name)["run_id"] == name
        except ComposerError:
            if (path.parent / name / "run.json").exists():  # Edited or damaged: its own error says how.
                raise
            is_it = False
        if is_it:
            found.append(Sharer(place, path.parent / name))
        else:
            gone.append(name)
    return found, gone
