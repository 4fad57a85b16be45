"""When an update is compiled: a question that the blueprint and the machine answer, never a measurement."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from composer.training.compile import capture as compiling
from composer.training.compile.capture import Unavailable, choose, missing_for_compiling


@pytest.mark.parametrize(
    ("mode", "device", "updates", "compiled"),
    [
        ("never", "cuda", 10**9, False),
        ("always", "cpu", 1, True),
        ("auto", "cpu", 11_999, False),
        ("auto", "cpu", 12_000, True),
        ("auto", "cuda", 1, True),
    ],
)
def test_whether_to_compile_follows_from_the_blueprint(
    mode: str, device: str, updates: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "missing_for_compiling", lambda: None)
    assert choose(mode, device, updates).compiled is compiled


@pytest.mark.parametrize(
    ("mode", "device", "updates", "in_background"),
    [
        ("auto", "cpu", 11_999, False),
        ("auto", "cpu", 12_000, True),
        ("auto", "cuda", 12_000, False),
        ("always", "cpu", 12_000, False),
        ("never", "cpu", 12_000, False),
    ],
)
def test_auto_compiles_in_the_background_where_it_is_repaid_and_numbers_may_change(
    mode: str, device: str, updates: int, in_background: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "missing_for_compiling", lambda: None)
    found = choose(mode, device, updates, reproducible=False)
    assert found.in_background is in_background and not (found.compiled and in_background)
    assert not choose(mode, device, updates).in_background


def test_without_a_compiler_auto_is_eager_and_says_why_and_always_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    eager = compiling.Choice(False, "no C++ compiler was found (no-such-compiler)")
    assert choose("auto", "cpu", 10**9) == choose("auto", "cpu", 10**9, reproducible=False) == eager
    with pytest.raises(Unavailable, match="no-such-compiler"):
        choose("always", "cpu", 10**9)
    assert choose("always", "cuda", 10**9).compiled


def test_python_without_headers_cannot_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "true")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert missing_for_compiling() == f"Python's headers were not found ({tmp_path / 'Python.h'})"
    (tmp_path / "Python.h").touch()
    assert missing_for_compiling() is None
