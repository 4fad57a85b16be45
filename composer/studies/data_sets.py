"""``composer data``: which data sets are on this machine, and what to fetch by hand for those that are not.

Nothing is fetched, neither here nor by a run. Tests: tests/studies/test_data_sets.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.environments.labelled.datasets import Data, DataUnusable
from composer.spec.quantities import counted

if TYPE_CHECKING:
    from composer.environments.labelled.datasets.published import Published

MISSING, SPOILT, THERE, DRAWN = "missing", "spoilt", "there", "needs no file"


def answer(base: Path, used: Mapping[str, Sequence[Data]], sums: bool) -> dict[str, Any]:
    """Every published data set below ``base``, and every kind that needs none; or those that blueprints use, by title.

    ``sums`` lists the SHA-256 of each file that a blueprint can declare.
    """
    rows = list(_used(used, sums)) if used else [*_published(base, sums), *_drawn()]
    return {"folder": str(base.absolute()), "ready": all(row["state"] in (THERE, DRAWN) for row in rows), "data": rows}


def _published(base: Path, sums: bool) -> Iterator[dict[str, Any]]:
    for kind in Data.kinds().values():
        for each in kind.published:
            data = kind(**{"folder": str(base / each.folder), **each.keys})
            yield {"title": each.title, **_row(data, each, sums)}


def _drawn() -> Iterator[dict[str, Any]]:
    for name, kind in Data.kinds().items():
        example = kind(**{key: value for key, value in kind.example.items() if key != "kind"})
        if example.place is None:
            yield {"title": name, "kind": name, "state": DRAWN, "note": kind.summary()}


def _used(used: Mapping[str, Sequence[Data]], sums: bool) -> Iterator[dict[str, Any]]:
    for title, sets in used.items():
        for data in sets:
            yield {"title": title, **_row(data, data.origin, sums)}


def _row(data: Data, origin: Published | None, sums: bool) -> dict[str, Any]:
    """The state of one data set; where it cannot be used, why not and what to do."""
    if (folder := data.place) is None:
        return {"kind": data.kind, "state": DRAWN, "note": type(data).summary()}
    row: dict[str, Any] = {"kind": data.kind, "looked_for": str(folder.absolute())}
    archive = _archive(folder.parent, origin) if origin else {}
    try:
        data.verify()
    except DataUnusable as error:
        state, fetch = SPOILT if folder.is_dir() else MISSING, _fetch(folder.parent, origin) if origin else {}
        return {**row, "state": state, "note": str(error), **archive, **fetch}
    info = data.info
    note = f"{counted(info.size, 'sample')}, {info.held_out:,} held out, {info.classes:,} classes"
    hashes = {name: _digest(folder / name, "sha256") for name in data.files} if sums else {}
    return {**row, "state": THERE, "note": note, **archive, **({"sha256": hashes} if hashes else {})}


def _archive(where: Path, origin: Published) -> dict[str, Any]:
    """Whether the archive lies beside the folder, and is the published one."""
    path = where / origin.archive
    if not path.is_file():
        return {}
    is_right = path.stat().st_size == origin.size and _digest(path, "md5") == origin.md5
    return {"archive": f"{path}: {'as published' if is_right else 'cut short, or another file than published'}"}


def _fetch(where: Path, origin: Published) -> dict[str, Any]:
    get = f"{origin.url} ({origin.size / 1e6:,.0f} MB, MD5 {origin.md5})"
    download = f"curl -L --create-dirs -o {where / origin.archive} {origin.url}"
    return {"fetch": get, "commands": [download, origin.unpack(str(where))]}


def _digest(path: Path, name: str) -> str:
    with path.open("rb") as file:
        return file_digest(file, name).hexdigest()


def text(table: Mapping[str, Any]) -> str:
    """A line per data set; below it where it is looked for, what is wrong with it, and what to run."""
    lines = []
    for row in table["data"]:
        lines.append(f"{row['title']}: {row['state']}" + (f", {row['note']}" if row["state"] in (THERE, DRAWN) else ""))
        if "looked_for" in row:
            lines.append(f"    {row['looked_for'] if row['state'] == THERE else row['note']}")
        if "archive" in row:
            lines.append(f"    {row['archive']}")
        if "fetch" in row:
            lines.append(f"    fetch {row['fetch']} by hand; composer fetches nothing:")
            lines += [f"        {command}" for command in row["commands"]]
        lines += [f"    sha256 of {name}: {digest}" for name, digest in row.get("sha256", {}).items()]
    return "\n".join(lines)
