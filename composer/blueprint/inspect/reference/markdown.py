"""Markdown as the reference needs it: prose from docstrings, tables whose cells may hold pipes, code, links.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})")
_CODE = re.compile(r"(``.+?``)", re.DOTALL)
_SPECIAL = re.compile(r"([<\\]|\*(?!\w+\*)(?<!\w\*))")
"""What Markdown would read as markup; ``*one*`` emphasised word stays one."""


def prose(docstring: str) -> str:
    """A docstring's paragraphs: double backticks become code, arXiv numbers links; nothing else is markup."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in docstring.strip().split("\n\n")]
    return "\n\n".join(_marked(paragraph) for paragraph in paragraphs)


def _marked(text: str) -> str:
    return "".join(
        f"`{piece[2:-2]}`" if index % 2 else _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", _escaped(piece))
        for index, piece in enumerate(_CODE.split(text))
    )


def _escaped(text: str) -> str:
    # "[n] (of it)" is no link in Markdown, "[n](of it)" would be; docstrings have spaces there.
    return _SPECIAL.sub(r"\\\1", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; pipes in cells are escaped, in code too, where GitHub's Markdown wants it so."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: str, language: str = "toml") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def anchor(heading: str) -> str:
    """What GitHub makes of a heading for links: lower case, spaces to hyphens, other signs away."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def page(*pieces: str) -> str:
    """Pieces with a blank line between them; empty ones left out."""
    return "\n\n".join(piece.strip("\n") for piece in pieces if piece) + "\n"
