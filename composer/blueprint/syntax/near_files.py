"""What was meant where a path names no file of a blueprint. Tests: tests/errors/test_near_files.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from composer.spec.package_files import STUDIES, blueprint_files, blueprints_root, registry_root
from composer.spec.wording import listing, near

MAX_FILES = 200
"""Most files of a folder that are compared."""
RUN = "blueprint.toml"
"""The file of a run directory with the settings of the run."""


def meant_for_absent(path: Path) -> str:
    """What was meant by a path at which nothing is."""
    name, root = path.as_posix().removesuffix(".toml"), blueprints_root()
    shipped = [file.relative_to(root).with_suffix("").as_posix() for file in blueprint_files()]
    studies = [f"{STUDIES}/{file.stem}" for file in (root / STUDIES).glob("*.toml")]
    if name in shipped:
        return f"the blueprint that ships with composer is called {name!r}"
    if name in studies or f"{STUDIES}/{name}" in studies:
        study = f"{STUDIES}/{name.rpartition('/')[2]}"
        return f"{study!r} is a study: 'composer study check {study}'"
    ends = [each for each in shipped if each.rpartition("/")[2] == name.rpartition("/")[2]]
    if ends:
        return f"did you mean {listing(ends, 3)}?"
    meant = near(path.as_posix(), _toml_files(path.parent)) or near(name, shipped)
    if meant is not None:
        return f"did you mean {meant!r}?"
    if name.isidentifier() and any(registry_root().rglob(f"{name}.toml")):
        return f"{name!r} is a part of blueprints: 'composer parts {name}'"
    return "'composer list' shows the blueprints that there are"


def meant_for_folder(path: Path) -> str:
    """What was meant by a folder: the blueprint of a run, or a file in it; empty where it has none."""
    if os.path.isfile(path / RUN):
        return f"it is a run: 'composer resume {path}' goes on with it, {path / RUN} has its settings"
    found = [*_toml_files(path)]
    return f"it has {listing(found, 6)}" if found else ""


def _toml_files(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".toml"))
    except OSError:
        return
    yield from ((folder / name).as_posix() for name in names[:MAX_FILES])
