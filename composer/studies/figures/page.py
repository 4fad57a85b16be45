"""One HTML page with sentences, tables and figures, which needs nothing else: no script, no other file, no date.

Boxes choose the agents that figures and tables show, and the agent below the pointer stands out: by style alone.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import permutations
from typing import Final

from composer.studies.compare.report import Section
from composer.studies.figures.sheet import Sheet
from composer.studies.plots import Look

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin-bottom: 1rem; font-size: 0.85rem; display: block; overflow-x: auto; }
th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; } .note { color: #555; font-size: 0.85rem; }
fieldset { position: sticky; top: 0; background: #fffe; border: 1px solid #ddd; max-height: 6rem; overflow-y: auto; }
fieldset label { margin-right: 1rem; white-space: nowrap; } summary h2 { display: inline; } summary { cursor: pointer; }
@media print { fieldset { display: none; } }
""".strip()


MOST_ROWS: Final = 60
"""Tables of more rows are closed until they are opened."""


def page(
    title: str,
    sections: Iterable[Section],
    sheets: Sequence[Sheet],
    notes: Sequence[str],
    lead: str = "",
    looks: Mapping[str, Look] | None = None,
) -> str:
    """The page: what the data decide, in the sections' sentences, the figures, then the tables.

    ``looks`` are those of the agents in the figures, by their names in the tables.
    """
    parts = list(sections)
    body = [f"<h1>{escape(title)}</h1>", *([f"<p>{escape(lead)}</p>"] if lead else [])]
    body += [f"<p>{escape(sentence)}</p>" for part in parts for sentence in part.sentences]
    figures = [f'<figure role="img" aria-label="{escape(sheet.caption)}">{sheet.svg()}</figure>' for sheet in sheets]
    chosen = looks if looks and len(looks) > 1 and any('class="agent-' in each for each in figures) else {}
    body += [*([_choice(chosen)] if chosen else []), *figures]
    classes = _classes(chosen)
    for part in parts:
        state = " open" if len(part.rows) + len(part.pairs) <= MOST_ROWS else ""
        tables = "".join(_table(each, classes) for each in (part.rows, part.pairs) if each)
        body.append(f"<details{state}><summary><h2>{escape(part.heading)}</h2></summary>{tables}</details>")
    body += [f'<p class="note">{escape(note)}</p>' for note in notes]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}{_choosing(chosen)}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def _choice(looks: Mapping[str, Look]) -> str:
    boxes = (
        f'<label><input type="checkbox" id="show-{own.group}" checked> '
        f'<span style="color: {own.colour}">&#9632;</span> {escape(name)}</label>'
        for name, own in looks.items()
    )
    return f"<fieldset><legend>shown</legend>{' '.join(boxes)}</fieldset>"


def _choosing(looks: Mapping[str, Look]) -> str:
    """Rules that hide an agent whose box is empty, and pale the others in the figure where the pointer is on one."""
    return "".join(
        f"\nbody:has(#show-{own.group}:not(:checked)) .{own.group} {{ display: none; }}"
        f'\nfigure:has(.{own.group}:hover) g[class^="agent-"]:not(.{own.group}) {{ opacity: 0.15; }}'
        for own in looks.values()
    )


def _classes(looks: Mapping[str, Look]) -> dict[str, str]:
    """The classes of rows by their first cell: an agent, or a pair of them."""
    found = {
        f"{one} - {two}": f"{own.group} {other.group}" for (one, own), (two, other) in permutations(looks.items(), 2)
    }
    return found | {name: own.group for name, own in looks.items()}


def _table(rows: Sequence[Sequence[str]], classes: Mapping[str, str]) -> str:
    head, *body = rows
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in body:
        named = f' class="{classes[row[0]]}"' if row[0] in classes else ""
        lines.append(f"<tr{named}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


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
