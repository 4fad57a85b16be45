"""All results as one page, which also names the pieces without a result. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.pieces import Piece
from benchmarks.gpu.runner import Record, read

PAGE: Final = "README.md"
_HEAD: Final = """\
# On a GPU

Written by `make gpu` (`python -m benchmarks.gpu`) from the JSON files next to it, one per piece; do not edit. A piece
without a file was not measured yet.
"""
_STATES: Final = {
    "done": "Done",
    "failed": "**Failed**",
    "skipped": "Skipped",
    "unfinished": "Unfinished",
}


def write(pieces: Sequence[Piece], out: Path) -> Path:
    """Write the page into the folder of the results."""
    out.mkdir(parents=True, exist_ok=True)
    page = out / PAGE
    page.write_text(text({piece: read(out, piece.name) for piece in pieces}), encoding="utf-8")
    return page


def text(records: Mapping[Piece, Record | None]) -> str:
    """The page."""
    sections = [_HEAD]
    for piece, record in records.items():
        sections += [f"## {piece.name}", "", piece.shows, "", *_section(record)]
    return "\n".join(sections).rstrip() + "\n"


def _section(record: Record | None) -> list[str]:
    if record is None:
        return ["Not measured yet.", ""]
    why = f": {record['why']}" if record["why"] else ""
    lines = [f"{_STATES[record['state']]}{why}. {_where(record)}", ""]
    if record["scale"] != "full":
        lines += ["**At toy scale: these numbers are no measure of speed.**", ""]
    if record["rows"]:
        lines += [*table(record["rows"]), ""]
    missed = [check for check in record["checks"] if not check["passed"]]
    if missed:
        lines += ["Beyond their limits:", "", *table(missed), ""]
    return lines + [line for note in record["notes"] for line in (f"- {note}",)] + ([""] if record["notes"] else [])


def _where(record: Record) -> str:
    machine = record["machine"]
    device = machine.get("gpu") or machine["cpu"]
    return (
        f"{record['when']}, {record['seconds']:g} s on {record['device']} ({device}), composer {machine['composer']}, "
        f"torch {machine['torch']}, Python {machine['python']}: `{record['command']}`"
    )


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as lines of Markdown; columns in the order in which they first appear, gaps as a dash."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
