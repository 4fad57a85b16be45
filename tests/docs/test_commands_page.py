"""The page guide/commands.md is what the help of the commands says today, and its reading commands work as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from guide_pages import ROOT
from typer.testing import CliRunner

from composer.cli import app
from tools.commands import page

WRITTEN = (ROOT / "docs" / "guide" / "commands.md").read_text(encoding="utf-8")
READING = ("list", "new", "cp", "check", "show", "kinds", "parts", "explain", "diff", "lint", "metrics", "resolve")
READING += ("eject", "schema", "plan", "ablate")


def test_the_page_is_that_of_today() -> None:
    assert WRITTEN == page(), "docs/guide/commands.md is out of date: run `make docs`"


@pytest.mark.slow
def test_reading_commands_work_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs them. tests/cli/test_help.py parses the examples of the others, which train or need a run."""
    monkeypatch.chdir(tmp_path)
    for line in re.findall(r"^\$ composer (.*)$", WRITTEN, flags=re.MULTILINE):
        words = shlex.split(line.partition(" > ")[0])
        if words[0] in READING:
            plans = ["--plan"] if words[0] == "ablate" and "--plan" not in words else []
            done = CliRunner().invoke(app, [*words, *plans])
            assert done.exit_code == 0, (line, done.output)
    assert {"my.toml", "pong.toml", "walker.toml", "networks.svg", "networks.py"} <= {*map(str, Path().iterdir())}
