"""Typical mistakes of newcomers: every message contains the cure, and the cure makes the blueprint sound."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from composer.blueprint import check
from composer.environments.suites.packages import PACKAGES, package_of_id
from composer.spec.package_files import blueprints_root

CASES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("newcomers.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_message_contains_the_cure(case: dict[str, Any]) -> None:
    path = blueprints_root() / f"{case.get('of', 'quickstart')}.toml"
    found = check(path, case["write"])
    assert any(case["said"] in str(problem) for problem in found), [str(problem) for problem in found]
    cure = case.get("cure", ())
    if "cure" not in case:
        wrong = {number for number in range(1, len(case["write"]) + 1) if any(each.line == number for each in found)}
        kept = [text for number, text in enumerate(case["write"], 1) if number not in wrong]
        cure = dict.fromkeys([*kept, *(text for problem in found for text in _written(problem.hint))])
    assert [str(problem) for problem in check(path, list(cure))] == []


def _written(hint: str) -> list[str]:
    """The overrides of ``write KEY=VALUE KEY=VALUE: why``."""
    texts = hint.partition("write ")[2]
    for end in range(len(texts), 0, -1):
        head = texts[:end]
        try:
            words = shlex.split(head)
        except ValueError:
            continue
        if words and all("=" in word for word in words) and texts[end:][:2] in ("", ": "):
            return words
    raise AssertionError(f"no overrides in {hint!r}")


def test_a_package_is_found_by_its_ids() -> None:
    for name, package in PACKAGES.items():
        if package.module:
            assert package_of_id(package.id) is package, name
            assert f'module = "{package.module}"' in package.advice()
        assert package.advice().startswith("pip install ")
    assert package_of_id("CartPole-v1") is None
