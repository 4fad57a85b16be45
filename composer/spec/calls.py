"""Calls into code of others: environments, plug-ins, modules. Whatever they raise becomes an ``Exception``.

``sys.exit`` in an environment, a KeyboardInterrupt that it raises itself, a cancelled task: none of them may end
composer as though the user had asked for it. Tests: tests/spec/test_calls.py.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class CtrlC(KeyboardInterrupt):
    """The KeyboardInterrupt of a signal, raised by a handler of composer's."""


class Escaped(RuntimeError):
    """Code of others raised something that is no ``Exception``; ``__cause__`` is what it raised."""


def tell_ctrl_c_apart() -> None:
    """Let Ctrl-C raise ``CtrlC``, so that it is not taken for a KeyboardInterrupt that an environment raises."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise_ctrl_c)


def _raise_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise CtrlC


@contextmanager
def of_others() -> Iterator[None]:
    """Code of others runs inside: what it raises and is no ``Exception`` becomes ``Escaped``, but for a real Ctrl-C."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if is_users(error):
            raise
        raise Escaped(in_words(error)) from error


def is_users(error: BaseException | None) -> bool:
    """Whether the user has pressed Ctrl-C, and no code has raised KeyboardInterrupt by itself.

    With Python's own handler the two look the same: then it is taken for the user's.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    return isinstance(error, CtrlC) or signal.getsignal(signal.SIGINT) is signal.default_int_handler


def in_words(error: BaseException) -> str:
    """Class and message on one line: ``SystemExit: 3``."""
    if isinstance(error, Escaped):
        return str(error)
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
