"""Several runs in one program, each in a directory of its own: begun, and resumed together.

Tests: tests/training/test_population.py, tests/faults/test_resume_together.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from composer.blueprint.forecast.memory import allocated
from composer.blueprint.forecast.one_program import joined
from composer.blueprint.load import ensure_checked
from composer.tracking.project import admitted
from composer.training.assemble.make_session import undo_on_error
from composer.training.assemble.new_run import Shared, create
from composer.training.assemble.process import choose_compilation, set_up_process
from composer.training.assemble.resumed_run import recorded_choice, restored
from composer.training.collect.replay_placement import choose_placement
from composer.training.endings import OpenRun
from composer.training.learner import Learner
from composer.training.population.stack import Stack
from composer.training.population.together import Together
from composer.training.runs import directory as runs
from composer.training.runs.shared_program import SharedProgram, Sharer, read_program, sharers

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.compile.capture import Choice


class NewRun(NamedTuple):
    """One of several runs that begin in one program."""

    title: str
    """Its name among them."""
    blueprint: Blueprint
    variant: str | None = None
    is_absent: bool = False
    """Whether its place in the program stays empty, for it has been finished elsewhere."""


def start_together(members: Sequence[NewRun], directory: Path) -> Together:
    """New runs under ``directory``, and the stack that makes the updates of all of them.

    Apart from that, each run is what it would be alone. The blueprints have to fit into one program
    (``composer.blueprint.forecast.one_program.obstacle``). Raises what ``start`` raises.
    """
    beginning = {place: each for place, each in enumerate(members) if not each.is_absent}
    for each in beginning.values():
        admitted(each.blueprint.tracking, directory)
    whole = joined([each.blueprint for each in members])
    device = set_up_process(whole)
    choice = choose_compilation(whole, device, is_shared=True)
    placement = choose_placement(whole.replay.storage, allocated(whole), device, directory)
    named = [None if each.is_absent else runs.new_id(each.blueprint.name, each.variant) for each in members]
    program = SharedProgram(tuple(named), tuple(len(each.blueprint.seeds) for each in members))
    opened: dict[int, OpenRun] = {}
    with ExitStack() as undo:
        for place, each in beginning.items():
            others = [other.title for number, other in beginning.items() if number != place]
            shared = Shared(str(named[place]), program, others)
            run, session = create(each.blueprint, directory, each.variant, device, choice, None, shared, placement)
            undo.enter_context(undo_on_error(session.close, run.close))
            session.title = each.title
            opened[place] = OpenRun(run, session)
        together = _stacked(opened, whole, program, device, choice)
        for each_run in opened.values():
            each_run.session.collector.begin()
    return together


def resume_together(path: Path) -> tuple[Together, list[str]]:
    """The program that the run at ``path`` shares, each run as its newest good checkpoint left it; notes for people.

    A run that has got on further than another waits until that one has caught up. Runs whose directories are gone are
    left out, and named in a note: the others do not depend on them. Raises what ``resume`` raises, and RunUnusable
    where a process trains one of the runs.
    """
    program = read_program(runs.read_facts(path))
    if program is None:
        raise runs.RunUnusable(f"{path} was trained alone")
    found, gone = sharers(path, program)
    notes = [f"{name} is gone: its place in the program stays empty, the others do not depend on it" for name in gone]
    opened: dict[int, OpenRun] = {}
    with ExitStack() as undo:
        held = {each.place: _open(each, undo) for each in found}
        blueprints = {
            place: ensure_checked(runs.read_blueprint(run.path), is_to_run=False) for place, run in held.items()
        }
        first = next(iter(held.values()))
        whole = _whole(program, next(iter(blueprints.values())))
        device = set_up_process(whole, str(first.facts["device"]))
        choice = recorded_choice(first.facts)
        titles = _titles(held)
        for place, run in held.items():
            session, said = restored(run, blueprints[place], device, choice)
            undo.enter_context(undo_on_error(session.close))
            session.title = titles[place]
            notes += [f"{session.title}: {line}" for line in said]
            opened[place] = OpenRun(run, session)
        together = _stacked(opened, whole, program, device, choice)
    return together, notes


def _open(sharer: Sharer, undo: ExitStack) -> runs.Run:
    run = runs.open_run(sharer.path)
    undo.enter_context(undo_on_error(run.close))
    return run


def _whole(program: SharedProgram, declared: Blueprint) -> Blueprint:
    """The blueprint of the program: ``declared`` is that of one of its runs, which differ in numbers only."""
    return declared.model_copy(update={"seeds": tuple(range(sum(program.seeds)))})


def _titles(held: dict[int, runs.Run]) -> dict[int, str]:
    """Names of runs among each other: variants where these differ, else those of the directories."""
    named = {place: run.facts["variant"] or "base" for place, run in held.items()}
    return named if len({*named.values()}) == len(named) else {place: run.path.name for place, run in held.items()}


def _stacked(
    opened: dict[int, OpenRun], whole: Blueprint, program: SharedProgram, device: str, choice: Choice
) -> Together:
    # The largest tensors are made last: what each run has drawn is copied into them, and then let go.
    learner = Learner(whole.agent, device, choice)
    learner.compile_failed = partial(_tell_all, [*opened.values()])
    return Together(opened, Stack(learner, program.seeds))


def _tell_all(opened: Sequence[OpenRun], problem: str) -> None:
    for each in opened:
        each.session.learner.compile_failed(problem)
