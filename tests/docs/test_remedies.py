"""The page of remedies is true: every snippet is a sound blueprint, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from guide_pages import GUIDES, ROOT, assert_printed, fences, write_files
from typer.testing import CliRunner

from composer.blueprint import load
from composer.cli import app

LEAST = 45
"""Remedies that the page has to list."""


def rows() -> list[list[str]]:
    """The cells of every row: remedy, papers, part, test."""
    lines = (GUIDES / "remedies.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] != "remedy"]


@cache
def functions(file: Path) -> frozenset[str]:
    """The functions of a test file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_there_are_as_many_remedies_as_it_says() -> None:
    named = [row[0] for row in rows()]
    assert len(set(named)) == len(named) >= LEAST
    said = re.search(r"as parts: (\d+) remedies", (GUIDES / "remedies.md").read_text(encoding="utf-8"))
    assert said is not None and int(said.group(1)) == len(named)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_remedy_has_a_paper_a_part_and_a_test(row: list[str]) -> None:
    remedy, papers, part, test = row
    assert re.fullmatch(r"(\[(\d{4}\.\d{4,5})\]\(https://arxiv\.org/abs/\2\)(, )?)+", papers), remedy
    spans = re.findall(r"`([^`]+)`", part)
    base = "quickstart" if "=" in spans[0] else spans.pop(0)
    load(ROOT / "blueprints" / f"{base}.toml", spans)
    found = re.fullmatch(r"\[([\w/.]+)\]\(\.\./\.\./tests/\1\) `(test_\w+)`", test)
    assert found is not None, test
    assert found.group(2) in functions(ROOT / "tests" / found.group(1)), test


def test_the_combination_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files("remedies.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    (command,) = [fence.text for fence in fences("remedies.md") if fence.language == "console"]
    first, _, printed = command.partition("\n")
    words = first.removeprefix("$ composer ").split()
    assert_printed(printed, CliRunner().invoke(app, words).output, words)
