"""Tables of tasks: sizes and limits of every task without its simulator, and the named sets that papers report on.

Both are TOML under ``registry/suites/``. ``tools/dm_control_table.py`` and ``tools/atari_table.py`` write the tables of
tasks, that of MinAtar is written by hand; tests compare them with the simulators.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic_core import PydanticCustomError

from composer.spec.package_files import registry_root
from composer.spec.wording import spelled, suggestion

FORMAT = 1


@dataclass(frozen=True)
class Task:
    """One task of a simulator; steps are environment steps, before action repeat."""

    name: str
    observation_size: int
    action_size: int
    episode_env_steps: int
    control_seconds: float
    terminates: bool


@dataclass(frozen=True)
class Game:
    """One Atari game and the number of actions that have an effect in it."""

    name: str
    minimal_actions: int


@dataclass(frozen=True)
class MinAtarGame:
    """One MinAtar game: its kinds of objects, and the number of actions that have an effect in it."""

    name: str
    channels: int
    minimal_actions: int


@dataclass(frozen=True)
class Suite:
    """A named set of tasks of one kind of environment, with the training budget of its source."""

    name: str
    environment: str
    description: str
    source: str
    env_steps: int
    tasks: tuple[str, ...]


@cache
def task_table(environment: str) -> Mapping[str, Task]:
    """Every task of a kind of environment, by name."""
    return {name: Task(name, **row) for name, row in _rows(f"tasks_{environment}").items()}


@cache
def game_table() -> Mapping[str, Game]:
    """Every single-player Atari game of ALE, by name."""
    return {name: Game(name, **row) for name, row in _rows("tasks_atari").items()}


@cache
def minatar_table() -> Mapping[str, MinAtarGame]:
    """Every MinAtar game, by name."""
    return {name: MinAtarGame(name, **row) for name, row in _rows("tasks_minatar").items()}


def game_of_id(name: str) -> str | None:
    """The game of an id such as ``ALE/MsPacman-v5`` or ``MsPacmanNoFrameskip-v4``; None where it is no game's."""
    stem = name.rpartition("/")[2].partition("-v")[0].removesuffix("NoFrameskip").removesuffix("Deterministic")
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in stem).lstrip("_")
    return next((game for game in (stem, snake) if game in game_table()), None)


def known(name: str, table: Mapping[str, object], noun: str) -> str:
    """``name``, a key of the table; raises PydanticCustomError, which suggests similar names."""
    if name not in table:
        values = {"noun": noun, "name": spelled(name), "hint": suggestion(name, table)}
        raise PydanticCustomError("task_unknown", "no {noun} named {name}{hint}", values)
    return name


def suite_names() -> tuple[str, ...]:
    """Names of all sets of tasks, sorted."""
    files = (registry_root() / "suites").glob("*.toml")
    return tuple(sorted(file.stem for file in files if not file.stem.startswith("tasks_")))


def suite(name: str) -> Suite:
    """The set of tasks called ``name``. Raises KeyError, which suggests similar names."""
    if name not in suite_names():
        raise KeyError(f"no suite named {name!r}{suggestion(name, suite_names())}")
    table = _read(name)
    return Suite(**{**table, "tasks": tuple(table["tasks"])})


def _rows(stem: str) -> dict[str, dict[str, Any]]:
    table = _read(stem)
    return {name: dict(zip(table["columns"], row, strict=True)) for name, row in table["tasks"].items()}


def _read(stem: str) -> dict[str, Any]:
    path = registry_root() / "suites" / f"{stem}.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if (version := table.pop("suite", None)) != FORMAT:
        raise ValueError(f"{path}: this table is of format {version}; composer reads format {FORMAT}")
    return table
