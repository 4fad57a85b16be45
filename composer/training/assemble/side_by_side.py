"""Several new runs in one program, each in a directory of its own. Tests: tests/training/test_population.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from composer.blueprint.forecast.memory import allocated
from composer.blueprint.forecast.one_program import joined
from composer.tracking.project import admitted
from composer.training.assemble.make_session import undo_on_error
from composer.training.assemble.new_run import create
from composer.training.assemble.process import choose_compilation, set_up_process
from composer.training.collect.replay_placement import choose_placement
from composer.training.endings import OpenRun
from composer.training.learner import Learner
from composer.training.population.stack import Stack

if TYPE_CHECKING:
    from composer.blueprint import Blueprint


def _tell_all(opened: Sequence[OpenRun], problem: str) -> None:
    for each in opened:
        each.session.learner.compile_failed(problem)


def start_together(blueprints: Mapping[str | None, Blueprint], directory: Path) -> tuple[list[OpenRun], Stack]:
    """New runs under ``directory``, by variant, and the stack that makes the updates of all of them.

    Apart from that, each run is what it would be alone. The blueprints have to fit into one program
    (``composer.blueprint.forecast.one_program.obstacle``). Raises what ``start`` raises.
    """
    for blueprint in blueprints.values():
        admitted(blueprint.tracking, directory)
    whole = joined(list(blueprints.values()))
    device = set_up_process(whole)
    choice = choose_compilation(whole, device)
    placement = choose_placement(whole.replay.storage, allocated(whole), device, directory)
    names = [variant or "base" for variant in blueprints]
    opened: list[OpenRun] = []
    with ExitStack() as undo:
        for (variant, blueprint), name in zip(blueprints.items(), names, strict=True):
            others = [other for other in names if other != name]
            run, session = create(blueprint, directory, variant, device, choice, beside=others, placement=placement)
            undo.enter_context(undo_on_error(session.close, run.close))
            session.title = name
            opened.append(OpenRun(run, session))
        # The largest tensors are made last: what each run has drawn is copied into them, and then let go.
        learner = Learner(whole.agent, device, choice)
        stack = Stack(learner, [each.session.learner for each in opened])
        learner.compile_failed = partial(_tell_all, opened)
        for each in opened:
            each.session.collector.begin()
    return opened, stack
