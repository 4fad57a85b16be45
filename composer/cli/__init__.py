"""The command line: arguments only. Commands import torch in their bodies, so that reading a blueprint stays fast.

Exit codes: 0 done; 2 the blueprint or the command is wrong; 3 the run directory is unusable or locked; 4 a checkpoint
is damaged; 5 diverged; 6 the environment failed; 7 resources; 129, 130 or 143 interrupted, checkpoint written; 141
standard output was closed; 1 a bug.
Tests: tests/cli/test_commands.py.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from composer.cli import (
    ablating,
    comparing,
    correlating,
    discovering,
    exporting,
    finding,
    making,
    reading,
    registering,
    running,
    scaling,
    searching,
    studies,
    studying,
)
from composer.cli.answers import ended_by_itself, print_in_any_locale, quiet_where_nobody_reads
from composer.cli.completion import bash
from composer.cli.once import Once
from composer.spec.calls import tell_ctrl_c_apart
from composer.spec.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compose deep-RL agents in one file and train them.",
)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run": (
        running.train,
        running.resume,
        running.fork,
        running.evaluate,
        exporting.export,
        registering.register,
        running.digest,
        running.verify,
        running.sync,
    ),
    "Read a blueprint": (
        finding.list_,
        finding.kinds,
        making.new,
        making.cp,
        making.resolve,
        reading.check,
        reading.show,
        reading.metrics,
        reading.explain,
        reading.diff,
        reading.lint,
        reading.parts,
        reading.eject,
        reading.schema,
    ),
    "Study": (
        studying.bench,
        studying.plan,
        studying.sweep,
        searching.search,
        comparing.compare,
        correlating.correlate,
        scaling.scale,
        ablating.ablate,
        discovering.discover,
        studying.doctor,
        studying.retention,
        studying.simplicity,
        studying.tabular,
        studying.ui,
    ),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel, cls=Once)(ended_by_itself(_command))
app.add_typer(studies.study, name="study", rich_help_panel="Study")


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
