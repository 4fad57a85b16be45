"""Where a value comes from: every layer in order, with its line; what the key means; keys that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from composer.blueprint import BlueprintError, load
from composer.blueprint.inspect.explain import (
    Explanation,
    UnknownKeyError,
    explain,
    explain_json,
    explain_text,
)
from composer.blueprint.serialize import flatten
from composer.blueprint.syntax.write import toml_value

GRANDPARENT = """\
blueprint = 1
name = "grandparent"
seeds = [0]
environment = { kind = "dm_control", task = "pendulum-swingup" }
algorithm = { kind = "sac", batch_size = 32 }
replay.capacity = 500
[averages]
target_critic = { of = "critic", momentum = 0.995 }
[optimizers]
actor = { kind = "adamw", learning_rate = 1e-4, beta1 = 0.5 }
critic = { kind = "adamw" }
temperature = { kind = "adam" }
[training]
env_steps = 1_000
"""
PARENT = """\
extends = "grandparent.toml"
name = "parent"
values = { width = 8 }
[networks]
actor.trunk = [{ kind = "linear", width = "${values.width}" }, { kind = "relu" }]
actor.head = { kind = "tanh_gaussian" }
critic = { trunk = { use = "simba", width = "${values.width}", blocks = 1 }, head = { kind = "scalar" }, copies = 2 }
"""
CHILD = """\
extends = "parent.toml"
name = "child"
values.width = 16
replay.capacity = 600
[optimizers]
actor = { kind = "adamw" }
[variants.wide]
values.width = 32
replay.capacity = 600
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("grandparent", GRANDPARENT), ("parent", PARENT), ("child", CHILD)):
        Path(f"{name}.toml").write_text(text)
    return Path("child.toml")


def layers(found: Explanation) -> list[tuple[str, object, str | None]]:
    """Layer, value and place of each setting."""
    return [
        (one.layer, one.value, f"{one.origin.file}:{one.origin.line}:{one.origin.column}" if one.origin else None)
        for one in found.settings
    ]


def test_every_layer_in_order_and_the_last_one_holds(child: Path) -> None:
    found = explain(child, "replay.capacity", ["replay.capacity=700", "replay.capacity=800"], "wide")
    assert layers(found) == [
        ("default", 1_000_000, None),
        ("parent", 500, "grandparent.toml:6:19"),
        ("file", 600, "child.toml:4:19"),
        ("variant wide", 600, "child.toml:9:19"),
        ("override", 700, "command line:1:17"),
        ("override", 800, "command line:2:17"),
    ]
    assert found.value == 800 == load(child, ["replay.capacity=800"]).blueprint.replay.capacity
    assert found.field.declared_by == "Replay in composer.blueprint.schema"
    assert found.field.documentation == "Transitions that each seed keeps, the newest ones."
    assert found.field.accepts == "integer from 1 to 10^10"


def test_the_body_of_a_part_and_its_argument(child: Path) -> None:
    found = explain(child, "networks.critic.trunk.layers[0].width", (), "wide")
    assert [(layer, value) for layer, value, _ in layers(found)][1:] == [
        ("parent", 8),
        ("file", 16),
        ("variant wide", 32),
    ], "after the default, null"
    last = found.settings[-1]
    assert (last.origin.file, last.origin.line) == ("child.toml", 8) if last.origin else False
    assert last.notes[0] == "through ${values.width} at parent.toml:7:45"
    assert last.notes[1].startswith("into part simba, registry/networks/simba.toml:")
    (own,) = explain(child, "networks.critic.trunk.layers[2].kind").settings
    assert own.layer == "part simba"
    assert own.origin is not None
    assert own.origin.line == 7, "where the part is used"
    assert own.notes[0].startswith("part simba, registry/networks/simba.toml:")


def test_parameters_of_a_part_as_the_file_writes_them(child: Path) -> None:
    width = explain(child, "networks.critic.trunk.width")
    assert layers(width) == [("parent", 8, "parent.toml:3:20"), ("file", 16, "child.toml:3:16")]
    assert width.value == 16
    (expansion,) = explain(child, "networks.critic.trunk.expansion").settings
    assert (expansion.layer, expansion.value) == ("default", 4)
    assert expansion.origin is not None
    assert expansion.origin.file == "registry/networks/simba.toml"
    use = explain(child, "networks.critic.trunk.use")
    assert use.value == "simba"
    assert "'simba_post'" in use.field.accepts
    other = explain(child, "networks.critic.trunk.width", ['networks.critic.trunk={ use="mlp", width=4 }'])
    assert [one.notes[-1] for one in other.settings] == ["for part simba", "for part simba", "for part mlp"]
    assert explain(child, "values.width", (), "wide").value == 32


