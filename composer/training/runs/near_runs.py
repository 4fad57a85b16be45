"""What was meant where a path names no run directory. Tests: tests/errors/test_near_files.py."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import tomli

from composer.blueprint.syntax.extends import shipped
from composer.spec.wording import listing, near

RUNS = Path("runs")
"""Where commands make run directories by default."""
MOST = 1_000
"""Most run directories that are looked at."""
SHOWN = 3


def meant(path: Path) -> str:
    """What ``path`` is instead, with runs that were perhaps meant; empty where nobody knows."""
    file, _, variant = path.as_posix().partition("@")
    blueprint = Path(file) if os.path.isfile(file) and file.endswith(".toml") else shipped().get(file)
    if blueprint is not None:
        return _of_blueprint(path.as_posix(), _name(blueprint), variant)
    above = next((each for each in path.parents if os.path.isfile(each / "run.json")), None)
    if above is not None:
        return f"did you mean the run {str(above)!r}?"
    inside = [str(each) for each, _ in _runs(path)]
    if inside:
        return f"it is a folder of runs: {listing(inside, SHOWN)}"
    close = near(path.name, {each.name: each for each, _ in (*_runs(path.parent), *_runs(RUNS))})
    if close is None:
        return ""
    folder = path.parent if os.path.isdir(path.parent / close) else RUNS
    return f"did you mean {str(folder / close)!r}?"


def _of_blueprint(given: str, name: str, variant: str) -> str:
    train = f"'composer train {given}'"
    found = [
        str(path)
        for path, facts in _runs(RUNS)
        if facts.get("name") == name and (not variant or facts.get("variant") == variant)
    ]
    what = f"it is a blueprint, and a run is a directory that {train} makes"
    if not found:
        return f"{what}; there is none of it in {RUNS}/"
    newest = ", ".join(found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{what}: {newest}{more}"


def _name(blueprint: Path) -> str:
    try:
        return str(tomli.loads(blueprint.read_text("utf-8")).get("name", blueprint.stem))
    except (OSError, ValueError, RecursionError):
        return blueprint.stem


def _runs(folder: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Run directories in a folder with their facts, the newest first."""
    try:
        with os.scandir(folder) as entries:
            paths = [entry.path for entry in entries if os.path.isfile(os.path.join(entry.path, "run.json"))]
        paths.sort(key=os.path.getmtime, reverse=True)
    except (OSError, ValueError):
        return
    for path in paths[:MOST]:
        try:
            facts = json.loads(Path(path, "run.json").read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            yield Path(path), facts
