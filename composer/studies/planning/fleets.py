"""Which runs of a study train in one program without being asked: those for which that is measured to pay.

It follows from the study alone, never from what is finished or from how busy a machine is: where more is computed at
once, sums are taken in another order, so that the last digits of a run depend on its program. A run that is finished
already leaves its place in the program empty. Figures: docs/benchmarks/fleets.md. Tests:
tests/studies/planning/test_fleets.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import allocated
from composer.blueprint.forecast.one_program import common_key
from composer.studies.execution.outcome import Unit
from composer.studies.study.points import StudyRun
from composer.training.assemble import device_for
from composer.training.compile.capture import COLD_COMPILE_UPDATES

SHARED = 0.42
"""Share of an interaction of a small network that an update takes whatever its size: it is paid once a program."""
FLOPS = 4e8
"""Operations of an update at which that share is half as large."""
WORTH = 1.25
"""Runs share a program where alone they take at least this many times as long."""
SIZES = (8, 4, 2)
LEAST_PROGRAMS = 4
"""Programs into which runs are divided at least, so that a few cores have work."""
MOST_BYTES = 2 * 2**30
"""Memory of a program at the most."""


def gain(flops: int, count: int) -> float:
    """How many times as long ``count`` runs of ``flops`` an update take one after another as in one program.

    Measured on eager updates with one thread, of agents that learn from a replay; cautious: see the page of figures.
    """
    share = SHARED / (1 + flops / FLOPS)
    return count / (count - (count - 1) * share)


def pays(declared: Blueprint) -> bool:
    """Whether runs such as this one may share a program.

    Eager updates from a replay on a CPU were measured to pay; those from rollouts do not, others were not measured.
    """
    mode, updates = declared.compute.compile, clock_of(declared).updates_by(declared.training.env_steps)
    eager = mode == "never" or (mode == "auto" and updates < COLD_COMPILE_UPDATES)
    from_replay = declared.environment.is_simulator and not declared.algorithm.learns_on_policy
    return eager and from_replay and device_for(declared.compute.device) == "cpu"


def fleets(runs: Sequence[StudyRun]) -> list[list[StudyRun]]:
    """All runs of a study in programs, in order; most are alone."""
    alike: dict[str, list[StudyRun]] = {}
    for run in {each.key: each for each in runs}.values():
        key = common_key(run.blueprint) if pays(run.blueprint) else None
        alike.setdefault(key or run.key, []).append(run)
    found = []
    for group in alike.values():
        size = _size(group[0].blueprint, len(group))
        found += [group[start : start + size] for start in range(0, len(group), size)]
    return found


def _size(declared: Blueprint, points: int) -> int:
    flops, memory = update_flops(declared), allocated(declared).total
    for size in SIZES:
        if size * LEAST_PROGRAMS <= points and size * memory <= MOST_BYTES and gain(flops, size) >= WORTH:
            return size
    return 1


def units(programs: Sequence[Sequence[StudyRun]], beginning: Sequence[StudyRun]) -> list[Unit]:
    """A process for each program of which some run begins; the places of the others stay empty."""
    keys = {run.key for run in beginning}
    found = []
    for program in programs:
        present = tuple(run for run in program if run.key in keys)
        if len(program) == 1 and present:
            found.append(Unit(present, present[0].arguments))
        elif present:
            arguments = [*program[0].arguments]
            for run in program[1:]:
                arguments += ["--beside", shlex.join(run.arguments)]
            for place, run in enumerate(program):
                arguments += [] if run.key in keys else ["--absent", str(place)]
            found.append(Unit(present, tuple(arguments)))
    return found
