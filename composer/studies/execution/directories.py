"""The run directories that a study looks at: which of them train given settings, and how far each is.

A directory belongs to settings by its provenance hash, made anew from their digest and the circumstances that the
directory records. Nothing is locked or written. Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from composer.spec.errors import ComposerError
from composer.spec.run_files import open_to_read
from composer.tracking.journal import decode
from composer.tracking.records import JOURNAL
from composer.training.assemble import decisive
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import holder, read_facts, read_settings
from composer.training.runs.provenance import provenance_hash

State = Literal["held", "finished", "diverged", "begun"]
_STAMP = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}$")
_TAIL_BYTES = 64 * 1024


class Found(NamedTuple):
    """A run directory of given settings."""

    path: Path
    state: State
    """``held``: a process trains it; ``begun``: it can perhaps be resumed."""
    facts: Mapping[str, Any]
    """The content of ``run.json``."""
    changed: str = ""
    """The versions in which it differs from those asked for, in words."""


class RunDirectories:
    """The directories below ``runs``, each of which is read once."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._facts: dict[str, Mapping[str, Any] | None] = {}

    def refresh(self) -> None:
        """Read the directories that are new."""
        # pathlib's * also matches the names of directories that are being made.
        names = {path.parent.name for path in self._runs.glob("*/run.json") if not path.parent.name.startswith(".")}
        for name in names - self._facts.keys():
            self._facts[name] = _facts(self._runs / name)
        for name in self._facts.keys() - names:
            del self._facts[name]

    def of(self, key: str, avoided: Collection[Path] = ()) -> list[Path]:
        """The directories of the settings with digest ``key``, the newest first, without forks."""
        found = [self._runs / name for name, facts in self._facts.items() if facts and _trains(facts, key)]
        return sorted((path for path in found if path not in avoided), key=_age, reverse=True)

    def facts(self, path: Path) -> Mapping[str, Any]:
        """The content of ``run.json`` of one of these directories."""
        return self._facts.get(path.name) or {}

    def find(
        self, key: str, env_steps: int, versions: Mapping[str, str | None], avoided: Collection[Path] = ()
    ) -> Iterator[Found]:
        """The directories of a run of ``env_steps``, the newest first; edited ones are left out."""
        for path in self.of(key, avoided):
            with suppress(ComposerError):
                read_settings(path)
                facts = self.facts(path)
                yield Found(path, state_of(path, env_steps), facts, _changed(facts["fingerprint"], versions))


def state_of(path: Path, env_steps: int) -> State:
    """What can be said of a run directory by looking at it."""
    if holder(path)[1]:
        return "held"
    if Checkpoints(path).are_complete(env_steps):
        return "finished"
    return "begun" if last_event(path).get("name") != "diverged" else "diverged"


def last_event(path: Path) -> Mapping[str, Any]:
    """The last row of a run's journal, if it is an event."""
    try:
        with open_to_read(path / JOURNAL) as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().splitlines(keepends=True)
        row = decode(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}
    return row if row.get("type") == "event" else {}


def _facts(path: Path) -> Mapping[str, Any] | None:
    with suppress(ComposerError):
        return read_facts(path)
    return None


def _trains(facts: Mapping[str, Any], key: str) -> bool:
    if "fork" in facts or not {"hash", "fingerprint", "device"} <= facts.keys():
        return False
    with suppress(ComposerError):
        return bool(provenance_hash(key, decisive(facts)) == facts["hash"])
    return False


def _age(path: Path) -> tuple[str, str]:
    stamp = _STAMP.search(path.name)
    return (stamp[0] if stamp else "", path.name)


def _changed(then: Mapping[str, Any], now: Mapping[str, str | None]) -> str:
    return "; ".join(
        f"{name}: {then.get(name)} then, {version} now" for name, version in now.items() if then.get(name) != version
    )


def chosen(found: Iterable[Found]) -> Found | None:
    """The directory that stands for a run: one that has ended, else one that is trained now, else the newest begun.

    One that ended under other versions does not count.
    """
    candidates = [each for each in found if not (each.state in ("finished", "diverged") and each.changed)]
    order: tuple[State, ...] = ("finished", "diverged", "held", "begun")
    return min(candidates, key=lambda each: order.index(each.state), default=None)
