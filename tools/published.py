"""Hold shipped blueprints to what is published (``python -m tools.published``), and write the tables of docs/published.

One file of facts per blueprint, in docs/published/, says what its source has, where, and why ours differs if it does
(docs/published/README.md has the format). A deviation that no file declares fails. Tests: tests/docs/test_published.py.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from composer.blueprint import load
from composer.blueprint.serialize import flatten
from composer.blueprint.syntax.write import toml_value
from composer.spec.package_files import blueprint_files

ROOT = Path(__file__).resolve().parents[1]
BLUEPRINTS, FACTS = ROOT / "blueprints", ROOT / "docs" / "published"
TAGS = {"C": "read in the released code", "P": "read in the paper", "R": "recalled, not verified"}
ABSENT = "absent"
"""Written where the source has no such setting, and the blueprint leaves the key out."""
STATED = ("algorithm", "averages", "interventions", "normalization", "optimizers", "penalties", "replay.sampling")
"""Tables whose every value needs a fact, or a reason for having none."""
HEADER = "<!-- Written by `python -m tools.published --write` from the files of facts beside it. -->\n"


@dataclass(frozen=True)
class Fact:
    """A value that is published, and ours where it differs."""

    key: str
    published: object
    at: str
    tag: str
    ours: object = None
    reason: str = ""
    variant: str = ""
    """The variant of the blueprint that it is about; empty for the blueprint itself."""

    def values(self) -> Iterator[tuple[str, object, object]]:
        """Each scalar by its whole key: what is published, and what ours has to be."""
        ours = dict(leaves(self.key, self.ours))
        for key, value in leaves(self.key, self.published):
            yield key, value, ours.pop(key, value) if self.ours is not None else value
        for key, value in ours.items():
            yield key, ABSENT, value

    @property
    def deviates(self) -> bool:
        """Whether ours is declared to differ."""
        return self.ours is not None


@dataclass(frozen=True)
class Facts:
    """What is published about one blueprint."""

    name: str
    source: Mapping[str, str]
    """``code``, ``commit``, ``paper``; or ``own``: why there is no source."""
    facts: tuple[Fact, ...] = ()
    deviations: tuple[Mapping[str, str], ...] = ()
    """Differences that no key shows."""
    ours: tuple[Mapping[str, Any], ...] = ()
    """Keys, with all below them, about which nothing is published: ``keys`` and ``reason``."""
    problems: tuple[str, ...] = field(default=())
    """Faults of the file itself."""


def leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    """The scalars of a value by their whole keys; of None nothing."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(f"{key}.{name}", item)
    elif isinstance(value, list):
        if not value:
            yield key, "[]"
        for index, item in enumerate(value):
            yield from leaves(f"{key}[{index}]", item)
    elif value is not None:
        yield key, value


def read(name: str) -> Facts:
    """The facts of a blueprint, those of the file that it ``extends`` included."""
    table = tomllib.loads((FACTS / f"{name}.toml").read_text(encoding="utf-8"))
    below = read(table["extends"]) if "extends" in table else Facts(name, {})
    facts = tuple(Fact(**each) for each in table.get("fact", ()))
    own = [key for each in table.get("ours", ()) for key in each["keys"]]
    replaced = [*own, *(each.key for each in facts if not each.variant)]
    inherited = [each for each in below.facts if not each.variant and not is_below(each.key, replaced)]
    ours = (*table.get("ours", ()), *below.ours)
    deviations = (*table.get("deviation", ()), *below.deviations)
    problems = tuple(
        f"{name}: {each.key}: {message}"
        for each in facts
        for message in (
            f"tag {each.tag!r}: write one of {', '.join(TAGS)}" if each.tag not in TAGS else "",
            "differs without a reason" if each.deviates and not each.reason else "",
            "has a reason, but not the value of ours" if each.reason and not each.deviates else "",
        )
        if message
    )
    return Facts(name, table.get("source", below.source), (*facts, *inherited), deviations, ours, problems)


def names() -> list[str]:
    """Every shipped blueprint: ``dmc/sac_simba``."""
    return sorted(path.relative_to(BLUEPRINTS).with_suffix("").as_posix() for path in blueprint_files())


