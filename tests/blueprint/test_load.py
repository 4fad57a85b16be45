"""The way from a file to a blueprint: parents, variants, overrides, references, parts, origins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from composer.blueprint import Blueprint, BlueprintError, Loaded, check, load, loads_resolved
from composer.blueprint.checks import check as checks
from composer.blueprint.checks import meaning
from composer.blueprint.forecast.memory import forecast
from composer.blueprint.load import ensure_checked
from composer.blueprint.syntax.interpolation import interpolate
from composer.blueprint.syntax.nodes import merge, plain, read_path, show_path
from composer.blueprint.syntax.parts import Part, part_of, read_parts
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.read import parse_tree, read_tree

PARENT = """\
blueprint = 1
name = "parent"
seeds = [0, 1, 2]
values = { width = 8 }
environment = { kind = "dm_control", task = "pendulum-swingup" }
algorithm = { kind = "sac", batch_size = 32 }
[networks]
actor.trunk = [{ kind = "linear", width = "${values.width}" }, { kind = "relu" }]
actor.head = { kind = "tanh_gaussian" }
critic = { trunk = { use = "simba", width = "${values.width}", blocks = 1 }, head = { kind = "scalar" }, copies = 2 }
[averages]
target_critic = { of = "critic", momentum = 0.995 }
[optimizers]
actor = { kind = "adamw", learning_rate = 1e-4, weight_decay = 0.5 }
critic = { kind = "adamw", learning_rate = 1e-4 }
temperature = { kind = "adam", learning_rate = 1e-4 }
[training]
env_steps = 1_000
[variants.of_parent.algorithm]
batch_size = 1
"""
CHILD = """\
extends = "lib/parent.toml"
name = "child"
seeds = [7]
[values]
width = 16
[optimizers]
actor = { kind = "adam" }
critic.weight_decay = 0.25
[variants.wide]
values.width = 32
[variants.deep]
networks.critic.trunk.blocks = 2
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("lib").mkdir()
    Path("lib/parent.toml").write_text(PARENT)
    Path("child.toml").write_text(CHILD)
    return Path("child.toml")


def width(loaded: Loaded, role: str) -> object:
    return loaded.resolved["networks"][role]["trunk"]["layers"][0]["width"]


def test_a_child_lies_over_its_parent(child: Path) -> None:
    loaded = load(child)
    blueprint = loaded.blueprint
    assert blueprint.name == "child"
    assert blueprint.seeds == (7,), "lists replace"
    assert width(loaded, "actor") == 16, "the parent's reference sees the child's value"
    assert loaded.resolved["optimizers"]["actor"]["kind"] == "adam"
    assert "weight_decay" not in loaded.resolved["optimizers"]["actor"], "a table that names its kind replaces"
    assert loaded.resolved["optimizers"]["critic"]["weight_decay"] == 0.25, "a table without a kind merges"
    assert loaded.variants == ("wide", "deep"), "the variants of a parent are its own"
    assert check(child) == []


def test_a_variant_and_then_overrides_lie_over_the_file(child: Path) -> None:
    assert width(load(child, variant="wide"), "critic") == 32
    loaded = load(child, ["values.width=64", "networks.actor.trunk[1].kind=tanh", "seeds=[1, 2]"], "wide")
    assert width(loaded, "critic") == 64
    assert loaded.resolved["networks"]["actor"]["trunk"]["layers"][1] == {"kind": "tanh"}
    assert loaded.blueprint.seeds == (1, 2)
    deep = load(child, variant="deep").resolved["networks"]["critic"]["trunk"]["layers"][1]
    assert deep["times"] == 2


