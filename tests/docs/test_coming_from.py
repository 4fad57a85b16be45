"""The tables of docs/guide/coming-from.md are what composer answers, row by row."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from composer.blueprint.checks.synonyms.meaning import meaning
from composer.spec import builtin_kinds
from composer.spec.package_files import blueprints_root

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "coming-from.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z0-9_/]+)` \| `(.+?)` \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("blueprint", "theirs", "here"), ROWS)
def test_a_row_is_what_composer_answers(blueprint: str, theirs: str, here: str) -> None:
    builtin_kinds.register()
    values: dict[str, Any] = tomllib.loads((blueprints_root() / f"{blueprint}.toml").read_text(encoding="utf-8"))
    written = tomllib.loads("\n".join(re.split(r" (?=[a-z_]+=)", theirs)))
    found = meaning(values | written, (), next(iter(written)))
    assert found is not None and found.text(on_command_line=False).removeprefix("write ") == here


def test_the_page_has_a_table_for_each_library() -> None:
    assert len(ROWS) >= 45
    assert re.findall(r"^## From (.+)$", PAGE, re.MULTILINE) == ["stable-baselines3", "CleanRL", "Dopamine"]


def test_the_first_example_is_what_check_prints() -> None:
    from composer.blueprint import check

    command, printed = re.findall(r"^\$ composer check (.+)\n(.+)$", PAGE, re.MULTILINE)[0]
    name, *overrides = shlex.split(command)
    assert [str(each) for each in check(blueprints_root() / f"{name}.toml", overrides)] == [printed]
