"""What blueprints there are: those that ship, and those of the working folder, each with purpose, source and cost.

Tests: tests/studies/test_catalogue.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import tomli

from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.duration import guessed_seconds
from composer.blueprint.forecast.parameters import trainable_parameters
from composer.blueprint.inspect.purpose import UNKNOWN, Purpose, purpose_of
from composer.blueprint.load import load
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.problems import BlueprintError
from composer.blueprint.syntax.read import MAX_BYTES
from composer.spec.package_files import blueprints_root

MAX_FILES = 200
"""Most files of the working folder that are listed."""


@dataclass(frozen=True)
class Cost:
    """What a run takes, as declared; the time is guessed."""

    seeds: int
    env_steps: int
    """Per seed."""
    updates: int
    parameters: int
    """Trained scalars of one seed."""
    seconds: float
    """Of the whole run on one CPU, perhaps ten times off."""


@dataclass(frozen=True)
class Entry:
    """A blueprint."""

    name: str
    """What commands call it: ``dmc/sac_simba``, or the path of a file."""
    file: Path
    about: Purpose = UNKNOWN
    variants: tuple[str, ...] = ()
    cost: Cost | None = None
    """None where it has a problem, or an environment that is not built to read it."""
    problem: str = ""
    """The first problem of a file that is no valid blueprint."""


def entry(name: str, file: Path) -> Entry:
    """The entry of a file, which may be wrong."""
    try:
        about = purpose_of(file)
        loaded = load(file, is_to_run=False)
    except BlueprintError as error:
        return Entry(name, file, problem=str(error.problems[0]))
    cost = cost_of(loaded.blueprint) if loaded.is_known else None
    return Entry(name, file, about, loaded.variants, cost)


def cost_of(blueprint: Blueprint) -> Cost:
    """The cost of a run whose environment is known."""
    lengths = lengths_of(blueprint)
    seconds, parameters = guessed_seconds(blueprint), trainable_parameters(blueprint)
    return Cost(len(blueprint.seeds), lengths.env, lengths.update, parameters, seconds)


def local_files(folder: Path, key: str) -> Mapping[str, Path]:
    """The TOML files of a folder, and of ``blueprints/`` in it, that have ``key`` at their top, by their paths.

    Those that ship with composer are left out, and files that are too large, or no TOML.
    """
    root = blueprints_root()
    return {
        path.relative_to(folder).as_posix(): path
        for path in islice(_toml_files(folder), MAX_FILES)
        if not path.resolve().is_relative_to(root) and _has(path, key)
    }


def _toml_files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.toml"))
    yield from sorted((folder / "blueprints").rglob("*.toml"))


def _has(path: Path, key: str) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MAX_BYTES and key in tomli.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