def test_every_value_knows_where_it_was_written(child: Path) -> None:
    loaded = load(child, ["training.env_steps=2_000"], "wide")
    origins = {path: str(loaded.origin(path)) for path in ("seeds", "algorithm.batch_size", "training.env_steps")}
    assert origins == {
        "seeds": "child.toml:3:9",
        "algorithm.batch_size": "lib/parent.toml:6:42",
        "training.env_steps": 'command line:1:20 (override "training.env_steps=2_000")',
    }
    assert str(loaded.origin("networks.actor.trunk[0].width")) == (
        "child.toml:10:16 (variant wide) (through ${values.width} at lib/parent.toml:8:43)"
    )
    times = loaded.origin("networks.critic.trunk.layers[1].times")
    assert (times.file, times.line) == ("lib/parent.toml", 10), "an argument of a part stands at its use"
    norm = str(loaded.origin("networks.critic.trunk.layers[2].kind"))
    assert norm.startswith("lib/parent.toml:10:28 (part simba, registry/networks/simba.toml:"), "the use, then the part"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seeds", 'command line:1:1: expected KEY=VALUE such as training.env_steps=1000, got "seeds"'),
        ("a..b=1", 'command line:1:1: expected KEY=VALUE such as training.env_steps=1000, got "a..b=1"'),
        ("extends=x", "command line:1:1: extends: a parent cannot be chosen on the command line"),
        ("variants.wide.x=1", "command line:1:1: variants.wide.x: choose a variant with FILE@VARIANT"),
        ("name=two words", 'command line:1:1: name: "two words" is no TOML value; put a string in quotes'),
        ("name=1\nseeds=[3]", 'command line:1:1: name: "1\\nseeds=[3]" is no TOML value'),
        ("seeds[3]=1", "command line:1:1: seeds[3]: seeds has 1 entries; there is no [3]"),
        ("name.x=1", 'command line:1:1: name.x: name is no table but string "child"'),
        ("seeds.x=1", "command line:1:1: seeds.x: seeds is no table but list"),
        ("algorithm[0]=1", "command line:1:1: algorithm[0]: algorithm is no list but table"),
        ("trainng.env_steps=5", "command line:1:1: trainng: unknown key (override "),
        ("training.env_steps=0", "command line:1:20: training.env_steps: must be in 1 to 1,000,000,000,000, got 0 ("),
        ("values.depth=3", "command line:1:1: values.depth: nothing refers to this value"),
        ("values.width=${values.width}", "command line:1:14: values.width: interpolation loop"),
        ("algorithm.discount=nan", "command line:1:20: algorithm.discount: must be finite"),
    ],
)
def test_overrides_that_are_refused(override: str, expected: str, child: Path) -> None:
    with pytest.raises(BlueprintError) as caught:
        load(child, [override])
    assert str(caught.value).startswith(expected)


def test_all_bad_overrides_are_reported_at_once(child: Path) -> None:
    with pytest.raises(BlueprintError) as caught:
        load(child, ["a", "seeds=[1]", "b"])
    assert [problem.line for problem in caught.value.problems] == [1, 3]


def test_an_unknown_variant(child: Path) -> None:
    with pytest.raises(BlueprintError, match=r"no variant named 'wild'; did you mean 'wide'\?"):
        load(child, variant="wild")


def test_a_variant_is_checked_although_it_is_not_chosen(child: Path) -> None:
    child.write_text(CHILD.replace("blocks = 2", "blcks = 2"))
    assert load(child).blueprint.name == "child"
    (problem,) = check(child)
    assert (problem.line, problem.hint) == (12, "did you mean 'blocks'?")


def test_references_agree_with_omegaconf_where_both_have_a_value() -> None:
    text = 'a = 1\nb = "${a}"\nc = ["${b}", 2.5]\nd = { e = "${c}", f = "${d.g}", g = "x" }\nh = "${c[1]}"\ni = "${d}"'
    tree = parse_tree(text.encode(), "t")
    replaced, problems, broken = interpolate(tree)
    assert (problems, broken) == ({}, set())
    assert plain(replaced) == OmegaConf.to_container(OmegaConf.create(plain(tree)), resolve=True)


def test_parts_inside_parts(tmp_path: Path) -> None:
    known = _registry(
        tmp_path,
        outer='[parameters]\nn = 1\nrest = { kind = "relu" }\n[block]\nof = [{ use = "inner", n = "${n}" }, "${rest}"]',
        inner='[parameters]\nn = 7\n[block]\nkind = "linear"\nwidth = "${n}"',
    )
    tree = parse_tree(b'a = { use = "outer", n = 3 }\nb = { use = "outer", rest = { use = "inner" } }', "t")
    expanded, problems = expand(tree, known)
    assert problems == {}
    linear, relu = {"kind": "linear", "width": 3}, {"kind": "relu"}
    assert plain(expanded) == {
        "a": {"of": [linear, relu]},
        "b": {"of": [{"kind": "linear", "width": 1}, {"kind": "linear", "width": 7}]},
    }
    where = expanded.get(("b", "of", 1, "width"))
    assert where is not None
    assert str(where.at) == "t:2:37 (part inner, inner.toml:6:5)"


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ({"a": '[block]\nx = { use = "b" }', "b": '[block]\nx = { use = "a" }'}, "parts use each other: a → b → a"),
        ({"a": '[block]\nx = "${width}"'}, "part 'a' has no parameter 'width'"),
        ({"a": '[parameters]\nwidth = 1\n[block]\nx = "w${width}"'}, "stands for a whole value"),
        ({"a": '[parameters]\nwidth = 1\n[block]\nx = "${values.width}"'}, "part 'a' has no parameter 'values.width'"),
    ],
)
def test_parts_that_cannot_be_expanded(registry: dict[str, str], expected: str, tmp_path: Path) -> None:
    _, problems = expand(parse_tree(b'y = { use = "a" }', "t"), _registry(tmp_path, **registry))
    (problem,) = problems.values()
    assert expected in problem.message
    assert (problem.line, problem.column) == (1, 13), "the place of use comes first"
    assert "(part a, a.toml:" in problem.message


