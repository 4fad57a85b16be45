"""The schema of blueprints and the names of kinds, kept in a file of the user's cache.

Making them imports every kind, which takes a second; reading the file takes milliseconds. It is made anew where
composer or a registry has changed, or where something was installed. Tests: tests/cli/completion/test_vocabulary.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import site
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from composer.spec.package_files import PACKAGE, registry_root


class Vocabulary(TypedDict):
    """What can be written in a blueprint."""

    stamp: str
    """Of the code that it was made from."""
    schema: dict[str, Any]
    """The JSON Schema of blueprints, with known tasks as examples."""
    names: list[str]
    """Families, kinds and tables: what ``composer kinds`` takes."""
    algorithms: list[str]
    environments: list[str]
    """What ``composer new`` takes: kinds with their tasks, and data sets."""
    parts: list[str]


def vocabulary() -> Vocabulary:
    """The words of this installation, from the cache where that has them."""
    path, stamp = _file(), _stamp()
    with suppress(OSError, ValueError, KeyError, TypeError):
        found: Vocabulary = json.loads(path.read_bytes())
        if found["stamp"] == stamp:
            return found
    made = _make(stamp)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}-{os.getpid()}")
        staged.write_text(json.dumps(made), encoding="utf-8")
        staged.replace(path)
    return made


def _file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "composer" / "completion.json"


def _stamp() -> str:
    """A hash of the times of composer's files and of the folders in which packages are installed."""
    times = [f"{PACKAGE} {sys.version}"]
    times += sorted(f"{path} {when}" for root in (PACKAGE, registry_root()) for path, when in _times(Path(root)))
    with suppress(OSError):
        times += [f"{folder} {os.stat(folder).st_mtime_ns}" for folder in site.getsitepackages()]
    return hashlib.sha256("\n".join(times).encode("utf-8", "surrogateescape")).hexdigest()


def _times(folder: Path) -> Iterator[tuple[str, int]]:
    """The files of code and of parts below a folder, with the times of their last change."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _times(Path(entry.path))
            elif entry.name.endswith((".py", ".toml")):
                yield entry.path, entry.stat().st_mtime_ns


def _make(stamp: str) -> Vocabulary:
    from composer.algorithms.base import Algorithm
    from composer.blueprint.inspect.json_schema import schema_json
    from composer.blueprint.inspect.kinds.names import known_names
    from composer.blueprint.syntax.parts import parts
    from composer.environments.base import Environment
    from composer.spec.family import FAMILIES

    schema = schema_json()  # First: it registers every kind, plug-ins included.
    tasks = [f"{name}/{task}" for name, kind in Environment.kinds().items() for task in kind.known_tasks()]
    alone = [task for kind in Environment.kinds().values() for task in kind.known_tasks()]
    plain = [name for name, kind in Environment.kinds().items() if not kind.task_key]
    environments = [*dict.fromkeys((*alone, *tasks, *plain, *FAMILIES["data"].kinds()))]
    for option in schema["$defs"]["environment"]["anyOf"]:
        kind = Environment.kinds().get(option.get("properties", {}).get("kind", {}).get("const"))
        if kind is not None and kind.task_key:
            known = option["properties"][kind.task_key]
            option["properties"][kind.task_key] = {"anyOf": [known, {"examples": [*kind.known_tasks()]}]}
    return {
        "stamp": stamp,
        "schema": schema,
        "names": known_names(),
        "algorithms": [*Algorithm.kinds()],
        "environments": environments,
        "parts": sorted(parts()),
    }
