"""What is inherited can be removed; an empty table over a filled one, which would remove nothing, is an error."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import composer
from composer.blueprint import check, digest, dump, load, loads_resolved
from composer.blueprint.inspect.explain import explain, explain_text
from composer.blueprint.syntax.nodes import read_path
from composer.blueprint.syntax.removal import Removal
from composer.cli import app
from composer.spec.package_files import blueprints_root

PARENT = "dmc/sac_hare_tortoise"
GRANDPARENT = 'extends = "dmc/sac_hare_tortoise"\nname = "between"\n'
CHILD = 'extends = "{parent}"\nname = "child"\n{more}\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("between.toml").write_text(GRANDPARENT)
    return tmp_path


def child(more: str, parent: str = PARENT) -> Path:
    path = Path("child.toml")
    path.write_text(CHILD.format(parent=parent, more=more))
    return path


def said(path: Path, *overrides: str, variant: str | None = None) -> list[str]:
    return [str(each) for each in check(path, overrides, variant)]


def invoke(*words: str, code: int = 0) -> str:
    found = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert found.exit_code == code, found.output
    return found.stdout + found.stderr


EMPTY = "an empty table removes nothing: 'actor', 'critic' would stay, inherited from "


@pytest.mark.parametrize("parent", [PARENT, "between.toml"])
@pytest.mark.parametrize("table", ["interventions = {}", "[interventions]"])
def test_an_empty_table_over_a_filled_one_is_an_error(table: str, parent: str) -> None:
    """The fault: nothing happened, ``check`` was content, and the Hare still returned."""
    (line,) = said(child(table, parent))
    assert line.startswith("child.toml:3:") and f"interventions: {EMPTY}" in line
    assert "sac_hare_tortoise.toml:15" in line
    assert line.endswith('to remove what is inherited, write remove = ["interventions"]')


@pytest.mark.parametrize(
    ("more", "overrides", "variant", "expected"),
    [
        ("", ("interventions={}",), None, ("command line:1:15: interventions: ", "write ~interventions")),
        ("[variants.x]\ninterventions = {}", (), "x", ("child.toml:4:17: ", "(variant x)")),
        ("[variants.x.interventions.critic]", (), "x", ("interventions.critic: ", 'write remove = ["interventions.')),
        ("[averages.tortoise]", (), None, ("averages.tortoise: an empty table", "'momentum', 'of' would stay")),
        ("[networks.critic]\ntrunk = {}", (), None, ("networks.critic.trunk: ", "'blocks', 'use', 'width'")),
        ("", ("optimizers={ actor = {} }",), None, ("optimizers.actor: ", "write ~optimizers.actor")),
    ],
)
def test_siblings_of_the_empty_table(
    more: str, overrides: tuple[str, ...], variant: str | None, expected: tuple[str, ...]
) -> None:
    (line,) = said(child(more), *overrides, variant=variant)
    assert "an empty table removes nothing" in line
    assert all(each in line for each in expected), line


def test_empty_tables_that_lie_over_nothing_and_empty_lists_are_sound() -> None:
    assert said(child("penalties = {}\n[variants.nothing]\n[variants.listed]\nrequires = []")) == []
    path = child("[averages.tortoise]\nof = 'critic'\n[interventions.critic]\nwhere = []")
    (line,) = said(path)
    assert "part 'hare_and_tortoise'" not in line and "at least 1" in line, "an empty list replaces"


def test_what_a_file_removes_is_gone() -> None:
    path = child('remove = ["interventions", "averages.tortoise", "averages.actor_tortoise"]')
    assert said(path) == []
    blueprint = load(path, is_to_run=False).blueprint
    assert (dict(blueprint.interventions), list(blueprint.averages)) == ({}, ["target_critic"])
    assert digest(blueprint) == digest(composer.load("dmc/sac_simba"))
    assert loads_resolved(tomllib.loads(dump(blueprint))) == blueprint


@pytest.mark.parametrize("where", ["file", "variant", "command line"])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["interventions.actor"], lambda found: [*found["interventions"]] == ["critic"]),
        (
            ["networks.actor.trunk.width"],
            lambda found: blocks(found, "actor")[0]["width"] == 512,
        ),
        (["replay.capacity"], lambda found: found["replay"]["capacity"] == 1_000_000),
        (["seeds[0]", "seeds[2]"], lambda found: found["seeds"] == [1]),
        (
            ["networks.critic.trunk[1]"],
            lambda found: [each["kind"] for each in blocks(found, "critic")] == ["linear"] * 2,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_tables_keys_and_entries_can_be_removed_everywhere(
    where: str, keys: list[str], expected: Callable[[Any], bool]
) -> None:
    base = """
