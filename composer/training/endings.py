"""How a run ends: one context manager closes it, whatever happened, and says it with an exit code.

Tests: tests/faults/test_ends.py, tests/training/test_endings.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from composer.environments.interface import EnvironmentFailure
from composer.spec.errors import ComposerError
from composer.tracking.records import RunStatus
from composer.training.compile.first_call import CompileFailed
from composer.training.interrupts import Interrupted
from composer.training.loop import Outcome

if TYPE_CHECKING:
    from composer.tracking.uploader import UploadReport
    from composer.training.runs.directory import Run
    from composer.training.session import Session

_OTHER_CODES = {MemoryError: 7, torch.OutOfMemoryError: 7, OSError: 7, KeyboardInterrupt: 130}
"""Exit codes of expected errors that are not classes of ours."""
EXPECTED = (ComposerError, *_OTHER_CODES)
"""Errors that are no bugs: a command ends with their message and their exit code."""

UPLOAD_SECONDS = 60.0
INTERRUPTED_UPLOAD_SECONDS = 5.0
"""Whoever sends SIGTERM sends SIGKILL soon after; ``composer sync`` sends what is left by then."""

_UPLOADED: dict[str, tuple[RunStatus, float]] = {
    "finished": ("FINISHED", UPLOAD_SECONDS),
    "interrupted": ("KILLED", INTERRUPTED_UPLOAD_SECONDS),
    "failed": ("FAILED", INTERRUPTED_UPLOAD_SECONDS),
}
"""Status in the tracking store, and how long to wait for it, by how a run ended."""


def exit_code(error: BaseException) -> int:
    """The documented code of an expected error; 1 of any other."""
    if isinstance(error, ComposerError):
        return error.exit_code
    return next((code for kind, code in _OTHER_CODES.items() if isinstance(error, kind)), 1)


class Stopped(ComposerError, RuntimeError):
    """A run ended before its end; ``table`` is what ``--json`` prints."""

    def __init__(self, message: str, exit_code: int, table: dict[str, Any]) -> None:
        """``message`` says what happened, and the command that continues the run."""
        super().__init__(message)
        self.exit_code, self.table = exit_code, table


class Ending(NamedTuple):
    """How a run ended, in words and numbers."""

    status: str
    """``finished``, ``interrupted`` or ``failed``."""
    exit_code: int = 0
    message: str = ""
    """What happened, and the command that continues the run; empty of a finished one."""


@dataclass
class OpenRun:
    """A run that trains, and after that, how it ended."""

    run: Run
    session: Session
    end: Outcome | BaseException | None = None
    """Set by whoever trains it; ``closing`` sets it to the error that ended it."""
    report: UploadReport | None = None
    """What was uploaded, set by ``close``; None if the upload had not begun."""
    during: Callable[[str], AbstractContextManager[None]] = lambda activity: nullcontext()
    """Tells people what takes long."""
    notes: list[str] = field(default_factory=list)
    """For people, set by ``close``: an environment that raises when it is closed does not undo a finished run."""

    def ending(self) -> Ending:
        """How it ended."""
        if isinstance(self.end, Outcome):
            return Ending("finished")
        error = self.end or RuntimeError("not trained")
        status, message = "failed", str(error) or type(error).__name__
        if isinstance(error, Interrupted):
            status = "interrupted"
            message = f"interrupted ({error}) and saved at environment step {self.session.clock.env_steps:,}"
        if isinstance(error, EnvironmentFailure):
            message += f" (interaction {self.session.clock.interactions + 1:,} of the run)"
        if self.session.saved_failure:
            message += f"\nsaved at environment step {self.session.clock.env_steps:,}, before the failure"
        inexact = " --inexact" if isinstance(error, CompileFailed) else ""
        command = f"composer resume {shlex.quote(str(self.run.path))}{inexact}"
        return Ending(status, exit_code(error), f"{message}\ngo on with: {command}")

    def close(self) -> None:
        """Close the session, finish the upload, release the lock. A journal that cannot be written ends the run."""
        with ExitStack() as stack:
            stack.callback(self.run.close)
            try:
                self.session.close()
            except EnvironmentFailure as failure:
                self.notes.append(f"nothing of the run is lost, but {failure}")
            except OSError as error:
                self.end = error if isinstance(self.end, Outcome) else self.end
            status, seconds = _UPLOADED[self.ending().status]
            uploader = self.session.uploader
            if uploader is not None:
                sending = "sending the last rows to the tracking store"
                with self.during(sending) if uploader.is_on else nullcontext():
                    self.report = uploader.finish(status, seconds)


@contextmanager
def closing(runs: Sequence[OpenRun]) -> Iterator[None]:
    """Close runs at the end of the block. An expected error becomes the end of all of them; others are raised."""
    with ExitStack() as stack:
        for each in runs:
            stack.callback(each.close)
        try:
            yield
        except BaseException as error:
            for each in runs:
                each.end = error
            if not isinstance(error, EXPECTED):
                raise
