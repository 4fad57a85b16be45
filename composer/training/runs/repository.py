"""The Git repositories of a run: the user's, which holds the experiment, and composer's own source tree.

Tests: tests/faults/test_repository.py.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from composer.spec.package_files import PACKAGE, blueprints_root

SECONDS = 10.0
"""How long git may take: a run does not wait for a slow network drive."""
_REDIRECTIONS = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
)
"""Variables that a Git hook or a script sets: git would read another repository than that of the folder."""


class NoCommit(Exception):
    """A folder has no commit that can be recorded; the message says why."""


def repository(blueprint: Path | None) -> dict[str, Any]:
    """The commit of the repository around a blueprint's file, else of that around the working directory.

    A blueprint that composer ships, and one that was written in Python (None), have the working directory's. ``dirty``
    tells of uncommitted changes to tracked files, or that the blueprint itself is not tracked. Without a commit,
    ``commit`` and ``dirty`` are None and ``why`` gives the reason.
    """
    folders = [Path.cwd()]
    shipped = blueprint is not None and blueprint.resolve().is_relative_to(blueprints_root().resolve())
    if blueprint is not None and not shipped:
        folders.insert(0, blueprint.resolve().parent)
    reasons = []
    for folder in dict.fromkeys(folders):
        try:
            return _described(folder, None if shipped or folder is not folders[0] else blueprint)
        except NoCommit as reason:
            reasons.append(str(reason))
    return {"commit": None, "dirty": None, "why": reasons[0]}


def facts(blueprint: Path | None) -> dict[str, Any]:
    """The entries of ``run.json``: the ``repository`` of a blueprint's file, and the commit of composer's own tree."""
    found = repository(blueprint)
    return {"git_commit": shown(found), "repository": found, "composer_commit": source_commit()}


def shown(found: dict[str, Any]) -> str | None:
    """A commit in one word, with ``-dirty`` where that is not all; None without one."""
    return f"{found['commit']}-dirty" if found["dirty"] else found["commit"]


def source_commit() -> str | None:
    """The commit of composer's own source tree; None where composer is installed without one."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    try:
        return shown(_described(PACKAGE.parent, None))
    except NoCommit:
        return None


def _described(folder: Path, blueprint: Path | None) -> dict[str, Any]:
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        raise NoCommit(f"{folder} lies in a repository without a work tree")
    root = _git(folder, "rev-parse", "--show-toplevel")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", otherwise=f"{root} has no commits yet")
    dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    if blueprint is not None and not dirty:
        dirty = not _git(folder, "ls-files", "--", blueprint.resolve().name)
    return {"commit": commit, "dirty": dirty, "folder": root}


def _git(folder: Path, *arguments: str, otherwise: str = "") -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    # Nothing that the repository configures is executed, and nothing in it is locked or written.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise NoCommit(f"git did not answer within {SECONDS:g} s in {folder}") from None
    except OSError as error:
        raise NoCommit(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NoCommit(otherwise or (said[0].removeprefix("fatal: ") if said else f"git {arguments[0]} failed"))
    return done.stdout.decode("utf-8", "replace").strip()
