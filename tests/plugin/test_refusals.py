"""Plug-ins that are broken, or take names that are not theirs: refused where they are required, harmless elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner
from wheels import unpack

from composer.blueprint import check
from composer.blueprint.inspect.json_schema import schema_json
from composer.blueprint.inspect.parts_list import parts_json
from composer.cli import app
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import FAMILIES

KIND = """
from composer.networks.blocks import Identity
{extra}
class Block(Identity, kind="{kind}"):
    "A block."
    example = {{"kind": "{example}"}}
"""
OWN_FAMILY = """
from composer.spec.family import Family

class Shape(Family, family="own/shape"):
    "A shape."

class Dot(Shape, kind="own/dot"):
    "A dot."
    example = {"kind": "own/dot"}

class In(Shape, kind="own/in"):
    "A shape in a shape."
    example = {"kind": "own/in", "shape": {"kind": "own/dot"}}
    shape: Shape
"""
QUICKSTART = 'extends = "quickstart"\nname = "child"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules and distributions are imported from, forgotten afterwards."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    kinds.register()
    before, outcomes = plugins._registered(), dict(plugins._outcomes)
    yield site
    plugins._forget(plugins._registered().keys() - before.keys())
    plugins._outcomes.clear()
    plugins._outcomes.update(outcomes)


def code(kind: str, example: str = "", extra: str = "") -> str:
    return KIND.format(kind=kind, example=example or kind, extra=extra)


def refusal(name: str) -> str:
    """What is said of a plug-in, twice the same; no kind of it is left."""
    before = plugins._registered()
    with pytest.raises(plugins.BrokenPluginError) as first:
        plugins.load(name)
    with pytest.raises(plugins.BrokenPluginError) as second:
        plugins.load(name)
    assert str(first.value) == str(second.value)
    assert plugins._registered() == before
    return str(first.value)


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("bare", code("waves"), "is refused: the name of its block 'waves' must begin with 'bare/'"),
        ("foreign", code("acme/waves"), "is refused: the name of its block 'acme/waves' must begin with 'foreign/'"),
        ("capital", code("capital/Waves"), "is refused: the name of its block 'capital/Waves' must begin with"),
        ("taken", code("relu"), "cannot be imported (TypeError: Block: 'relu' is already registered, by Relu)"),
        ("lost", code("lost/x", extra="import no_such_thing"), "cannot be imported (ModuleNotFoundError: No module"),
        ("late", code("late/x") + "1 / 0", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("leaves", code("leaves/x") + "raise SystemExit(0)", "cannot be imported (SystemExit: 0)"),
        ("ends", code("ends/x") + "raise GeneratorExit", "cannot be imported (GeneratorExit)"),
        ("garbled", "def f(:", "cannot be imported (SyntaxError: invalid syntax"),
        (
            "opens",
            "from composer.spec.family import Family\nclass F(Family, family='shape'): ...",
            "its family 'shape' must",
        ),
        (
            "example",
            code("example/x").replace('{"kind": "example/x"}', '{"kind": "example/x", "width": 3}'),
            "is refused: the example of its block 'example/x' is not valid (1 validation error for Block width",
        ),
    ],
)
def test_what_no_plug_in_may_do(name: str, source: str, said: str, folder: Path) -> None:
    message = refusal(unpack(folder, f"composer-{name}", name, init=source))
    assert message.startswith(f"the plug-in 'composer-{name}' ")
    assert said in message
    assert not any(kind.startswith(f"{name}/") for family in FAMILIES.values() for kind in family.kinds())


def test_its_own_family_and_kinds_of_other_modules_are_its_own(folder: Path) -> None:
    (folder / "helper_of_own.py").write_text(OWN_FAMILY)
    plugin = plugins.load(unpack(folder, "composer-own", "own", init="import helper_of_own\n" + code("own/x")))
    assert (plugin.distribution, plugin.version, plugin.namespace) == ("composer-own", "1.0", "own")
    assert list(plugins.kinds_of(plugin)) == [("block", "own/x"), ("own/shape", "own/dot"), ("own/shape", "own/in")]
    assert plugins.load("Composer.Own") is plugin
    schema = schema_json()
    assert '{"$ref": "#/$defs/own~1shape"}' in json.dumps(schema["$defs"]["own/shape"])


def test_a_plug_in_may_build_on_another_whose_kinds_stay_that_ones(folder: Path) -> None:
    unpack(folder, "composer-below", "below", init=code("below/x"))
    unpack(folder, "composer-above", "above", init="import composer_below\n" + code("above/x"))
    assert list(plugins.kinds_of(plugins.load("composer-above"))) == [("block", "above/x")]
    assert list(plugins.kinds_of(plugins.load("composer-below"))) == [("block", "below/x")]
    unpack(folder, "composer-fails", "fails", init="import composer_below\n" + code("wrong"))
    refusal("composer-fails")
    assert ("block", "below/x") in plugins._registered()


def test_what_a_script_imported_before_is_checked_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    unpack(folder, "composer-early", "early", init=code("elsewhere/x"))
    importlib.import_module("composer_early")
    with pytest.raises(plugins.BrokenPluginError, match="'elsewhere/x' must begin with 'early/'"):
        plugins.load("composer-early")


def test_a_namespace_has_one_owner(folder: Path) -> None:
    plugins.load(unpack(folder, "composer-one", "shared", init=code("shared/one")))
    unpack(folder, "composer-two", "shared", init=code("shared/two"))
    assert "the namespace 'shared', which is that of 'composer-one'" in refusal("composer-two")


def test_a_plug_in_in_the_working_directory_is_none_and_no_module_there_stands_for_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works in a stranger's folder has installed nothing of it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend("")
    unpack(here, "composer-stranger", "stranger", init="raise AssertionError('executed')")
    with pytest.raises(plugins.MissingPluginError, match="the plug-in 'composer-stranger' is not installed"):
        plugins.load("composer-stranger")
    unpack(folder, "composer-hidden", "hidden", init=code("hidden/x"))
    (here / "composer_hidden.py").write_text("raise AssertionError('executed')")
    with pytest.raises(plugins.BrokenPluginError, match="another module 'composer_hidden' on the path hides that of"):
        plugins.load("composer-hidden")


FAULTS = """
from composer.environments.base import SingleSimulator
from composer.networks.blocks import Identity

