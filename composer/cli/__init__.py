"""The command line: arguments only. Commands import torch in their bodies, so that reading a blueprint stays fast.

Exit codes: 0 done; 2 the blueprint or the command is wrong; 3 the run directory is unusable or locked; 4 a checkpoint
is damaged; 5 diverged; 6 the environment failed; 7 resources; 129, 130 or 143 interrupted, checkpoint written; 141
standard output was closed; 1 a bug.
Tests: tests/cli/test_commands.py.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Annotated, Final

import typer

from composer.cli import (
    ablating,
    commands,
    comparing,
    correlating,
    discovering,
    exporting,
    finding,
    making,
    reading,
    recording,
    registering,
    running,
    scaling,
    searching,
    studies,
    studying,
)
from composer.cli.answers import print_in_any_locale, quiet_where_nobody_reads
from composer.cli.completion import bash
from composer.spec.calls import tell_ctrl_c_apart
from composer.spec.version import __version__

PANELS: Final[Mapping[str, tuple[Callable[..., None] | str, ...]]] = {
    "Start here": (
        finding.list_,
        making.new,
        making.cp,
        reading.check,
        reading.show,
        running.train,
        studying.ui,
        comparing.compare,
    ),
    "Runs": (
        running.resume,
        running.evaluate,
        running.fork,
        exporting.export,
        recording.record,
        registering.register,
        running.sync,
        running.verify,
        running.digest,
    ),
    "Blueprints": (
        finding.kinds,
        finding.data,
        reading.parts,
        reading.explain,
        reading.diff,
        reading.lint,
        reading.metrics,
        making.resolve,
        reading.eject,
        reading.schema,
    ),
    "Many runs": (
        "study",
        studying.plan,
        studying.sweep,
        searching.search,
        ablating.ablate,
        scaling.scale,
        discovering.discover,
    ),
    "Results": (correlating.correlate, studying.doctor, studying.retention),
    "Measurements": (studying.bench, studying.simplicity, studying.tabular),
}
"""Commands by the panel of the help in which they stand; a text is a group of commands."""
_EXAMPLES = ("composer list", "composer train quickstart", "composer ui", "composer train --help")


class _InPanels(commands.Group):
    ORDER = tuple(each if isinstance(each, str) else commands.name(each) for each in chain(*PANELS.values()))


app = typer.Typer(
    cls=_InPanels,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compose deep-RL agents in one file and train them.",
    epilog=commands.examples_text(_EXAMPLES),
)
for _panel, _commands in PANELS.items():
    for _command in _commands:
        if isinstance(_command, str):
            app.add_typer(studies.study, name=_command, rich_help_panel=_panel)
        else:
            commands.add(app, _command, _panel)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the ``composer`` command. A crash in native code leaves the stack of Python on standard error."""
    with suppress(RuntimeError, ValueError, OSError):  # Where there is no standard error.
        faulthandler.enable()
    print_in_any_locale()
    tell_ctrl_c_apart()
    with quiet_where_nobody_reads():
        run = partial(app, prog_name="composer")
        if bash.is_asked():
            bash.answer(run)
        else:
            run()