def test_part_files_that_are_no_parts(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('part = 2\nfamily = "block"\ndescription = 3\nparamters = 1\n')
    (tmp_path / "BAD NAME.toml").write_text("")
    with pytest.raises(BlueprintError) as caught:
        read_parts(tmp_path)
    reported = [f"{p.file}:{p.line}: {p.message}; {p.hint}".removesuffix("; ") for p in caught.value.problems]
    name = tmp_path.name
    assert f"{name}/bad.toml:1: a part begins with part = 1, its format" in reported
    assert f"{name}/bad.toml:2: the body, a table or a list named 'block', is absent" in reported
    assert f"{name}/bad.toml:3: a part needs the string 'description'" in reported
    assert f"{name}/bad.toml:4: unknown key; did you mean 'parameters'?" in reported
    assert any(line.startswith(f"{name}/BAD NAME.toml:1: the name of a part: use [a-z0-9._-]") for line in reported)


def test_a_saved_blueprint_is_checked_like_any_other(child: Path) -> None:
    loaded = load(child)
    assert loads_resolved(loaded.resolved) == loaded.blueprint
    spoilt = {**loaded.resolved, "algorithm": {**loaded.resolved["algorithm"], "kind": "os.system"}}
    with pytest.raises(
        BlueprintError, match=r"algorithm\.kind: no algorithm named 'os\.system'; code is never loaded by name"
    ):
        loads_resolved(spoilt)
    with pytest.raises(BlueprintError, match="extends: unknown key"):
        loads_resolved({**loaded.resolved, "extends": "quickstart"})


def test_a_checked_blueprint_is_checked_once(child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is checked when it is about to run, and forecast once."""
    blueprint = load(child, is_to_run=False).blueprint
    monkeypatch.setattr(checks, "validate", lambda *_: pytest.fail("validated again"))
    assert ensure_checked(blueprint, is_to_run=False) is blueprint
    assert not checks.is_checked(blueprint, is_to_run=True)
    with monkeypatch.context() as small:
        small.setattr(meaning, "available_bytes", lambda: 1)
        with pytest.raises(BlueprintError, match="nothing allocated"):
            ensure_checked(blueprint, is_to_run=True)
    assert ensure_checked(blueprint, is_to_run=True) is blueprint
    assert checks.is_checked(blueprint, is_to_run=True)
    assert forecast(blueprint) is forecast(blueprint)


def test_other_values_are_checked_anew(child: Path) -> None:
    blueprint = load(child).blueprint
    assert blueprint.outlines
    same = Blueprint.model_validate(blueprint.model_dump())
    assert same == blueprint
    assert not checks.is_checked(same, is_to_run=False)
    assert ensure_checked(same, is_to_run=True) == blueprint
    changed = load(child).blueprint
    changed.averages.clear()
    with pytest.raises(BlueprintError, match="target_critic"):
        ensure_checked(changed, is_to_run=False)
    for deep in (False, True):
        copy = blueprint.model_copy(update={"averages": {}}, deep=deep)
        assert not {"derived", "outlines"} & vars(copy).keys()
        with pytest.raises(BlueprintError, match="target_critic"):
            ensure_checked(copy, is_to_run=False)


@pytest.mark.parametrize("text", ["a", "a.b", "a[0]", "a[0][12].b-c.d", 'a."b c".d'])
def test_paths_read_as_they_are_shown(text: str) -> None:
    path = read_path(text)
    assert path is not None
    assert show_path(path) == text


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "[0]", "a[", "a[-1]", "a b", "a[0]b"])
def test_texts_that_are_no_paths(text: str) -> None:
    assert read_path(text) is None


def test_merging_keeps_what_is_below_untouched() -> None:
    below, above = parse_tree(b"a = { x = 1, y = 2 }", "b"), parse_tree(b"a = { y = 3 }", "a")
    assert plain(merge(below, above)) == {"a": {"x": 1, "y": 3}}
    assert plain(below) == {"a": {"x": 1, "y": 2}}


def test_reading_a_blueprint_imports_nothing_heavy(child: Path) -> None:
    heavy = ("torch", "mlflow", "dm_control", "gymnasium", "scipy", "numpy", "omegaconf")
    code = (
        f"import sys; from composer.blueprint import check; assert check({str(child)!r}) == []; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3_600, check=True)
    assert done.stdout.strip() == "[]"


def _registry(folder: Path, **texts: str) -> dict[str, Part]:
    header = 'part = 1\nfamily = "block"\n'
    found = {}
    for name, text in texts.items():
        path = folder / f"{name}.toml"
        path.write_text(f'{header}description = ""\nsource = ""\n{text}')
        found[name] = part_of(read_tree(path, path.name), path.stem, path.name)
    return found
