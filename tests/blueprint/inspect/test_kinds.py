"""``composer kinds``: every family, kind and table, with the keys that they have; near names where there is none."""

from __future__ import annotations

import pytest

from composer.blueprint.inspect.kinds import UnknownNameError, kinds_json, kinds_text
from composer.blueprint.inspect.kinds.names import families, find, known_names, table_name, tables
from composer.blueprint.schema import Blueprint
from composer.spec.family import Family

KINDS = [(plural, kind) for plural, family in families().items() for kind in family.kinds()]


def test_every_kind_shows_its_keys_its_example_and_fits_the_terminal() -> None:
    for plural, kind in KINDS:
        shown = kinds_text(f"{plural}/{kind}", 80)
        (member,) = find(f"{plural}/{kind}")
        assert shown.startswith(f"{plural}/{kind}\n")
        assert issubclass(member, Family)
        for key in member.model_fields:
            assert f"\n{key} " in shown, (plural, kind, key)
        assert f'kind = "{kind}"' in shown and "code: " in shown
        prose = [line for line in shown.split("\n") if " = " not in line]
        assert max(map(len, prose)) <= 80, shown
        (row,) = kinds_json(f"{plural}/{kind}")["kinds"]
        assert [key["name"] for key in row["keys"]] == [*member.model_fields]
        assert all(key["accepts"] and bool(key["default"]) != bool(key["note"]) for key in row["keys"])


def test_the_overview_names_every_family_and_table() -> None:
    shown = kinds_text(None, 80)
    assert max(map(len, shown.split("\n"))) <= 80
    assert [line.split()[0] for line in shown.split("\n\n")[0].split("\n") if line[0] != " "] == [*families()]
    assert all(table_name(each) in shown for each in tables())
    assert [each["family"] for each in kinds_json()["families"]] == [*families()]
    for name in known_names():
        assert find(name)


def test_a_key_is_told_with_its_bounds_its_default_and_its_meaning() -> None:
    shown = kinds_text("adamw", 100)
    assert "beta1              number from 0 below 1; default 0.9\n    Decay of the running mean of" in shown
    assert "learning_rate      a number or a schedule; default 0.001" in shown
    assert "env_steps   integer from 1 to 10^12; required" in kinds_text("training", 100)
    assert "The example on [16] gives [16]: 304 parameters" in kinds_text("residual", 100)


def test_a_name_with_several_meanings_shows_all() -> None:
    assert [each.__module__ for each in find("normal")] == [
        "composer.networks.initializers",
        "composer.interventions.sources",
    ]
    family, declared = find("diagnostics")
    assert issubclass(family, Family) and declared is Blueprint.model_fields["diagnostics"].annotation
    assert find("block") == find("blocks")
    assert kinds_text("normal", 80).count("std  ") == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("relu6", "no kind and no family is called 'relu6'; did you mean 'relu'?"),
        ("triger", "no kind and no family is called 'triger'; did you mean 'triggers'?"),
        ("heads/scaler", "no head is called 'scaler'; did you mean 'scalar'?"),
        ("simba", "no kind and no family is called 'simba': it is a part, see 'composer parts simba'"),
        ("simbaa", "; did you mean the part 'simba' ('composer parts simba')?"),
        (
            "layer",
            "; kinds: 'channel_layer_norm', 'last_layers', 'layer_norm', "
            "parts: 'last_layers_reset', 'nature_layer_norm', 'resnet_layer', 'tdmpc2_layer', 'vgg_layer'",
        ),
        (
            "resets",
            "; kinds: 'reset_silent_units', parts: 'bbf_head_reset', 'full_reset', 'head_reset', 'last_layers_reset', "
            "'moments_reset', 'self_normalized_resets'",
        ),
        ("qwxz", "; 'composer kinds' lists all families"),
    ],
)
def test_an_unknown_name_is_told_what_is_near(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        kinds_text(name)
    assert str(caught.value).endswith(said)
    assert caught.value.exit_code == 2
