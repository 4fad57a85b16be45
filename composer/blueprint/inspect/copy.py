"""Copy the file of a blueprint or a study, comments included, so that the copy works where it is.

Tests: tests/blueprint/inspect/test_copy.py.
"""

from __future__ import annotations

from pathlib import Path

import tomli

from composer.blueprint.syntax.read import read_text
from composer.spec.errors import ComposerError
from composer.spec.wording import quote


class NotCopied(ComposerError, OSError):
    """A file was not copied or written: what is there stays as it was."""

    exit_code = 2


def copy(source: Path, target: Path | None, is_forced: bool = False) -> Path:
    """Copy ``source`` to ``target``, a file or a folder, by default to its own name in the working folder.

    Returns the path of the copy. A shipped parent is found from anywhere; one beside the source only from its folder.
    Raises NotCopied, and BlueprintError where the source cannot be read.
    """
    text = read_text(source, str(source))
    path = Path(source.name) if target is None else target / source.name if target.is_dir() else target
    if path.resolve() == source.resolve():
        raise NotCopied(f"{path} is the file itself")
    for key in ("extends", "blueprint"):
        parent = _table(text).get(key)
        beside = isinstance(parent, str) and parent.partition("@")[0].endswith(".toml")
        if beside and path.parent.resolve() != source.parent.resolve():
            hint = f"copy into {source.parent}, or write the whole with 'composer resolve {source}'"
            raise NotCopied(f"{source} names {quote(str(parent))}, which is beside it: {hint}")
    write_new(path, text, is_forced)
    return path


def write_new(path: Path, text: str, is_forced: bool = False) -> None:
    """Write a file that is not there yet, or with ``is_forced`` in the place of another; raises NotCopied."""
    try:
        with path.open("w" if is_forced else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise NotCopied(f"{path} is there already: give another name, or --force to replace it") from None
    except OSError as error:
        raise NotCopied(f"{path}: cannot be written ({error.strerror})") from None


def _table(text: str) -> dict[str, object]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError):
        return {}
