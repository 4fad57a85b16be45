"""Bash takes a word apart at ``@``, ``=`` and ``:``, asks for its last piece, and puts the answer in place of that.

Here the pieces become the word that was typed, and the answer loses what bash keeps. Other shells have no need of it.
Tests: tests/cli/completion/test_words.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

INSTRUCTION = "_COMPOSER_COMPLETE"
_BREAKS = re.compile(r"[@=:]+")
"""Pieces that bash makes of the characters between pieces."""
_KEPT = re.compile(r".*(?:[=:](?!@)|(?=@))", re.DOTALL)
"""What bash keeps of a word: ``@`` belongs to the piece after it, ``=`` and ``:`` to that before."""


def is_asked() -> bool:
    """Whether bash asks for the words at a TAB."""
    return os.environ.get(INSTRUCTION) == "complete_bash"


def answer(app: Callable[[], None]) -> None:
    """Have ``app`` complete the word that was typed; print what bash is to put in place of its last piece."""
    pieces, place = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    words = whole(pieces, place)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(len(words) - 1)
    was_apart = len(words) <= place
    kept = _KEPT.match(words[-1]) if was_apart else None
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            app()
    finally:
        for line in printed.getvalue().splitlines():
            print(line.removeprefix(kept[0]) if kept is not None else line)


def whole(pieces: list[str], place: int) -> list[str]:
    """The words up to the piece at ``place``. An empty piece is a word that begins: a space was before it."""
    words: list[str] = []
    is_open = False
    for piece in [*pieces[: place + 1], *[""] * (place + 1 - len(pieces))]:
        is_break = _BREAKS.fullmatch(piece) is not None
        if words and piece and (is_break or is_open):
            words[-1] += piece
        else:
            words.append(piece)
        is_open = is_break
    return words