def test_a_default_and_the_class_that_declares_it(child: Path) -> None:
    found = explain(child, "optimizers.critic.weight_decay")
    assert layers(found) == [("default", 0.01, None)]
    assert found.settings[0].notes == ("AdamW in composer.optim.adam",)
    # Declared by a base, not by the kind.
    (found,) = explain(child, "environment.copies").settings
    assert found.notes == ("Simulator in composer.environments.base",)
    text = explain_text(explain(child, "optimizers.critic.weight_decay"))
    assert "a default of AdamW in composer.optim.adam" in text


def test_the_default_of_a_table_holds_for_its_keys(child: Path) -> None:
    found = explain(child, "networks.actor.trunk.layers[0].weight.kind")
    assert (found.value, layers(found)) == ("orthogonal", [("default", "orthogonal", None)])
    assert found.settings[0].notes == ("Weighted in composer.networks.blocks.weighted, as weight.kind",)
    (found,) = explain(child, "networks.actor.trunk.layers[0].weight.gain").settings
    assert found.value == 1.0


def test_an_option_that_is_left_out(child: Path) -> None:
    found = explain(child, "networks.critic.trunk.layers[0].expansion")
    assert (found.value, layers(found)) == (None, [("default", None, None)])
    assert explain_text(found).startswith("networks.critic.trunk.layers[0].expansion = (absent)")


def test_a_table_said_anew_brings_the_default_back(child: Path) -> None:
    found = explain(child, "optimizers.actor.beta1")
    assert layers(found) == [
        ("default", 0.9, None),
        ("parent", 0.5, "grandparent.toml:10:57"),
        ("file", None, "child.toml:6:9"),
    ]
    assert found.value == 0.9
    assert found.settings[-1].notes == ("optimizers.actor is set anew, without it",)


def test_a_table_lists_its_entries(child: Path) -> None:
    found = explain(child, "optimizers.actor")
    assert found.children["optimizers.actor.kind"].value == "adamw"
    assert found.children["optimizers.actor.beta1"].layer == "default"
    text = explain_text(found)
    assert 'optimizers.actor.kind = "adamw"' in text
    assert "set by" not in text
    assert explain(child, "seeds").children["seeds[0]"].value == 0
    assert set(explain(child, "networks").children) == {"networks.actor", "networks.critic"}


def test_the_lists_of_a_file_are_keys_too(child: Path) -> None:
    short, full = (explain(child, f"networks.actor.trunk{key}[0].width") for key in ("", ".layers"))
    assert short == full
    assert short.key == "networks.actor.trunk.layers[0].width"


def test_every_key_of_a_blueprint_is_explained(child: Path) -> None:
    for key, value in flatten(load(child, variant="wide").blueprint).items():
        found = explain(child, key, (), "wide")
        value = [] if value == "[]" else value
        assert found.value == value
        assert found.settings or isinstance(found.value, list), key
        assert found.field.documentation or "[" in key, key
        if found.settings and found.settings[-1].value is not None and not found.children:
            assert found.settings[-1].value == value, key
        assert explain_text(found)


def test_for_programs(child: Path) -> None:
    table: dict[str, Any] = explain_json(explain(child, "replay.capacity"))
    assert (table["key"], table["value"]) == ("replay.capacity", 600)
    assert table["settings"][-1] == {
        "layer": "file", "value": 600, "file": "child.toml", "line": 4, "column": 19, "notes": [],
    }  # fmt: skip
    assert table["settings"][0]["file"] is None
    assert explain_json(explain(child, "replay"))["children"][0]["key"] == "replay.capacity"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("replay.capcity", "no key \"replay.capcity\"; did you mean 'replay.capacity'?"),
        ("replya.capacity", "no key \"replya.capacity\"; did you mean 'replay'?"),
        ("networks.critic.trunk.widht", "did you mean 'networks.critic.trunk.width'?"),
        ("networks.critic.trunk.blokcs", "did you mean 'networks.critic.trunk.blocks'?"),
        ("replay.zzz", "replay has 'capacity'"),
        ("training.env_steps.x", "training.env_steps is integer 1000"),
        ("networks.actor.trunk[9].width", "networks.actor.trunk has"),
        ("variants.wide", "a blueprint has"),
        ("a..b", 'expected a key such as training.env_steps, got "a..b"'),
        ("", "expected a key such as training.env_steps"),
    ],
)
def test_keys_that_are_not_there(key: str, expected: str, child: Path) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        explain(child, key)
    assert expected in str(caught.value)


def test_only_a_sound_blueprint_is_explained(child: Path) -> None:
    with pytest.raises(BlueprintError, match="capacity"):
        explain(child, "replay.capacity", ["replay.capacity=0"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (0.5, "0.5"),
        ("a\n\x7f\u202e", '"a\\n\\U0000007f\\U0000202e"'),
        ({"kind": "adam", "of": [1, 2.0]}, '{ kind = "adam", of = [1, 2.0] }'),
        ({}, "{}"),
        ({"a b": 1}, '{ "a b" = 1 }'),
    ],
)
def test_values_as_a_file_writes_them(value: object, expected: str) -> None:
    assert toml_value(value) == expected
