"""The folders that ship with composer: named parts (``registry/``) and experiments (``blueprints/``).

A source tree has them at its top, an installed package inside of itself.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package."""


def _root(name: str) -> Path:
    """The folder ``name`` inside of the package, else beside it; raises FileNotFoundError."""
    candidates = (PACKAGE / name, PACKAGE.parent / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"this installation has no folder {name!r}: neither {candidates[0]} nor {candidates[1]}")


def registry_root() -> Path:
    """The folder of named parts and of task tables."""
    return _root("registry")


def blueprints_root() -> Path:
    """The folder of experiments that ship with composer."""
    return _root("blueprints")


STUDIES = "studies"
"""The folder of ``blueprints_root`` with studies, which are files of another format."""


def blueprint_files() -> list[Path]:
    """The files of all experiments that ship with composer, sorted."""
    root = blueprints_root()
    return [path for path in sorted(root.rglob("*.toml")) if path.relative_to(root).parts[0] != STUDIES]
