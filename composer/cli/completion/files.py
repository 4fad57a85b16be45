"""Blueprints, studies and runs on the disk, as far as a word names them. Tests: tests/cli/completion/test_words.py."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import tomli

from composer.spec.package_files import STUDIES, blueprint_files, blueprints_root

MAX_ENTRIES = 2_000
"""Most entries of a folder that are looked at."""
MAX_BYTES = 64 * 1024
MAX_PARENTS = 16
RUN = "run.json"
"""The file that makes a folder a run directory."""
RUNS = "runs"
"""Where runs are by default."""
_BLUEPRINT = re.compile(r"^\s*(blueprint\s*=\s*\d|extends\s*=)", re.MULTILINE)
_STUDY = re.compile(r"^\s*study\s*=\s*\d", re.MULTILINE)


def blueprints(word: str) -> Iterator[str]:
    """Names of shipped blueprints, and paths of .toml files with a blueprint, that begin with ``word``."""
    root = blueprints_root()
    names = (path.relative_to(root).with_suffix("").as_posix() for path in blueprint_files())
    yield from (name for name in names if name.startswith(word))
    yield from _paths(word, lambda path: _has(path, _BLUEPRINT))


def studies(word: str) -> Iterator[str]:
    """Names of shipped studies, and paths of .toml files with a study, that begin with ``word``."""
    names = (f"{STUDIES}/{path.stem}" for path in sorted((blueprints_root() / STUDIES).glob("*.toml")))
    yield from (name for name in names if name.startswith(word))
    yield from _paths(word, lambda path: _has(path, _STUDY))


def runs(word: str) -> Iterator[str]:
    """Run directories that begin with ``word``; without a slash in it, also those in the folder of runs."""
    yield from _paths(word, _is_run)
    if not os.path.dirname(word) and f"{RUNS}/".startswith(word):
        yield from (path for path in _paths(f"{RUNS}/", _is_run) if not path.endswith("/"))


def _paths(word: str, is_wanted: Callable[[str], bool]) -> Iterator[str]:
    """Paths of wanted entries, and of folders with a slash after them; a folder alone is gone into."""
    while True:
        wanted, folders = [], []
        above, begin = os.path.split(word)
        for entry in islice(_entries(os.path.expanduser(above) or "."), MAX_ENTRIES):
            path = os.path.join(above, entry.name)
            if not entry.name.startswith(begin) or (entry.name.startswith(".") and not begin):
                continue
            if is_wanted(entry.path):
                wanted.append(path)
            elif entry.is_dir():
                folders.append(f"{path}/")
        if wanted or len(folders) != 1 or folders[0] == word:
            yield from sorted(wanted) + sorted(folders)
            return
        word = folders[0]


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _is_run(path: str) -> bool:
    return os.path.isfile(os.path.join(path, RUN))


def _has(path: str, key: re.Pattern[str]) -> bool:
    """Whether the path is a TOML file in which a line sets the key."""
    if not path.endswith(".toml"):
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return key.search(file.read(MAX_BYTES)) is not None
    except OSError:
        return False


def written(name: str) -> Mapping[str, Any]:
    """What a blueprint and its parents write, variants as a table of its own; empty where they cannot be read."""
    merged: dict[str, Any] = {}
    path: Path | None = _found(name, Path())
    for _ in range(MAX_PARENTS):
        if path is None:
            break
        try:
            table = tomli.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            break
        variants = merged.get("variants", table.get("variants", {})) if merged else table.get("variants", {})
        merged = {**layered(table, merged), "variants": variants}
        parent = table.get("extends")
        path = _found(parent, path.parent) if isinstance(parent, str) else None
    return merged


def _found(name: str, folder: Path) -> Path | None:
    path = folder / name
    if os.path.isfile(path):
        return path
    shipped = blueprints_root() / f"{name}.toml"
    return shipped if os.path.isfile(shipped) else None


def layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of ``above`` over those of ``below``, key by key; a table of another kind or part replaces the whole."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            is_other = any(each in value and value[each] != old.get(each) for each in ("kind", "use"))
            merged[key] = dict(value) if is_other else layered(old, value)
        else:
            merged[key] = value
    return merged


def variants(name: str) -> Mapping[str, Any]:
    """The variants of a blueprint, by name."""
    found = written(name).get("variants", {})
    return found if isinstance(found, Mapping) else {}
