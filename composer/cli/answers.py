"""How commands answer: text for people, JSON for programs, and an exit code for every expected error."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from click import ClickException

from composer.spec.calls import Escaped, in_words, of_others
from composer.spec.errors import ComposerError
from composer.spec.stages import make_room, stage

if TYPE_CHECKING:
    from composer.blueprint import BlueprintError, Loaded
    from composer.blueprint.syntax.problems import Problem
    from composer.studies.study.load import Study

MAX_SHOWN = 20
"""Problems of one file that are printed; ``--json`` has all of them."""


NOBODY_READS = 128 + signal.SIGPIPE
"""Exit code where standard output was closed."""


def print_in_any_locale() -> None:
    """Write UTF-8 to pipes and files; on a terminal replace what its encoding lacks. Printing never raises for a text.

    ``PYTHONIOENCODING`` keeps its say on the encoding.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            keeps = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if keeps else "utf-8", errors="replace" if keeps else "backslashreplace")


@contextmanager
def quiet_where_nobody_reads() -> Iterator[None]:
    """Exit with 141 where whoever read standard output has closed it, as in ``composer list | head -1``.

    Other tools die of SIGPIPE then, which shells show as 141. A pipe of a process of composer's own that breaks is no
    such end, and is raised.
    """
    output = None
    with suppress(OSError):
        output = os.dup(1)  # Rich replaces it where it breaks.
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except (SystemExit, BrokenPipeError) as end:
        broken = end if isinstance(end, BrokenPipeError) else end.__context__  # Typer ends with 1, without a word.
        if not isinstance(broken, BrokenPipeError):
            raise
        if not _is_closed(output):
            raise broken from None
        _leave()
        raise SystemExit(NOBODY_READS) from None


def _is_closed(output: int | None) -> bool:
    """Whether nobody reads this descriptor any more."""
    poll = select.poll()
    if output is not None:
        poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _leave() -> None:
    """Send what still waits for standard output nowhere, since Python writes it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def say(text: str) -> None:
    """Print a line for people on standard error, at once; nothing where the terminal is gone."""
    make_room()
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def answer(table: dict[str, Any], as_json: bool) -> None:
    """Print the object for programs, where they asked for it; always last, also before what others print at the end."""
    if as_json:
        print(json.dumps(table), flush=True)
        _redirect()


@contextmanager
def kept_for_the_answer() -> Iterator[None]:
    """Send what environments and other libraries print on standard output to standard error: the answer comes alone."""
    with redirect_stdout(sys.stderr), ExitStack() as stack:
        if (output := _redirect()) is not None:
            stack.callback(os.close, output)
            stack.callback(os.dup2, output, 1)
            stack.callback(sys.__stdout__.flush if sys.__stdout__ else bool)  # First: what still waits there.
        yield


def _redirect() -> int | None:
    """Send the file descriptor of standard output to standard error, for code that is not Python's too.

    Returns a descriptor of standard output as it was; None in a program that has replaced it.
    """
    if sys.__stdout__ is None or not {sys.stdout, sys.stderr} & {sys.__stdout__, sys.__stderr__}:
        return None
    with suppress(OSError, ValueError):  # Where there is no standard output, or no standard error.
        sys.__stdout__.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
        return kept
    return None


def tell(table: dict[str, Any], text: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    """Print ``text`` of the table on standard output; with ``--json`` on standard error, and the table itself."""
    (say if as_json else print)(text(table))
    answer(table, as_json)


def fail(message: str, code: int, as_json: bool, table: dict[str, Any] | None = None) -> NoReturn:
    """Exit with ``code`` and a message for people and programs."""
    say(message)
    answer((table or {"status": "failed"}) | {"exit_code": code, "message": message}, as_json)
    raise typer.Exit(code)


def refuse(error: BlueprintError, as_json: bool) -> NoReturn:
    """Exit with 2 and every problem of a blueprint."""
    say(problems_text(error.problems))
    answer({"status": "invalid", **problems_json(error.problems)}, as_json)
    raise typer.Exit(2)


def problems_text(problems: Sequence[Problem]) -> str:
    """A line per problem; the empty string where there is none."""
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more problems")
    return "\n".join(lines)


def problems_json(problems: Sequence[Problem]) -> dict[str, Any]:
    """``{"ok": ..., "problems": [{"file", "line", "column", "path", "message", "hint", "cause"}]}``."""
    return {"ok": not problems, "problems": [problem.as_dict() for problem in problems]}


def warnings_text(warnings: Sequence[Problem]) -> str:
    """A line per warning; the empty string where there is none."""
    lines = [warning.as_warning() for warning in warnings[:MAX_SHOWN]]
    if len(warnings) > MAX_SHOWN:
        lines.append(f"and {len(warnings) - MAX_SHOWN} more warnings")
    return "\n".join(lines)


def warnings_json(warnings: Sequence[Problem]) -> dict[str, Any]:
    """``{"warnings": [{"file", "line", "column", "path", "message", "hint", "cause"}]}``."""
    return {"warnings": [warning.as_dict() for warning in warnings]}


def read(
    file: str,
    overrides: Sequence[str] | None,
    variants: Sequence[str] | None,
    as_json: bool,
    *,
    is_to_run: bool = False,
) -> Loaded:
    """Load the valid blueprint that a command's arguments name, or exit.

    Only with ``is_to_run`` must it fit into this machine's memory.
    """
    from composer.blueprint import BlueprintError, load
    from composer.blueprint.syntax.notation import experiment

    try:
        with kept_for_the_answer():
            return load(*experiment(file, overrides or (), variants or ()), is_to_run=is_to_run)
    except BlueprintError as error:
        refuse(error, as_json)


def read_all(arguments: Sequence[str], as_json: bool) -> list[Loaded]:
    """Load several valid blueprints, each with the overrides that follow it, or exit."""
    from composer.blueprint import BlueprintError, load
    from composer.blueprint.syntax.notation import experiments

    try:
        with kept_for_the_answer():
            return [load(*each, is_to_run=False) for each in experiments(arguments)]
    except BlueprintError as error:
        refuse(error, as_json)


def read_study(file: str, as_json: bool, *, is_to_run: bool = False) -> Study:
    """Load the valid study that a command's argument names, or exit. ``is_to_run`` is as for ``read``."""
    from composer.blueprint import BlueprintError
    from composer.studies.study.load import load_study

    try:
        with kept_for_the_answer():
            return load_study(file, is_to_run=is_to_run)
    except BlueprintError as error:
        refuse(error, as_json)


def ended_by_itself(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with its expected errors in words. No code that it calls can end it: the exit code is then 6."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            with of_others():
                command(**options)
        except Escaped as escaped:
            fail(f"code that composer called tried to end it: {escaped}", 6, bool(options.get("as_json")))
        except ComposerError as error:
            fail(str(error), error.exit_code, bool(options.get("as_json")))
        except Exception as error:
            from composer.spec import plugins

            plugin = plugins.blamed(error)
            if plugin is None or isinstance(error, ClickException | typer.Exit | typer.Abort):
                raise
            fail(f"the plug-in {plugin!r} raised {in_words(error)}", 6, bool(options.get("as_json")))

    return run


def guarded(command: Callable[[], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    """Run a command that imports torch; an expected error becomes its message and its exit code."""
    stage("importing torch")
    from composer.training.endings import EXPECTED, Stopped, exit_code

    try:
        with kept_for_the_answer():
            return command()
    except Stopped as stopped:
        fail(str(stopped), stopped.exit_code, as_json, stopped.table)
    except EXPECTED as error:
        fail(str(error) or type(error).__name__, exit_code(error), as_json)
