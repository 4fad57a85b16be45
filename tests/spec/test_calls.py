"""Whatever code of others raises becomes an error; only a real Ctrl-C stays one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from composer.spec.calls import CtrlC, Escaped, in_words, is_users, of_others, tell_ctrl_c_apart


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The handler of the command line, which tells the two apart."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    tell_ctrl_c_apart()
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit(), "SystemExit"),
        (KeyboardInterrupt("mine"), "KeyboardInterrupt: mine"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_what_is_no_exception_becomes_one(raised: BaseException, words: str) -> None:
    with pytest.raises(Escaped, match=f"^{words}$") as caught, of_others():
        raise raised
    assert caught.value.__cause__ is raised and in_words(caught.value) == words


def test_errors_pass_as_they_are_and_so_does_ctrl_c() -> None:
    with pytest.raises(ZeroDivisionError), of_others():
        raise ZeroDivisionError
    with pytest.raises(CtrlC), of_others():
        signal.raise_signal(signal.SIGINT)


def test_with_pythons_own_handler_a_keyboard_interrupt_is_taken_for_the_users() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert is_users(KeyboardInterrupt()) and not is_users(SystemExit())


def test_an_error_that_cannot_say_itself_has_its_class() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert in_words(Mute()) == "Mute" and in_words(ValueError("a\n  b")) == "ValueError: a b"
