"""Draw the pictures of a run directory, from its blueprint and its journal, into ``RUN/media/``.

The run may still be training: nothing is locked, and what has not been measured yet is not drawn. The same rows give
the same bytes. Tests: tests/studies/pictures/test_pictures.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from composer.blueprint import Blueprint
from composer.blueprint.inspect.diagram import UndrawableError, draw
from composer.blueprint.inspect.show_text import show_text
from composer.studies import Refused
from composer.studies.compare.groups import gather
from composer.studies.compare.read_runs import read_run
from composer.studies.figures.curves import curves
from composer.studies.figures.sheet import Sheet
from composer.studies.pictures.timeline import timeline
from composer.tracking.media.files import ARCHITECTURE, CURVE, FOLDER, INTERVENTIONS, STEP, leave
from composer.training.runs.directory import read_blueprint

SUFFIXES: Final = (".svg", ".png")


def draw_blueprint(run_dir: Path) -> list[Path]:
    """``architecture.svg`` and ``.png``, and ``show.txt``; too many blocks for a diagram leave the text alone.

    Raises RunUnusable, RunEdited, BlueprintError and OSError.
    """
    blueprint = read_blueprint(run_dir)
    files = [leave(run_dir, "show.txt", show_text(blueprint).encode())]
    try:
        return files + [_architecture(run_dir, blueprint, suffix) for suffix in SUFFIXES]
    except UndrawableError:
        return files


def _architecture(run_dir: Path, blueprint: Blueprint, suffix: str) -> Path:
    path = run_dir / FOLDER / f"{ARCHITECTURE}{suffix}"
    hidden = path.with_name(f".{path.name}")
    draw(blueprint, hidden)
    return hidden.replace(path)


def draw_progress(run_dir: Path) -> list[Path]:
    """``curve`` and ``interventions`` as .svg and .png, at the last evaluation; raises as ``draw_blueprint`` does.

    There is no curve before all seeds were evaluated, and no timeline without interventions.
    """
    try:
        reading = read_run(run_dir, read_blueprint(run_dir).environment.metric)
        group = gather([reading], [])[0]
    except Refused:
        return []
    step, metric = int(group.curve.steps[-1]), reading.metric
    files = _leave(run_dir, CURVE, curves([group], metric), step)
    if names := [*reading.blueprint.interventions]:
        fired = {name: reading.fired.get(name, {}) for name in names}
        files += _leave(
            run_dir, INTERVENTIONS, timeline(fired, group.seeds, reading.blueprint.training.env_steps), step
        )
    return files


def _leave(run_dir: Path, name: str, sheet: Sheet, step: int) -> list[Path]:
    texts: Sequence[dict[str, str]] = ({}, {STEP: str(step)})
    return [
        leave(run_dir, f"{name}{suffix}", sheet.content(suffix, text))
        for suffix, text in zip(SUFFIXES, texts, strict=True)
    ]
