"""What is said about a spoilt blueprint, word for word: messages are interface. Cases stand in ``messages.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.blueprint import check
from composer.blueprint.checks import meaning as verify

CASES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("messages.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_messages(case: dict[str, Any], spoil: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "available_bytes", lambda: 21_000_000_000)
    monkeypatch.setattr(verify, "disk_bytes", lambda _: 70_000_000_000)
    reported = [str(problem).removeprefix("b.toml:") for problem in check(spoil(case["old"], case["new"]))]
    assert len(reported) == len(case["said"]), reported
    for line, expected in zip(reported, case["said"], strict=True):
        cut = expected.removesuffix("...")
        assert (line[: len(cut)] if expected.endswith("...") else line) == cut
        assert line.isprintable()
