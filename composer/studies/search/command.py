"""``composer search``: from a study's file to the answer. Tests: tests/studies/search/test_command.py."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from composer.blueprint.syntax.problems import at_file
from composer.studies import Refused
from composer.studies.execution.engine import train_all
from composer.studies.execution.study_run import folder_of
from composer.studies.execution.work import Launcher
from composer.studies.search.confirm import confirm, fresh_seeds
from composer.studies.search.report import answer, ranked
from composer.studies.search.search import search
from composer.studies.search.storage import trials_in
from composer.studies.search.subject import Subject
from composer.studies.search.table import read_search
from composer.studies.study.load import Study


def subject_of(study: Study) -> Subject:
    """What a study searches: its one point, on all of its tasks. Raises BlueprintError at the study's lines."""
    file, node = str(study.file), study.tree.get(("search",))
    if node is None:
        raise at_file(file, "there is no table [search]: it says which keys are searched, and over which values")
    if len(study.points) > 1:
        several = [name for name, values in study.axes.items() if len(values) > 1]
        found = study.tree.get(("axis",)) or study.tree
        message = f"a search takes one point, but the study has {len(study.points)} ({', '.join(several)} vary)"
        raise at_file(file, f"{message}: give each axis one value, or search its key", found.at.line, found.at.column)
    tasks = tuple(dict.fromkeys(_task(study, run.arguments) for run in study.runs))
    return Subject(study.points[0], tasks, tuple(study.runs[0].blueprint.seeds), read_search(node), node)


def _task(study: Study, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What a run overrides beside its point and its seeds: its task."""
    own = {*study.points[0].overrides}
    return tuple(each for each in arguments[1:] if each not in own and not each.startswith("seeds="))


def run_search(
    study: Study,
    runs_dir: Path,
    out: Path | None,
    say: Callable[[str], None],
    launcher: Launcher,
    again: int | None = None,
    best: int = 3,
) -> dict[str, Any]:
    """Search, or with ``again`` train the ``best`` trials with so many fresh seeds; the table of ``--json``.

    Trial 0 is among them, where it has the blueprint's own values. Raises BlueprintError, Refused, and what
    ``train_all`` raises.
    """
    subject, folder = subject_of(study), folder_of(study, runs_dir, out)
    train = partial(train_all, folder=folder, runs_dir=runs_dir, say=say, launcher=launcher, study=study.name)
    commands = {"confirm": f"composer search {shlex.quote(str(study.file))} --confirm 5"}
    if again is None:
        say(f"{study.name}: {subject.table.trials:,} trials in {folder}")
        return _with_commands(subject, answer(subject, search(subject, folder, train, say)), commands)
    with trials_in(folder, subject.table, subject.identity) as trials:
        table = answer(subject, trials.get_trials())
        chosen = ranked(subject, table["trials"])[:best]
        if not chosen:
            raise Refused(f"no trial in {folder} has finished: search first")
        own = [row for row in table["trials"] if row["trial"] == 0 and row["score"] is not None]
        chosen += [row for row in own if row not in chosen and row["values"] == subject.present]
        confirmed = confirm(subject, chosen, fresh_seeds(subject, again), train)
    failed = sum(row["score"] is None for row in confirmed["trials"])
    return _with_commands(subject, table | {"confirmed": confirmed, "failed": failed}, commands)


def _with_commands(subject: Subject, table: dict[str, Any], commands: dict[str, str]) -> dict[str, Any]:
    """The answer with the command that trains the best trial with fresh seeds, a line for each task."""
    if table["best"] is None:
        return table
    runs = subject.runs(table["best"]["values"], None, fresh_seeds(subject, 5))
    return table | commands | {"train": [f"composer train {shlex.join(run.arguments)}" for run in runs]}
