"""When an update is compiled: a question that the blueprint and the machine answer, never a measurement."""

from __future__ import annotations

import pytest

from composer.compiling import Unavailable, choose


@pytest.mark.parametrize(
    ("mode", "device", "updates", "parameters", "compiled"),
    [
        ("never", "cuda", 10**9, 10, False),
        ("always", "cpu", 1, 10**9, True),
        ("auto", "cpu", 11_999, 10, False),
        ("auto", "cpu", 12_000, 10, True),
        ("auto", "cpu", 10**7, 10**7, False),
        ("auto", "cuda", 1, 10**7, True),
    ],
)
def test_whether_to_compile_follows_from_the_blueprint(
    mode: str, device: str, updates: int, parameters: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("composer.compiling.has_compiler", lambda: True)
    assert choose(mode, device, updates, parameters).compiled is compiled


def test_without_a_compiler_auto_is_eager_and_always_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.compiling.has_compiler", lambda: False)
    assert not choose("auto", "cpu", 10**9, 10).compiled
    with pytest.raises(Unavailable, match=r"g\+\+ or clang\+\+"):
        choose("always", "cpu", 10**9, 10)
    assert choose("always", "cuda", 10**9, 10).compiled
