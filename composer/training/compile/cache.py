"""Where compiled code is kept, so that the second start of the same program is warm. Free of torch.

Each program has one folder with everything that inductor wrote for it; it may be shipped to machines of the same kind,
and shared read-only: what it lacks is compiled into a copy. A user without a home, or whose cache cannot be written,
has a private folder below the system's temporary one.
Tests: tests/training/test_compile_cache.py, tests/training/test_compile_ahead.py.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from composer.spec.private_folder import PLAIN, link_to, private_folder

CACHE = "COMPOSER_CACHE"
"""The environment variable with the folder of all programs; by default ``composer`` in the user's cache."""
_INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
_chosen: str | None = None
_given: str | None = None
_place: Place | None = None


class Place(NamedTuple):
    """Where the compiled code of a program is kept."""

    folder: Path
    """May not exist yet."""
    source: Path | None = None
    """A warm folder that cannot be written; ``folder`` begins as a copy of it."""
    note: str | None = None
    """Why it is not the folder that was asked for, for people."""


def cache_directory(key: str) -> Path:
    """The folder of the compiled code of a program, by ``blueprint.forecast.program_key``; it may not exist yet."""
    return _place_of(key).folder


def use_cache(key: str) -> None:
    """Keep compiled code in ``cache_directory`` from now on, or in the folder that inductor's own variable names."""
    global _chosen, _given, _place
    now = os.environ.get(_INDUCTOR)
    if now is None or now != _chosen:
        _given = now
    _place = _usable(Path(_given).absolute(), private_folder()) if _given else _place_of(key)
    folder = _place.folder if _given is None or _place.note else Path(_given)
    # Inductor does not quote the paths that it passes to a compiler.
    _chosen = os.environ[_INDUCTOR] = str(folder if PLAIN.fullmatch(str(folder)) else link_to(folder))


def programs_folder() -> Path | None:
    """The folder of whole programs in the cache that is used, which may not exist yet; None before one is chosen."""
    folder = os.environ.get(_INDUCTOR)
    return Path(folder) / "programs" if folder else None


def fill_cache() -> None:
    """Copy a warm folder that cannot be written into the one that is used, unless that is there already."""
    if _place is None or _place.source is None or _place.folder.exists():
        return
    staged = _place.folder.with_name(f".tmp-{_place.folder.name}-{os.getpid()}")
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(_place.source, staged)
    except (OSError, shutil.Error):  # Files that cannot be read or are being written: they are compiled again.
        pass
    try:
        for path in (staged, *staged.rglob("*")):
            path.chmod(0o700)
        staged.rename(_place.folder)
    except OSError:  # Nothing could be copied, or another process was faster.
        shutil.rmtree(staged, ignore_errors=True)


def cache_note() -> str | None:
    """Why compiled code is not kept where it was asked for, for people; None where it is."""
    return _place and _place.note


def is_warm(key: str) -> bool:
    """Whether code of this program has been compiled here."""
    place = _place_of(key)
    return any(folder.is_dir() and any(folder.iterdir()) for folder in (place.folder, place.source) if folder)


def _place_of(key: str) -> Place:
    named, users, private = _named_root(), _users_root(), private_folder()
    spare = users if named and users and _can_be_written(users / key) else private
    root = named or users
    if root is not None:
        return _usable(root / key, spare)
    if private is None:
        return Place(Path(tempfile.gettempprefix()).absolute() / key)
    return Place(private / key, note=f"this user has no home: compiled code is kept in {private}; {_OTHERWISE}")


_OTHERWISE = f"{CACHE} names another folder"


def _usable(folder: Path, spare: Path | None) -> Place:
    """``folder`` where it can be written, else one of its name in ``spare``."""
    if _can_be_written(folder) or spare is None:
        return Place(folder)
    instead = spare / folder.name
    source = folder if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) else None
    what = "its compiled code is copied to" if source else "compiled code is kept in"
    return Place(instead, source, f"{folder} cannot be written: {what} {instead}; {_OTHERWISE}")


def _named_root() -> Path | None:
    named = os.environ.get(CACHE)
    return Path(named).absolute() if named else None


def _users_root() -> Path | None:
    """``composer`` in the user's cache; None for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(cache):
        return Path(cache) / "composer"
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the user has no account: usual in containers.
        return None
    # Python takes an empty HOME for the root folder.
    return home / ".cache" / "composer" if home.is_absolute() and os.environ.get("HOME") != "" else None


def _can_be_written(folder: Path) -> bool:
    """Whether ``folder`` and all in it can be written, or it can be made."""
    try:
        if folder.is_dir():
            return all(_allowed(path) for path in (folder, *folder.rglob("*")))
        above = next(path for path in folder.parents if path.exists())
        return not folder.exists() and above.is_dir() and _allowed(above)
    except OSError:
        return False


def _allowed(path: Path) -> bool:
    return os.access(path, os.W_OK)
