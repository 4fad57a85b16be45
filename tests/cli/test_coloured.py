"""Styled lines on standard output."""

from __future__ import annotations

import pytest

from composer.cli.coloured import columns_of_stdout, print_lines

LINE = [("- ", "removed"), ("[3]", ""), (" ", "same")]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "- [3]\n"),
        ({"FORCE_COLOR": "1", "TERM": "xterm"}, "\x1b[31m- \x1b[0m[3]\n"),
        ({"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}, "- [3]\n"),
    ],
)
def test_colours_on_terminals_that_want_them(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    print_lines([LINE, [("x" * 200, "")]])
    assert capsys.readouterr().out == f"{expected}{'x' * 200}\n"
    assert columns_of_stdout(100) == 100
    monkeypatch.setenv("COLUMNS", "70")
    assert columns_of_stdout(100) == 70
