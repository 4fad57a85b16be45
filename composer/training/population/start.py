"""Start variants together: a run directory for each, and one program for all.

Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from composer.blueprint.forecast.memory import allocated
from composer.blueprint.forecast.one_program import joined
from composer.training import assemble
from composer.training.collect.replay_placement import choose_placement
from composer.training.learner import Learner
from composer.training.population.stack import Stack

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.runs.directory import Run
    from composer.training.session import Session


class Ship(NamedTuple):
    """One run of a fleet."""

    run: Run
    session: Session


def start(blueprints: Mapping[str | None, Blueprint], directory: Path) -> tuple[list[Ship], Stack]:
    """New runs under ``directory``, by variant, none of which stands against another (``blueprint.beside``).

    Each is what it would be alone, but that its updates are the stack's to make.
    """
    whole = joined(list(blueprints.values()))
    device = assemble.set_up(whole)
    choice = assemble.choose(whole, device)
    stored = choose_placement(whole.replay.storage, allocated(whole), device, directory)
    names = [variant or "base" for variant in blueprints]
    ships: list[Ship] = []
    try:
        for variant, blueprint in blueprints.items():
            company = [name for name in names if name != (variant or "base")]
            run, session = assemble.create(blueprint, directory, variant, device, choice, beside=company, stored=stored)
            session.title = variant or "base"
            ships.append(Ship(run, session))
        # The largest tensors are made last: what each run has drawn is copied into them, and then let go.
        learner = Learner(whole, whole.environment.info, device, choice)
        stack = Stack(learner, [ship.session.learner for ship in ships])
        for ship in ships:
            ship.session.collector.begin()
    except BaseException:
        for ship in ships:
            ship.session.close()
            ship.run.close()
        raise
    return ships, stack
