"""What people read at the start of a run: how it computes, what it begins with, what its blueprint is warned of.

Tests: tests/cli/test_commands.py.
"""

from __future__ import annotations

from composer.blueprint.syntax.problems import Problem
from composer.spec.quantities import counted
from composer.tracking.console import Console
from composer.training.compile.cache import cache_note
from composer.training.runs import directory as runs
from composer.training.session import Session


def warmup_lines(session: Session, console: Console) -> list[str]:
    """A line on the actions that are random before the first update, where there are some left."""
    clock = session.clock
    if clock.interactions >= clock.warmup:
        return []
    console.warmup = clock.warmup * clock.stride
    steps = f" ({console.warmup:,} environment steps)" if clock.stride > 1 else ""
    return [f"warm-up: {counted(clock.warmup, 'interaction')} with random actions{steps}, without updates"]


def compilation_text(run: runs.Run) -> str:
    """Whether the update is compiled, and why."""
    return f"{'compiled' if run.facts['compiled'] else 'eager'}: {run.facts['compile_reason']}"


def cache_lines(run: runs.Run, session: Session) -> list[str]:
    """A line on where compiled code is kept, unless that is where it was asked for, or there is none."""
    note = cache_note() if run.facts["compiled"] or session.compiler is not None else None
    return [note] if note else []


def placement_lines(run: runs.Run) -> list[str]:
    """A line on where the replay is kept, unless it is where updates run."""
    place = run.facts.get("replay_storage", "device")
    return [] if place == "device" else [f"the replay is kept on the {place}: {run.facts['replay_reason']}"]


def warning_lines(run: runs.Run) -> list[str]:
    """The warnings of the run's blueprint."""
    return [Problem(**warning).as_warning() for warning in run.facts.get("warnings", [])]
