"""One HTML page with sentences, tables and figures, which needs nothing else: no script, no other file, no date.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from composer.studies.compare.report import Section
from composer.studies.figures.sheet import Sheet

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin-bottom: 1rem; font-size: 0.85rem; display: block; overflow-x: auto; }
th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; } .note { color: #555; font-size: 0.85rem; }
""".strip()


def page(title: str, sections: Iterable[Section], sheets: Sequence[Sheet], notes: Sequence[str], lead: str = "") -> str:
    """The page: what the data decide, in the sections' sentences, the figures, then the tables."""
    parts = list(sections)
    body = [f"<h1>{escape(title)}</h1>", *([f"<p>{escape(lead)}</p>"] if lead else [])]
    body += [f"<p>{escape(sentence)}</p>" for part in parts for sentence in part.sentences]
    body += [f'<figure role="img" aria-label="{escape(sheet.caption)}">{sheet.svg()}</figure>' for sheet in sheets]
    for part in parts:
        body += [f"<h2>{escape(part.heading)}</h2>", _table(part.rows), *([_table(part.pairs)] if part.pairs else [])]
    body += [f'<p class="note">{escape(note)}</p>' for note in notes]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def markdown(
    title: str, sections: Iterable[Section], pictures: Sequence[tuple[str, str]], notes: Sequence[str], lead: str = ""
) -> str:
    """The same as Markdown, with ``pictures`` by file name and caption."""
    parts = list(sections)
    lines = [f"# {title}", "", *([lead, ""] if lead else [])]
    lines += [f"{sentence}\n" for part in parts for sentence in part.sentences]
    lines += [f"![{_plain(caption)}]({name})\n\n*{_plain(caption)}*\n" for name, caption in pictures]
    for part in parts:
        lines += [f"## {part.heading}", "", *markdown_table(part.rows), ""]
        lines += [*markdown_table(part.pairs), ""] if part.pairs else []
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, whose first row is its head."""
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in body]


def _plain(caption: str) -> str:
    """Without what Markdown would read as markup."""
    return caption.replace("[", "(").replace("]", ")").replace("*", "")
