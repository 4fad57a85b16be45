"""Blueprints compared by what they write: parts and kinds as calls."""

from __future__ import annotations

import pytest

from composer import api
from composer.blueprint import diff
from composer.blueprint.inspect.as_written import base_of, changes, side
from composer.blueprint.inspect.call_text import call_text


def lines(left: str, right: str, *overrides: str) -> list[str]:
    return [str(one) for one in changes(side(api.load(left)), side(api.load(right, overrides)))]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("small", ["networks.actor.trunk.width: 128 → 64", "networks.critic.trunk.width: 512 → 128"]),
        ("clipped", ["networks.critic.copies: 1 → 2"]),
        ("raw_observations", ["normalization.observation: rs_norm(epsilon=1e-08) → raw"]),
    ],
)
def test_the_difference_of_a_variant_is_what_the_variant_writes(variant: str, expected: list[str]) -> None:
    assert lines("dmc/sac_simba", f"dmc/sac_simba@{variant}") == expected
    name, base = base_of(api.load(f"dmc/sac_simba@{variant}"))  # type: ignore[misc]
    assert name == "sac_simba"
    assert [str(one) for one in changes(base, side(api.load(f"dmc/sac_simba@{variant}")))] == expected


def test_parts_and_kinds_are_calls_instead_of_hundreds_of_keys() -> None:
    found = lines("dmc/sac_simba", "dmc/simba_v2")
    assert "networks.critic.head: scalar → simba_v2_value" in found
    assert "networks.actor.head.unit_norm: false (default) → true" in found
    assert "networks.critic.trunk: simba(width=512, blocks=2) → [simba_v2(width=512, blocks=2), " in found[3]
    assert "training.env_steps: 500_000 → 1_000_000" in found
    assert len(found) == 10 < len(diff(api.load("dmc/sac_simba"), api.load("dmc/simba_v2"))) / 5
    (_, extended) = base_of(api.load("dmc/sac_simba_post")) or ("", None)
    assert extended is not None
    assert [str(one) for one in changes(extended, side(api.load("dmc/sac_simba_post")))] == [
        "networks.actor.trunk: simba(width=128, blocks=1) → simba_post(width=128, blocks=1)",
        "networks.critic.trunk: simba(width=512, blocks=2) → simba_post(width=512, blocks=2)",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("networks.critic.copies=1", []),  # as in the file
        ("algorithm.critics=mean", ["algorithm.critics: "]),
        ("~algorithm.n_step", []),  # the default is what the file has
        ("networks.critic.trunk={use='simba',width=512}", []),  # the part's own default
        ("seeds=[0,1]", ["seeds: [0] → [0, 1]"]),
        ("interventions.r={use='full_reset',interval=10_000}", ["interventions.r: - → full_reset(interval=10_000)"]),
    ],
)
def test_what_resolves_to_the_same_is_no_difference(override: str, expected: list[str]) -> None:
    found = lines("dmc/sac_simba", "dmc/sac_simba", override)
    assert len(found) == len(expected) and all(map(str.startswith, found, expected)), found


def test_a_blueprint_of_python_is_compared_too() -> None:
    plain = api.load("dmc/sac_simba")
    changed = plain.model_copy(update={"seeds": (4,)})
    assert [str(one) for one in changes(side(plain), side(changed))] == ["seeds: [0] → [4]"]


def test_values_are_written_as_calls() -> None:
    assert call_text({"use": "simba", "width": 128}) == "simba(width=128)"
    assert call_text([{"kind": "relu"}, {"kind": "linear", "width": 20_000}]) == "[relu, linear(width=20_000)]"
    assert call_text({"of": "critic", "on": True}) == '{of="critic", on=true}'
