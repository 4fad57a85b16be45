"""Every blueprint that ships is sound, and every key and value of it is guarded.

Each key is misspelt, given twice or left out where it is needed, each value given a wrong type or put out of range, one
at a time (tests/mutations.py); ``composer check`` must refuse each with exit code 2, on its own line.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import pytest
from mutations import (
    Mutation,
    answers,
    deleted,
    doubled,
    fewer_wrong_values,
    first_of_each_place,
    focused,
    misspellings,
    place_of,
    places,
    unguarded,
    wrong_values,
)

from composer.blueprint import Blueprint, check, digest, dump, load, loads_resolved
from composer.blueprint.checks.spec_at import spec_at
from composer.blueprint.syntax.extends import shipped
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.positions import Path as Steps
from composer.environments.suites.registered import RegisteredSuite
from composer.spec.family import Family
from composer.spec.package_files import blueprint_files, blueprints_root

FILES = blueprint_files()
LONG = 1_900
"""Bytes above which a file's mutations, each of which checks all its variants, are no quick test."""


def _named(path: Path, quick: float) -> object:
    marks = [pytest.mark.slow] if path.stat().st_size > quick else []
    return pytest.param(path, id=path.relative_to(blueprints_root()).as_posix(), marks=marks)


each_file = pytest.mark.parametrize("path", [_named(path, inf) for path in FILES])
each_spoilt = pytest.mark.parametrize("path", [_named(path, LONG) for path in FILES])


@pytest.fixture(autouse=True)
def _packages_count_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the package of a suite is missing on a machine is no fault of a blueprint; training would say it."""
    monkeypatch.setattr(RegisteredSuite, "refusal", lambda suite: None)


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """The folder of a file, in a copy of all of them, so that parents are found where the file looks for them."""
    folder = shutil.copytree(blueprints_root(), tmp_path_factory.mktemp("shipped") / "blueprints")
    return lambda path: (folder / path.relative_to(blueprints_root())).parent


@each_file
def test_a_shipped_blueprint_is_sound(path: Path) -> None:
    assert check(path) == []
    loaded = load(path)
    assert loads_resolved(loaded.resolved) == loaded.blueprint


@each_spoilt
@pytest.mark.parametrize("mutations", [misspellings, fewer_wrong_values, doubled], ids=lambda chosen: chosen.__name__)
def test_every_key_and_value_of_a_shipped_blueprint_is_guarded(
    path: Path, mutations: Callable[[str], Iterator[Mutation]], beside: Callable[[Path], Path]
) -> None:
    """Alone spoils every key and value of the larger shipped blueprints, each place in the first file that has it."""
    text = path.read_text(encoding="utf-8")
    assert unguarded(first_of_each_place(tuple(FILES), mutations)[path], text, beside(path)) == []


def test_places_are_told_apart_by_kind_key_writing_variant_and_value() -> None:
    text = 'a = { kind = "x", n = 1 }\n[b]\nkind = "x"\nn = 1\n[c]\nkind = "y"\nn = 1\n[d.b]\nkind = "x"\nn = 1\n'
    found = [place for each, place in places(text, misspellings(text)) if each.old == "n"]
    assert len(found) == 4 and len(set(found)) == 3 and found[1] == found[3]
    wrong = [place for each, place in places(text, wrong_values(text)) if each.old == "1"]
    assert len(set(wrong)) == len(wrong) * 3 // 4


def test_no_value_of_the_quickstart_may_have_another_type(tmp_path: Path) -> None:
    text = (blueprints_root() / "quickstart.toml").read_text(encoding="utf-8")
    assert unguarded(wrong_values(text), text, tmp_path) == []


@each_spoilt
def test_what_a_shipped_blueprint_needs_cannot_be_left_out(path: Path, beside: Callable[[Path], Path]) -> None:
    """Alone leaves out every key of the larger shipped blueprints, each place in the first file that has it."""
    text = path.read_text(encoding="utf-8")
    values, tried = tomllib.loads(text), [each for each in deleted(text) if _is_first(path, each[0])]
    if not tried:
        return
    for (steps, mutation), problems in zip(
        tried,
        answers((focused(mutation.applied(text), mutation.line) for _, mutation in tried), beside(path)),
        strict=True,
    ):
        # Without its 'use' a table has keys of no kind; which of 'kind' and 'use' it lacks cannot be known.
        name = "kind" if steps[-1] == "use" else steps[-1]
        reported = any(f"'{name}'" in problem["message"] for problem in problems)
        assert reported or not is_needed(values, steps), (mutation, problems)


def _is_first(path: Path, steps: Steps) -> bool:
    """Whether no file before has the key's place; ``kind`` and ``use`` are left out wherever they stand."""
    return steps[-1] in ("kind", "use") or steps in _first_keys()[path]


@cache
def _first_keys() -> dict[Path, set[Steps]]:
    seen: set[tuple[object, ...]] = set()
    first: dict[Path, set[Steps]] = {}
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
        found = {steps: ("extends" in values, *place_of(values, steps)) for steps, _ in deleted(text)}
        first[path] = {steps for steps, place in found.items() if place not in seen}
        seen |= set(found.values())
    return first


def is_needed(values: dict[str, Any], steps: Steps) -> bool:
    """Whether a key of a file without parents has no default: one of a spec, or the name of a kind or of a part."""
    table: Any = values
    for step in steps[:-1]:
        table = table[step]
    if "extends" in values or steps[0] == "variants" or ("use" in table and steps[-1] != "use"):
        return False
    spec = spec_at(Blueprint, values, steps[:-1])
    if spec is None or steps[-1] not in spec.model_fields:
        return steps[-1] in ("kind", "use") and (spec is None or issubclass(spec, Family))
    return spec.model_fields[str(steps[-1])].is_required()


def test_the_command_refuses_in_a_process_of_its_own(tmp_path: Path) -> None:
    text = (blueprints_root() / "quickstart.toml").read_text(encoding="utf-8")
    chosen = [next(iter(generate(text))) for generate in (misspellings, wrong_values, doubled)]
    files = [tmp_path / f"{number}.toml" for number in range(len(chosen))]
    for file, mutation in zip(files, chosen, strict=True):
        file.write_text(mutation.applied(text), encoding="utf-8")
    command = [sys.executable, "-c", "from composer.cli import main; main()", "check", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3_600, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    for file, mutation in zip(files, chosen, strict=True):
        assert f"{file}:{mutation.line}:" in done.stdout


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
    from composer.blueprint.syntax.interpolation import references

    for part in parts().values():
        used = {target[0] for _, target in references(part.body)}
        assert used == set(part.parameters), part.name
