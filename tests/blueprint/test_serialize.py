"""A blueprint as TOML, as a hash, as flat parameters, compared; and memory that is not there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from composer.blueprint import check, diff, digest, dump, flatten, load, loads_resolved
from composer.blueprint.checks import meaning as verify
from composer.blueprint.schema import Blueprint
from composer.cli.answers import problems_json, problems_text
from composer.spec.package_files import blueprint_files, blueprints_root

QUICKSTART = blueprints_root() / "quickstart.toml"


def quickstart(*overrides: str) -> Blueprint:
    return load(QUICKSTART, overrides).blueprint


@pytest.mark.parametrize("path", blueprint_files(), ids=lambda path: path.stem)
def test_load_of_dump_is_the_identity(path: Path) -> None:
    for variant in (None, *load(path, is_to_run=False).variants):
        blueprint = load(path, variant=variant, is_to_run=False).blueprint
        again = loads_resolved(tomllib.loads(dump(blueprint)))
        assert again == blueprint
        assert dump(again) == dump(blueprint)
        assert digest(again) == digest(blueprint)


def test_the_digest_is_of_what_changes_a_result() -> None:
    plain = digest(quickstart())
    for override in ("name=other", 'description="x"', "compute.threads=1", 'tracking={kind="none"}'):
        assert digest(quickstart(override)) == plain
    for override in ("seeds=[1]", "training.env_steps=10_000", "evaluation.episodes=3", "algorithm.batch_size=64"):
        assert digest(quickstart(override)) != plain
    assert digest(quickstart("algorithm.update_to_data=1")) == digest(quickstart("algorithm.update_to_data=1.0"))


def test_flat_parameters_and_differences() -> None:
    left, right = quickstart("networks.actor.trunk.width=32"), quickstart("~normalization", "seeds=[0, 1]")
    flat = flatten(left)
    assert flat["networks.actor.trunk.layers[0].width"] == 32
    assert flat["seeds[0]"] == 0
    assert flat["requires"] == "[]"
    assert diff(left, left) == []
    found = {difference.key: (difference.left, difference.right) for difference in diff(left, right)}
    assert found["seeds[1]"] == (None, 1)
    assert found["networks.actor.trunk.layers[0].width"] == (32, 64)


def test_missing_memory_is_reported_at_the_key_that_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verify, "available_bytes", lambda: 10_000_000)
    path = tmp_path / "b.toml"
    path.write_text(QUICKSTART.read_text() + "[replay]\ncapacity = 1_000\n")
    assert check(path) == []
    lines = path.read_text().split("\n")
    path.write_text(
        path.read_text()
        .replace("critic = { trunk = { use", "critic = { trunk = { width = 2_000, use")
        .replace("width = 64, ", "", 2)
    )
    (problem,) = check(path)
    assert problem.path == "networks.critic"
    assert lines[problem.line - 1].startswith("critic = { trunk")
    assert "9.54 MiB are available; nothing allocated" in problem.message


def test_a_saved_blueprint_is_readable_where_it_could_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = quickstart()
    monkeypatch.setattr(verify, "available_bytes", lambda: 1)
    assert loads_resolved(tomllib.loads(dump(blueprint))) == blueprint


def test_commands_say_the_same_to_people_and_to_tools(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_text(QUICKSTART.read_text().replace("batch_size", "batch_sise"))
    problems = check(path)
    (table,) = problems_json(problems)["problems"]
    assert problems_json(problems)["ok"] is False
    assert problems_json([]) == {"ok": True, "problems": []}
    assert list(table) == ["file", "line", "column", "path", "message", "hint", "cause"]
    assert problems_text(problems) == (
        f"{table['file']}:{table['line']}:{table['column']}: {table['path']}: {table['message']}; {table['hint']}"
    )
    assert problems_text(problems * 30).endswith("\nand 10 more problems")
