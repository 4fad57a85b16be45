"""Film a run at its end, in a process of its own: what renders may crash, and may take long.

The command waits at most ``SHARE`` of the time that training took, and ``MOST_SECONDS``. A run too short for that has
no films. Tests: tests/training/films/test_films.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from composer.spec.package_files import PACKAGE
from composer.tracking.media.files import FOLDER
from composer.training.endings import OpenRun
from composer.training.interrupts import Interrupts
from composer.training.loop import Outcome

SHARE: Final = 0.1
LEAST_SECONDS, MOST_SECONDS = 10.0, 300.0
PROCESS: Final = "composer.training.films.process"
_POLL_SECONDS: Final = 0.2


def budget(seconds: float, runs: int = 1) -> float:
    """How many seconds to wait for the films of each of ``runs`` runs that trained for ``seconds``; 0 for none."""
    share = min(SHARE * seconds, MOST_SECONDS) / runs
    return share if share >= LEAST_SECONDS else 0.0


def film_finished(opened: Sequence[OpenRun]) -> None:
    """Film those of the open runs that finished, where their tracker shows films and they can be drawn; say it."""
    wanted = {
        each.run.path: each.end.seconds
        for each in opened
        if isinstance(each.end, Outcome) and each.session.films and each.session.evaluator.can_record_video
    }
    for line in film_runs([*wanted], max(wanted.values(), default=0.0)):
        opened[0].session.say(line)


def film_runs(runs: Sequence[Path], seconds: float) -> list[str]:
    """Film runs one after the other and return a line on each; an empty list where they were too short.

    Nothing is raised: a signal ends the filming, and the runs are finished all the same.
    """
    most = budget(seconds, max(len(runs), 1))
    if not runs or not most:
        return []
    lines = []
    with Interrupts() as interrupts:
        for run in runs:
            if interrupts.requested is None:
                lines.append(_film(run, most, interrupts))
    return lines


def _film(run: Path, seconds: float, interrupts: Interrupts) -> str:
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", PROCESS, str(run.absolute()), str(int(seconds) + 1)]
    with TemporaryFile() as made, TemporaryFile() as failed:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=made,
                stderr=failed,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the trainer, which ends this process.
            )
        except OSError as error:
            return f"no films: {error.strerror}"
        problem = _wait(process, seconds, interrupts)
        films, errors = _lines(made), _lines(failed)
    for unfinished in (run / FOLDER).glob(".*.mp4"):
        unfinished.unlink(missing_ok=True)
    if problem is None and process.returncode:
        problem = errors[-1] if errors else f"the process that films ended with exit code {process.returncode}"
    if not films:
        return f"no films: {problem}"
    return f"films in {run / FOLDER}: {', '.join(films)}" + (f"; no others: {problem}" if problem else "")


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]


def _wait(process: subprocess.Popen[bytes], seconds: float, interrupts: Interrupts) -> str | None:
    """Wait for the process; end it, and say why, where that takes too long or a signal came."""
    waited = 0.0
    while True:
        try:
            process.wait(_POLL_SECONDS)
            return None
        except subprocess.TimeoutExpired:
            waited += _POLL_SECONDS
        if waited < seconds and interrupts.requested is None:
            continue
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"filming took more than {seconds:.0f} s" if interrupts.requested is None else "interrupted"
