"""Help: every command says in a line what it does, and has examples that can be copied; no markup swallows a word."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.core import TyperArgument, TyperGroup
from typer.testing import CliRunner

from composer.blueprint import load
from composer.blueprint.syntax.notation import experiments
from composer.cli import app
from composer.cli.commands import Command
from composer.studies.study.load import shipped_studies

MADE = ("my.toml", "search.toml", "pong.toml", "walker.toml")
"""Files of the user."""
ONE_LINE = 64
"""Columns of what a command does, on a terminal of 80."""


def commands(group: Any, path: str = "composer") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ROOT: Any = typer.main.get_command(app)
ALL = dict(commands(ROOT))


def examples(command: Any) -> list[str]:
    head, *lines = command.epilog.replace("\\[", "[").split("\n")
    assert head == "Examples:" and lines
    return [*lines]


def test_names_have_no_underscore_and_each_command_is_there() -> None:
    assert {"composer list", "composer study run"} <= ALL.keys()
    assert not [path for path in ALL if path.endswith("_")]


@pytest.mark.parametrize("path", ALL)
def test_a_command_says_in_a_line_what_it_does_and_has_examples(path: str) -> None:
    command = ALL[path]
    first = Text.from_markup(command.help).plain.split("\n\n")[0]
    assert len(first) <= ONE_LINE and first.endswith(".")
    for line in examples(command):
        assert len(line) < 80 and line.startswith(path)
        words = shlex.split(line.partition(" > ")[0])[len(path.split()) :]
        parsed = command.make_context(path, words).params  # Raises for an unknown option or a value of a wrong type.
        for param in command.params:
            value = parsed[param.name]
            if isinstance(param, TyperArgument) and "FILE[" in (param.metavar or ""):
                check_files([value] if isinstance(value, str) else list(value))
            if param.metavar == "STUDY":
                assert value in shipped_studies() or value in MADE


def check_files(words: list[str]) -> None:
    for chosen in experiments([word for word in words if word not in (*MADE, *shipped_studies())]):
        assert chosen.path.is_file(), chosen


def test_blueprints_variants_and_keys_of_examples_are_there() -> None:
    found = {
        tuple(shlex.split(line)[2:])
        for command in ALL.values()
        for line in examples(command)
        if re.search(r"FILE\[", " ".join(str(param.metavar) for param in command.params)) and " scale " not in line
    }
    assert len(found) > 15
    for words in found:
        named = [word for word in words if re.search(r"=|^quickstart|^(dmc|atari|classic)/", word)]
        for each in experiments(named):
            assert load(*each, is_to_run=False)


def test_no_markup_swallows_what_is_written() -> None:
    for path, command in ALL.items():
        written = inspect.cleandoc(command.callback.__doc__ or "").replace("\n\nExamples:\n    ", "\n\nExamples:\n")
        shown = "\n\n".join(Text.from_markup(text).plain for text in (command.help, command.epilog))
        assert shown.split() == written.split(), path
        for param in command.params:
            given = getattr(param, "help", None) or ""
            assert Text.from_markup(given).plain == given.replace("\\[", "["), (path, param.name)


def test_brackets_of_options_are_shown() -> None:
    def hidden(size: int = typer.Option(1, help="As in [search], also [/] and a[0].")) -> None:
        """Find [search]."""

    small = typer.Typer()
    small.command(cls=Command, help=hidden.__doc__)(hidden)
    shown = CliRunner().invoke(small, ["--help"], env={"COLUMNS": "120"}).output
    assert "Find [search]." in shown and "As in [search], also [/] and a[0]." in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_the_first_help_fits_begins_with_what_comes_first_and_says_how(columns: int) -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(columns)}, prog_name="composer").output
    lines = output.splitlines()
    assert max(map(len, lines)) == columns
    titles = re.findall(r"^╭─ (.+?) ─+╮$", output, flags=re.MULTILINE)
    assert titles == ["Options", "Start here", "Runs", "Blueprints", "Many runs", "Results", "Measurements"]
    for path, command in ALL.items():
        if path.count(" ") == 1:
            first = Text.from_markup(command.help).plain.split("\n\n")[0]
            assert any(f" {path.split()[1]} " in line and first in line for line in lines), path
    assert "composer train quickstart" in output and "study " in output


def test_the_search_example_is_a_study_of_the_guide() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "studies.md"
    assert "search.toml" in guide.read_text(encoding="utf-8")
