"""Markdown for the reference: prose from docstrings, tables, code, anchors.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})")
_CODE = re.compile(r"(``.+?``)", re.DOTALL)
_SPECIAL = re.compile(r"([<\\]|\*(?!\w+\*)(?<!\w\*))")
"""What Markdown would take for markup, except for the emphasis of ``*one*`` word."""


def prose(docstring: str) -> str:
    """A docstring as Markdown: double backticks become code and arXiv numbers links; the rest is escaped."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in docstring.strip().split("\n\n")]
    return "\n\n".join(_marked(paragraph) for paragraph in paragraphs)


def _marked(text: str) -> str:
    return "".join(
        f"`{piece[2:-2]}`" if index % 2 else _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", _escaped(piece))
        for index, piece in enumerate(_CODE.split(text))
    )


def _escaped(text: str) -> str:
    # Brackets need no escape: "[n] (of it)", with a space, is not a link.
    return _SPECIAL.sub(r"\\\1", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table. Pipes in cells are escaped, in code too, as GitHub's Markdown requires."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: str, language: str = "toml") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading: lower case, hyphens for spaces, no other signs."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def page(*pieces: str) -> str:
    """The pieces that are not empty, with blank lines between them."""
    return "\n\n".join(piece.strip("\n") for piece in pieces if piece) + "\n"
