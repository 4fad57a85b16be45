"""What ``check`` answers: every problem, as text for people and as a table for ``--json``.

Tests: tests/blueprint/test_serialize.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.load import check
from composer.blueprint.syntax.problems import Problem

MAX_SHOWN = 20
"""Problems of one file that are printed; ``--json`` holds all."""


def check_files(paths: Sequence[str | FilePath]) -> list[Problem]:
    """Every problem of every file, file by file."""
    return [problem for path in paths for problem in check(path)]


def check_text(problems: Sequence[Problem]) -> str:
    """A line a problem; no text at all where there is none."""
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more problems")
    return "\n".join(lines)


def check_json(problems: Sequence[Problem]) -> dict[str, Any]:
    """``{"ok": ..., "problems": [{"file", "line", "column", "path", "message", "hint"}]}``."""
    return {"ok": not problems, "problems": [problem.as_dict() for problem in problems]}
