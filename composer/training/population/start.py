"""Start variants together: a run directory for each, and one program for all.

Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from composer.blueprint.forecast.memory import allocated
from composer.blueprint.forecast.one_program import joined
from composer.training import assemble
from composer.training.collect.replay_placement import choose_placement
from composer.training.endings import OpenRun
from composer.training.learner import Learner
from composer.training.population.stack import Stack

if TYPE_CHECKING:
    from composer.blueprint import Blueprint


def start(blueprints: Mapping[str | None, Blueprint], directory: Path) -> tuple[list[OpenRun], Stack]:
    """New runs under ``directory``, by variant, none of which stands against another (``blueprint.beside``).

    Each is what it would be alone, but that its updates are the stack's to make.
    """
    whole = joined(list(blueprints.values()))
    device = assemble.set_up(whole)
    choice = assemble.choose(whole, device)
    stored = choose_placement(whole.replay.storage, allocated(whole), device, directory)
    names = [variant or "base" for variant in blueprints]
    opened: list[OpenRun] = []
    try:
        for variant, blueprint in blueprints.items():
            others = [name for name in names if name != (variant or "base")]
            run, session = assemble.create(blueprint, directory, variant, device, choice, beside=others, stored=stored)
            session.title = variant or "base"
            opened.append(OpenRun(run, session))
        # The largest tensors are made last: what each run has drawn is copied into them, and then let go.
        learner = Learner(whole.agent, device, choice)
        stack = Stack(learner, [each.session.learner for each in opened])
        for each in opened:
            each.session.collector.begin()
    except BaseException:
        for each in opened:
            each.session.close()
            each.run.close()
        raise
    return opened, stack
