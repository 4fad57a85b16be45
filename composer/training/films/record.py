"""Play one episode of the last and of the best agent of a run, and leave a film and a picture of each in ``media/``.

The last agent is that of the newest checkpoint. A film shows the first seed, and at most ``FRAMES`` frames of it.
Tests: tests/training/films/test_films.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from composer.environments.interface import VectorEnvironment
from composer.tracking.media.files import BEST, FOLDER, LAST, leave
from composer.training import assemble
from composer.training.films.sheet import ContactSheet
from composer.training.runs import chosen
from composer.training.runs.best import best_of
from composer.training.runs.checkpoint import CheckpointDamaged
from composer.training.video import FRAMES_PER_SECOND, VideoRecorder

EPISODE: Final = 2**62 + 1
"""Number of an evaluation that no training run reaches, nor ``composer evaluate``."""
EVERY: Final = 2
"""One frame in so many decisions: without a GPU, rendering takes nearly all of the time."""
FRAMES: Final = 900
"""A minute: longer episodes are cut."""


class _Enough(Exception):
    """The film is as long as it may be."""


def film(run: Path) -> Iterator[tuple[str, int]]:
    """Leave ``last.mp4`` and ``best.mp4`` with a picture each; name and environment step of the agent of each film.

    An agent that was best in the end is filmed once, as both; one that is not kept is not filmed. Raises RunUnusable,
    CheckpointDamaged, EnvironmentFailure, RenderingUnavailable, VideoUnwritable and OSError.
    """
    last = _film(run, LAST, None)
    yield LAST, last
    best = best_of(run)
    if best is None:
        return
    if best.env_step == last:
        for suffix in (".mp4", ".png"):
            leave(run, f"{BEST}{suffix}", (run / FOLDER / f"{LAST}{suffix}").read_bytes())
        yield BEST, last
        return
    with suppress(CheckpointDamaged):
        yield BEST, _film(run, BEST, chosen.BEST)


def _film(run: Path, name: str, at: chosen.Chosen) -> int:
    """One film and its picture; returns the environment step of the agent."""
    blueprint, learner, snapshot = assemble.load_agent(run, at)
    step = int(snapshot.values["interactions"]) * blueprint.environment.stride
    shown = blueprint.model_copy(update={"environment": blueprint.environment.for_video()})
    evaluator, sheet = assemble.make_evaluator(shown, 1, learner.device), ContactSheet()
    hidden = run / FOLDER / f".{name}.mp4"
    hidden.parent.mkdir(exist_ok=True)
    try:
        with VideoRecorder(hidden, FRAMES_PER_SECOND // EVERY) as recorder, suppress(_Enough):
            evaluator.returns(learner, EPISODE, _watch(recorder, sheet))
        hidden.replace(run / FOLDER / f"{name}.mp4")
    finally:
        hidden.unlink(missing_ok=True)
        evaluator.close()
    leave(run, f"{name}.png", sheet.png(step))
    return step


def _watch(recorder: VideoRecorder, sheet: ContactSheet) -> Callable[[VectorEnvironment], None]:
    decisions = 0

    def watch(environments: VectorEnvironment) -> None:
        nonlocal decisions
        if decisions == FRAMES * EVERY:
            raise _Enough
        if decisions % EVERY == 0:
            sheet.take(recorder.take(environments))
        decisions += 1

    return watch