def problems(facts: Facts) -> Iterator[str]:
    """Values that differ from the facts without being declared to, and stated tables with a value that has no fact."""
    yield from facts.problems
    if not {"code", "paper", "own"} & facts.source.keys():
        yield f"{facts.name}: [source] names neither code nor paper, nor says that the settings are its own"
    known: set[tuple[str, str]] = set()
    for fact in facts.facts:
        values = _values(facts.name, fact.variant)
        for key, published, wanted in fact.values():
            if (fact.variant, key) in known:
                continue
            known.add((fact.variant, key))
            found = values.get(key, ABSENT)
            if found != wanted:
                name = f"{facts.name}@{fact.variant}" if fact.variant else facts.name
                yield f"{name}: {key} is {found!r}, not {wanted!r} ({fact.at})"
            elif fact.deviates and fact.ours == fact.published:
                yield f"{facts.name}: {key} is declared to differ from {published!r}, and does not"
    if "own" in facts.source:
        return
    own = [key for each in facts.ours for key in each["keys"]]
    for key in _values(facts.name, ""):
        if is_below(key, STATED) and ("", key) not in known and not is_below(key, own):
            yield f"{facts.name}: {key} has no fact: write what is published, or that it is ours and why"


@cache
def _values(name: str, variant: str) -> Mapping[str, object]:
    loaded = load(BLUEPRINTS / f"{name}.toml", (), *([variant] if variant else []), is_to_run=False)
    return flatten(loaded.blueprint)


def is_below(key: str, prefixes: Sequence[str]) -> bool:
    """Whether a key is one of ``prefixes``, or in the table or list at one."""
    return any(key == each or key.startswith((f"{each}.", f"{each}[")) for each in prefixes)


def pages() -> dict[str, str]:
    """The table of each folder of blueprints by the name of its page."""
    found: dict[str, list[str]] = {}
    for name in names():
        folder = name.partition("/")[0]
        found.setdefault(f"{folder}.md", [HEADER, f"# Published settings: {folder}\n"]).append(_section(read(name)))
    return {page: "\n".join(sections) for page, sections in found.items()}


def _section(facts: Facts) -> str:
    lines = [f"## {facts.name}\n"]
    if "own" in facts.source:
        lines.append(f"No published source: {facts.source['own']}\n")
    named = [facts.source.get("code", ""), facts.source.get("commit", ""), facts.source.get("paper", "")]
    if any(named):
        lines.append(f"Source: {', '.join(each for each in named if each)}.\n")
    rows = [
        (f"`{each.key}`" + (f" of `{each.variant}`" if each.variant else ""), each.published, each.ours, each)
        for each in facts.facts
    ]
    if differing := [row for row in rows if row[3].deviates]:
        lines += ["| key | published | ours | where | why |", "|---|---|---|---|---|"]
        lines += [f"| {key} | {_cell(p)} | {_cell(o)} | {f.at} [{f.tag}] | {f.reason} |" for key, p, o, f in differing]
        lines.append("")
    for each in facts.deviations:
        there = f"{each['published']} ({each['at']} [{each['tag']}])"
        lines.append(f"- {each['what']}: {there}; here {each['ours']}: {each['reason']}")
    lines += ["", *[f"- Ours, `{'`, `'.join(each['keys'])}`: {each['reason']}" for each in facts.ours]]
    if same := [row for row in rows if not row[3].deviates]:
        lines += ["", f"<details><summary>As published: {len(same)} facts</summary>\n"]
        lines += ["| key | value | where |", "|---|---|---|"]
        lines += [f"| {key} | {_cell(published)} | {fact.at} [{fact.tag}] |" for key, published, _, fact in same]
        lines.append("\n</details>")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    text = toml_value(value) if isinstance(value, Mapping | list) else str(value)
    return text.replace("|", "\\|")


def main() -> None:
    """Print every problem, exit code 1 if there is one; with ``--write`` write the pages anew instead."""
    if "--write" in sys.argv:
        for page, text in pages().items():
            (FACTS / page).write_text(text, encoding="utf-8")
        return
    found = [problem for name in names() for problem in problems(read(name))]
    print("\n".join(found) or "every shipped blueprint is what its facts say")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
