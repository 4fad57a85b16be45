"""Every blueprint that ships is sound, and every key and value of it is guarded.

Each key is misspelt, each value given a wrong type, each number put out of range, one at a time; each must be refused
on its own line, and a misspelling with the name that was meant.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from composer.blueprint import Problem, check, digest, dump, load, loads_resolved
from composer.blueprint.chain import shipped
from composer.blueprint.parts import parts
from composer.blueprint.positions import scan
from composer.resources import blueprints_root
from composer.spec import near

FILES = sorted(blueprints_root().rglob("*.toml"))
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"\"\"\".*?\"\"\"|\"[^\"\n]*\"|'[^'\n]*'|[^\s,\]}#]+", re.DOTALL)


@dataclass(frozen=True)
class Mutation:
    """A text in place of another at an offset, and the line on which it must be refused."""

    offset: int
    old: str
    new: str
    line: int
    meant: str | None = None

    def applied(self, text: str) -> str:
        """The spoilt text."""
        return text[: self.offset] + self.new + text[self.offset + len(self.old) :]

    def is_refused(self, problems: list[Problem]) -> bool:
        """Whether a problem stands on the line, with what was meant."""
        here = [problem for problem in problems if problem.line == self.line]
        return any(self.meant is None or f"'{self.meant}'" in str(problem) for problem in here)


def mutations(text: str) -> Iterator[Mutation]:
    """One for every key, two or three for every scalar of a blueprint."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for path, place in scan(text).places.items():
        is_free = path[:1] == ("variants",) and len(path) == 2
        if place.key != place.value or isinstance(path[-1], str):
            offset = starts[place.key[0] - 1] + place.key[1] - 1
            match = _KEY.match(text, offset)
            if match and match.group() == path[-1] and not is_free:
                yield _misspelt(offset, match.group(), place.key[0])
        offset = starts[place.value[0] - 1] + place.value[1] - 1
        match = _SCALAR.match(text, offset)
        # A table that is only named in passing has its key's place; a header, its bracket's.
        if place.key == place.value and isinstance(path[-1], str):
            continue
        if match and match.group()[0] not in "[{":
            yield from (Mutation(offset, match.group(), new, place.value[0]) for new in _spoilt(path, match.group()))


def _misspelt(offset: int, key: str, line: int) -> Mutation:
    middle = len(key) // 2
    wrong = key[:middle] + key[middle + 1 :] if len(key) > 3 else key + "x"
    return Mutation(offset, key, wrong, line, key if near(wrong, [key]) else None)


def _spoilt(path: tuple[str | int, ...], value: str) -> list[str]:
    if "${" in value:
        return ['"${values.absent_value}"']
    if value[0] in "\"'":
        return ["12345", "true"]
    if value in ("true", "false"):
        return ['"x"', "7"]
    large = "1e31" if re.search(r"[.e]", value) else "1_000_000_000_000_000"
    return ['"x"', "-1_000_000_000_000_000", "9_223_372_036_854_775_808" if path[0] == "seeds" else large]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(blueprints_root()).as_posix())
def test_a_shipped_blueprint_is_sound(path: Path) -> None:
    assert check(path) == []
    loaded = load(path)
    assert loads_resolved(loaded.resolved) == loaded.blueprint


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(blueprints_root()).as_posix())
def test_every_key_and_value_of_a_shipped_blueprint_is_guarded(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # The whole folder, so that parents are found where the file looks for them.
    folder = shutil.copytree(blueprints_root(), tmp_path / "blueprints")
    spoilt = folder / path.relative_to(blueprints_root())
    accepted = []
    for mutation in mutations(text):
        spoilt.write_text(mutation.applied(text), encoding="utf-8")
        problems = check(spoilt)
        if not mutation.is_refused(problems):
            accepted.append((mutation.line, mutation.old, mutation.new, [str(problem) for problem in problems]))
    assert accepted == []


def test_a_shipped_blueprint_can_be_extended_by_name(tmp_path: Path) -> None:
    for name, path in shipped().items():
        child = tmp_path / "child.toml"
        child.write_text(f'extends = "{name}"\nname = "child"\n')
        assert digest(load(child).blueprint) == digest(load(path).blueprint)


def test_a_resolved_blueprint_loads_as_a_file(tmp_path: Path) -> None:
    for path in FILES:
        saved = tmp_path / "resolved.toml"
        saved.write_text(dump(load(path).blueprint))
        assert load(saved).blueprint == load(path).blueprint


def test_every_parameter_of_a_part_is_used_in_its_body() -> None:
    from composer.blueprint.interpolation import references

    for part in parts().values():
        used = {target[0] for _, target in references(part.body)}
        assert used == set(part.parameters), part.name