class Drill(SingleSimulator, kind="faults/drill"):
    "An environment that cannot be described."
    example = {"kind": "faults/drill"}
    def describe(self):
        raise SystemExit(0)
    def single(self):
        raise NotImplementedError

class Block(Identity, kind="faults/block"):
    "A block that cannot be outlined."
    example = {"kind": "faults/block"}
    def outline(self, shape):
        raise RuntimeError("no outline")
"""


@pytest.mark.parametrize(
    ("override", "code", "said"),
    [
        ('environment={ kind = "faults/drill" }', 2, "faults/drill cannot be described: SystemExit: 0"),
        (
            'networks.actor.trunk=[{ kind = "faults/block" }]',
            6,
            "the plug-in 'composer-faults' raised RuntimeError: no outline",
        ),
    ],
)
def test_whatever_a_kind_of_a_plug_in_does_is_a_sentence(
    folder: Path, tmp_path: Path, override: str, code: int, said: str
) -> None:
    sys.modules.pop("composer_faults", None)
    unpack(folder, "composer-faults", "faults", init=FAULTS)
    path = tmp_path / "child.toml"
    path.write_text(QUICKSTART + 'requires = ["composer-faults"]\n')
    result = CliRunner().invoke(app, ["check", str(path), override, "--json"])
    assert isinstance(result.exception, SystemExit) and result.exit_code == code, result.output
    assert said in result.output and json.loads(result.stdout.splitlines()[-1])


def test_a_broken_plug_in_is_reported_where_it_is_required_and_nowhere_else(folder: Path, tmp_path: Path) -> None:
    unpack(folder, "composer-torn", "torn", init="import no_such_thing")
    unpack(folder, "composer-bad-part", "bad-part", parts="part = 7\n")
    unpack(folder, "composer-good", "good", init=code("good/x"))
    path = tmp_path / "child.toml"
    path.write_text(QUICKSTART)
    assert check(path) == []
    path.write_text(QUICKSTART + 'requires = ["composer-torn", "composer-bad-part", "composer-good"]\n')
    torn, part = (str(problem).removeprefix(str(path)) for problem in check(path))
    assert torn == (
        ":3:13: requires[0]: the plug-in 'composer-torn' cannot be imported "
        "(ModuleNotFoundError: No module named 'no_such_thing'); mend or update composer-torn"
    )
    assert part.startswith(
        ":3:30: requires[1]: the plug-in 'composer-bad-part' has a bad part: composer_bad_part/registry/part.toml:1:1: "
    )
    answer = parts_json()
    assert [kind["name"] for kind in answer["kinds"]] == ["good/x"]
    assert sorted(line.partition(" cannot")[0].partition(" has")[0] for line in answer["problems"]) == [
        "the plug-in 'composer-bad-part'",
        "the plug-in 'composer-torn'",
    ]
    assert "good/x" in str(schema_json())


def test_what_a_missing_plug_in_would_have_brought_is_not_told_again(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "child.toml"
    trunk = 'networks = { actor = { trunk = [{ use = "gone/mlp" }, { kind = "gone/x" }], head = { kind = "gone/y" } } }'
    path.write_text(f'{QUICKSTART}requires = ["composer-gone"]\n{trunk}\n')
    (problem,) = check(path)
    assert (problem.path, problem.hint) == ("requires[0]", "pip install composer-gone")


def test_two_entry_points_are_one_too_many(folder: Path) -> None:
    unpack(folder, "composer-double", "double", init=code("double/x"))
    (entries,) = folder.glob("composer_double-*/entry_points.txt")
    entries.write_text(entries.read_text() + "\nother = composer_double\n")
    with pytest.raises(plugins.BrokenPluginError, match=r"has 2 entry points 'composer\.plugins'"):
        plugins.load("composer-double")


def test_a_plug_in_that_is_absent_is_named() -> None:
    with pytest.raises(plugins.MissingPluginError, match="the plug-in 'acme' is not installed; pip install acme"):
        plugins.load("acme")


def test_a_file_full_of_namespaces_is_answered_quickly(tmp_path: Path) -> None:
    path = tmp_path / "child.toml"
    kinds = ", ".join(f'{{ kind = "space{number}/x" }}' for number in range(1_500))
    path.write_text(QUICKSTART + "networks.actor.trunk = [\n" + kinds.replace("}, ", "},\n") + "]\n")
    before = time.process_time()
    assert len(check(path)) >= 100
    assert time.process_time() - before < 5
