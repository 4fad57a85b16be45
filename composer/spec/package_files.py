"""Where the files that ship with composer lie: named parts (``registry/``) and experiments (``blueprints/``).

In a source tree both stand at its top, in an installed package inside it. Everything that reads them asks here.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package."""


def _root(name: str) -> Path:
    """The folder ``name`` inside the package, else beside it; FileNotFoundError names both when there is neither."""
    candidates = (PACKAGE / name, PACKAGE.parent / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"this installation has no folder {name!r}: neither {candidates[0]} nor {candidates[1]}")


def registry_root() -> Path:
    """The folder of named parts and tables: ``blocks/``, ``networks/``, ``suites/`` and so on."""
    return _root("registry")


def blueprints_root() -> Path:
    """The folder of experiments that ship with composer."""
    return _root("blueprints")