seeds = [0, 1, 2]
replay.capacity = 700_000
networks.critic.trunk = [{ kind = "linear", width = 8 }, { kind = "relu" }, { kind = "linear", width = 8 }]
"""
    Path("base.toml").write_text(GRANDPARENT + base)
    written = f"remove = {keys}"
    loaded = {
        "file": lambda: load(child(written, "base.toml")),
        "variant": lambda: load(child(f"[variants.less]\n{written}", "base.toml"), (), "less"),
        "command line": lambda: load(child("", "base.toml"), [f"~{key}" for key in keys]),
    }[where]()
    assert expected(loaded.resolved)
    assert [each.key for each in loaded.removals] == keys


def blocks(found: dict[str, Any], role: str) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = found["networks"][role]["trunk"]["layers"]
    return layers


def test_what_is_removed_may_be_set_anew() -> None:
    more = """
remove = ["interventions.critic", "networks.critic.trunk"]
[interventions.critic]
use = "hare_and_tortoise"
interval = 5_000
clock = "update"
where = ["critic.*"]
[networks.critic]
trunk = { use = "mlp", width = 16, depth = 2 }
"""
    path = child(more)
    assert said(path) == []
    assert load(path).resolved["interventions"]["critic"]["when"]["interval"] == 5_000
    assert load(child(""), ["~seeds", "seeds=[4, 5]"]).blueprint.seeds == (4, 5)


def test_a_variant_removes_what_its_own_file_declares_and_a_removed_table_merges_with_nothing() -> None:
    path = child("[averages.extra]\nof = 'critic'\nmomentum = 0.5\n[variants.plain]\nremove = ['averages.extra']")
    assert "extra" in load(path).blueprint.averages
    assert "extra" not in load(path, (), "plain").blueprint.averages
    (line,) = said(child("remove = ['averages.tortoise']\n[averages.tortoise]\nmomentum = 0.5"))
    assert "averages.tortoise.of: missing key 'of'" in line
    assert "; averages.tortoise is removed at child.toml:3:11" in line


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("interventions.critc", "did you mean 'interventions.critic'?"),
        ("intervention", "did you mean 'interventions'?"),
        ("replay.prioritised", "; replay has 'capacity'"),
        ("seeds[7]", "seeds has 1 entries; there is no [7]"),
        ("seeds.first", "seeds is no table but list"),
        ("algorithm[0]", "algorithm is no list but table"),
        ("name.x", 'name is no table but string "child"'),
        ("networks.critic.trunk.layers[1]", 'networks.critic.trunk uses the part "simba": its arguments here are'),
    ],
)
def test_what_is_not_there_cannot_be_removed(key: str, expected: str) -> None:
    path = child("")
    (line,) = said(path, f"~{key}")
    assert line.startswith(f"command line:1:1: {key}: cannot be removed: ") and expected in line
    (line,) = said(child(f'remove = ["{key}"]'))
    assert line.startswith(f"child.toml:3:11: {key}: cannot be removed: ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"interventions"', 'remove: expected list of keys, got string "interventions"'),
        ("[3]", "remove[0]: expected a key such as interventions.reset or networks.critic.trunk[1], got integer 3"),
        ('["a..b"]', 'remove[0]: expected a key such as interventions.reset or networks.critic.trunk[1], got "a..b"'),
        ('["extends"]', "remove[0]: 'extends' is no value that can be removed"),
        ('["variants.x"]', "remove[0]: 'variants' is no value that can be removed"),
        ('["seeds", "seeds"]', "remove[1]: seeds is listed twice"),
    ],
)
def test_a_list_of_removals_that_is_malformed(value: str, expected: str) -> None:
    assert any(line.endswith(expected) for line in said(child(f"remove = {value}")))
    assert any(expected in line for line in said(child(f"[variants.x]\nremove = {value}")))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["~"], 'expected ~KEY such as ~interventions.reset, got "~"'),
        (["~seeds=[1]"], 'expected ~KEY such as ~interventions.reset, got "~seeds=[1]"'),
        (["~seeds", "~seeds"], "command line:2:1: seeds: is removed twice"),
        (["~extends"], "'extends' is no value that can be removed"),
        (["remove=['seeds']"], "remove: write ~KEY to remove a key"),
        (["seeds=[1]", "~seeds"], "removes what an override before it sets, seeds"),
        (["interventions.critic.interval=9", "~interventions"], "removes what an override before it sets"),
    ],
)
def test_removals_on_the_command_line_that_are_refused(overrides: list[str], expected: str) -> None:
    assert any(expected in line for line in said(child(""), *overrides))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", "name: missing key 'name' "),
        ("networks.critic", "networks: SAC needs a network 'critic'"),
        ("averages.target_critic", "averages: SAC needs an average 'target_critic'"),
        ("algorithm.kind", "algorithm: this algorithm has no 'kind'"),
        ("training.env_steps", "training.env_steps: missing key 'env_steps'"),
        ("optimizers.critic", "optimizers.critic: missing"),
        ("seeds[0]", "seeds: needs at least 1 entry, has 0"),
    ],
)
def test_a_missing_key_was_removed_and_where(key: str, expected: str) -> None:
    path = child(f"[variants.less]\nremove = ['{key}']")
    (line,) = said(path, variant="less")
    assert expected in line
    assert f"; {key} is removed at child.toml:4:11 (variant less)" in line


def test_a_key_that_is_missing_under_every_variant_is_reported_once() -> None:
    path = child("[variants.a]\nalgorithm.discount = 7\n[variants.b]\nalgorithm.discount = 7\n")
    lines = said(path, "~training.env_steps")
    assert [line.split(":")[1] for line in lines if "algorithm.discount" in line] == ["4", "6"]
    assert len([line for line in lines if "training.env_steps: missing key" in line]) == 1
    assert len([line for line in said(path, "~name") if "name: missing key" in line]) == 1


def test_a_reference_to_what_was_removed_says_so() -> None:
    Path("base.toml").write_text(
        GRANDPARENT + "[values]\nwidth = 8\n[networks]\ncritic.trunk.width = '${values.width}'\n"
    )
    (line,) = said(child("remove = ['values.width']", "base.toml"))
    assert "there is no value 'values.width'; values.width is removed at child.toml:3:11" in line
    (line,) = said(child("remove = ['networks.critic.trunk.width.x']", "base.toml"))
    assert "networks.critic.trunk.width is ${values.width}" in line


def test_a_table_over_a_reference_would_drop_what_it_names() -> None:
    tortoise = "{ use = 'hare_and_tortoise', interval = 9, clock = 'update', where = ['critic.*'] }"
    Path("base.toml").write_text(
        f"{GRANDPARENT}remove = ['interventions']\ninterventions = '${{values.mine}}'\n[values.mine]\na = {tortoise}\n"
    )
    assert list(load(child("", "base.toml")).blueprint.interventions) == ["a"]
    more = f"interventions.b = {tortoise}"
    (line,) = said(child(more, "base.toml"))
    assert "interventions: a table cannot be merged with the reference ${values.mine} at base.toml:4" in line
    assert line.endswith('; set keys of values.mine, or first remove the reference: remove = ["interventions"]')
    anew = child(f"remove = ['interventions', 'values.mine']\n{more}", "base.toml")
    assert list(load(anew).blueprint.interventions) == ["b"]
    assert list(load(child(f"values.mine.b = {tortoise}", "base.toml")).blueprint.interventions) == ["a", "b"]


def test_what_an_earlier_layer_removed_cannot_be_removed_again() -> None:
    path = child("remove = ['averages.tortoise', 'interventions']")
    (line,) = said(path, "~averages.tortoise.momentum")
    assert line == (
        "command line:1:1: averages.tortoise.momentum: cannot be removed: removed already at child.toml:3:11"
        ' (override "~averages.tortoise.momentum")'
    )


def test_nothing_is_inherited_without_a_parent() -> None:
    Path("alone.toml").write_text('remove = ["seeds"]\n' + (blueprints_root() / "quickstart.toml").read_text())
    (line,) = said(Path("alone.toml"))
    assert "alone.toml:1:11: seeds: cannot be removed: nothing inherited sets it" in line


def test_explain_tells_who_set_a_removed_key_and_who_removed_it() -> None:
    bare = '[variants.bare]\nremove = ["networks.critic.trunk.width", "replay.capacity"]'
    path = child(f'remove = ["interventions", "averages.tortoise", "averages.actor_tortoise"]\n{bare}')
    found = explain(path, "averages.tortoise.momentum")
    assert found.value is None
    assert [(one.layer, one.value) for one in found.settings] == [("parent", 0.999), ("file", None)]
    assert "child.toml:3:28 (averages.tortoise is removed)" in explain_text(found)
    whole = explain_text(explain(path, "interventions"))
    assert whole.startswith("interventions\n") and "child.toml:3:11 (removed)" in whole
    assert "child.toml:3:11 (interventions is removed)" in explain_text(explain(path, "interventions.critic"))
    text = explain_text(explain(path, "networks.critic.trunk.width", (), "bare"))
    assert "(removed at child.toml:5:11 (variant bare))" in text
    steps = explain(path, "replay.capacity", (), "bare").settings
    assert (steps[-1].layer, steps[-1].value, steps[-1].notes) == ("variant bare", None, ("removed",))
    output = invoke("explain", "child.toml", "averages.tortoise", "--json")
    assert json.loads(output)["settings"][-1] | {"value": 0} == {
        "layer": "file", "value": 0, "file": "child.toml", "line": 3, "column": 28, "notes": ["removed"],
    }  # fmt: skip
    assert "interventions is removed at child.toml:3:11" in invoke("explain", "child.toml", "interventions.x", code=2)


def test_show_and_diff_name_what_is_removed_and_who_removes_it() -> None:
    child('remove = ["interventions"]')
    shown = invoke("show", "child.toml", "~replay.capacity")
    assert shown.rstrip().splitlines()[-3:] == [
        "not inherited, since it is removed",
        "  interventions    child.toml:3:11",
        '  replay.capacity  command line:1:1 (override "~replay.capacity")',
    ]
    (row,) = json.loads(invoke("show", "child.toml", "--json"))["removed"]
    assert (row["key"], row["line"], row["set_anew"]) == ("interventions", 3, False)
    compared = invoke("diff", PARENT, "child.toml")
    assert re.search(
        r"- interventions\.critic +hare_and_tortoise\n- interventions\.critic\.interval +20_000\n", compared
    )
    assert re.search(
        r"- interventions\.critic\.when\.interval +20_000\n", invoke("diff", PARENT, "child.toml", "--full")
    )
    assert "removed on the right\n  interventions  child.toml:3:11\n" in compared
    table = json.loads(invoke("diff", "child.toml", "child.toml", "~replay.capacity", "--json"))["removed"]
    assert (table["left"], [one["key"] for one in table["right"]]) == ([], ["replay.capacity"])
    assert "not inherited" not in invoke("show", PARENT)


def test_entries_of_a_list_that_move_up() -> None:
    trunk = '[{ kind = "linear", width = 8 }, { kind = "relu" }, { kind = "linear", width = 16 }]'
    path = child(f'networks.critic.trunk = {trunk}\n[variants.a]\nremove = ["networks.critic.trunk[1]"]')
    last = explain(path, "networks.critic.trunk[1].width", (), "a").settings[-1]
    assert (last.layer, last.value, last.origin and last.origin.line) == ("variant a", 16, 3)
    assert last.notes == ("moved up: networks.critic.trunk[1] is removed at child.toml:5:11 (variant a)",)
    assert "moved" not in explain_text(explain(path, "networks.critic.trunk[0].width", (), "a"))
    # Other commands show the path of the sequence for which the list stands.
    for override, meant in (("~{}[1]", "[1]"), ("{}[1].kind=tanh", "[1].kind")):
        (line,) = said(path, override.format("networks.critic.trunk.layers"))
        assert line.endswith(f"; did you mean 'networks.critic.trunk{meant}'?")


@pytest.mark.parametrize(
    ("removed", "path", "expected"),
    [
        ("a", "a.b", True),
        ("a.b", "a", False),
        ("a[1]", "a.layers[1].width", True),
        ("a[1]", "a[1]", True),
        ("a[1]", "a.layers[2]", False),
        ("a.layers[1]", "a[1]", False),
    ],
)
def test_which_keys_a_removal_covers(removed: str, path: str, expected: bool) -> None:
    here = load(child("")).origin("name")
    assert Removal(read_path(removed) or (), here).covers(read_path(path) or ()) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[interventions]\nremove = ['critic']", "interventions.remove: expected table, got list; 'remove' stands at"),
        ("[training]\nremove = ['log_every']", "training.remove: unknown key; 'remove' stands at the top of a file"),
        ("[training]\nextends = 'quickstart'", "training.extends: unknown key; 'extends' stands at the top of a file"),
        ("with = ['x']", "with: unknown key; it stands in a variant: [variants.NAME]"),
        ("[training]\nwith = ['x']", "training.with: unknown key; 'with' stands at the top of a variant"),
    ],
)
def test_keys_of_the_top_of_a_file_that_are_elsewhere(more: str, expected: str) -> None:
    assert any(expected in line for line in said(child(more)))
