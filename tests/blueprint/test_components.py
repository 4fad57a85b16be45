"""The components of an agent, found from its blueprint, and the overrides that take them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.blueprint import BlueprintError, load
from composer.blueprint.inspect.components import Component, components, without
from composer.blueprint.serialize import diff, flatten
from composer.blueprint.syntax.nodes import read_path
from composer.blueprint.syntax.notation import Experiment, experiment
from composer.spec.family import FAMILIES

SHIPPED = ("dmc/sac_simba", "dmc/simba_v2@small", "dmc/sac_resets", "atari/drq@spr", "atari/rainbow",
           "classic/pendulum_td3", "classic/cartpole_ppo", "dmc/ppo_simba", "warm_start/vgg16@hare_tortoise",
           "warm_start/digits@self_distillation")  # fmt: skip
COUPLED = {"algorithm.noisy"}
"""Components that others need: what is left without them is no agent."""


def found(name: str, *overrides: str) -> tuple[Experiment, dict[str, Component]]:
    chosen = experiment(name, overrides)
    return chosen, {each.key: each for each in components(load(*chosen, is_to_run=False).blueprint)}


def overrides_without(name: str, *keys: str) -> tuple[str, ...]:
    chosen, by_key = found(name)
    return without(chosen, load(*chosen, is_to_run=False).blueprint, [by_key[key] for key in keys])


def test_simba_is_made_of_these() -> None:
    _, by_key = found("dmc/sac_simba")
    assert [each.name for each in by_key.values()] == [
        *(
            f"networks.{role}.trunk.{layer}"
            for role in ("actor", "critic")
            for layer in (
                "layers[1].block (residual)",
                "layers[1].block.block.layers[0] (layer_norm)",
                "layers[2] (layer_norm)",
            )
        ),
        "averages.target_critic.momentum",
        "optimizers.actor.weight_decay",
        "optimizers.critic.weight_decay",
        "normalization.observation (rs_norm)",
        "optimizers.temperature.learning_rate (learned temperature)",
    ]


@pytest.mark.parametrize(
    ("name", "key", "written"),
    [
        ("dmc/sac_simba", "normalization.observation", 'normalization.observation={ kind = "raw" }'),
        ("dmc/sac_simba", "averages.target_critic.momentum", "averages.target_critic.momentum=0"),
        ("dmc/sac_simba", "optimizers.temperature.learning_rate", "optimizers.temperature.learning_rate=1e-30"),
        ("dmc/sac_resets", "interventions.reset", "~interventions.reset"),
        ("dmc/sac_simba@clipped", "networks.critic.copies", "networks.critic.copies=1"),
        ("atari/rainbow", "replay.sampling", 'replay.sampling={ kind = "uniform" }'),
        ("atari/rainbow", "algorithm.n_step", "algorithm.n_step=1"),
        ("classic/pendulum_td3", "algorithm.policy_delay", "algorithm.policy_delay=1"),
        ("classic/pendulum_ppo", "normalization.reward", 'normalization.reward={ kind = "raw" }'),
        ("warm_start/digits@l2", "optimizers.model.weight_decay", "optimizers.model.weight_decay=0"),
    ],
)
def test_a_component_goes_by_the_override_that_one_would_write(name: str, key: str, written: str) -> None:
    assert overrides_without(name, key) == (written,)


def test_a_norm_in_a_part_goes_with_the_part_written_out_and_a_residual_leaves_its_block() -> None:
    chosen, by_key = found("dmc/sac_simba")
    base = load(*chosen, is_to_run=False).blueprint
    norm, residual = (by_key[f"networks.critic.trunk.layers[1].block{end}"] for end in (".block.layers[0]", ""))
    (written,) = without(chosen, base, [norm])
    assert written.startswith("networks.critic.trunk=")
    changed = diff(base, load(chosen.path, [written], is_to_run=False).blueprint)
    assert {(each.key, each.left, each.right) for each in changed if each.right} == {
        (f"{norm.key}.kind", "layer_norm", "identity")
    }
    both = flatten(load(chosen.path, without(chosen, base, [residual, norm]), is_to_run=False).blueprint)
    trunk = "networks.critic.trunk.layers[1].block.layers"
    assert [both[f"{trunk}[{n}].kind"] for n in range(4)] == ["identity", "linear", "relu", "linear"]


@pytest.mark.parametrize("name", SHIPPED)
def test_without_a_component_nothing_else_changes(name: str) -> None:
    chosen, by_key = found(name)
    base = load(*chosen, is_to_run=False).blueprint
    assert by_key
    for component in by_key.values():
        written = without(chosen, base, [component])
        if component.key in COUPLED:
            with pytest.raises(BlueprintError):
                load(chosen.path, written, chosen.variant, is_to_run=False)
            continue
        changed = {
            each.key for each in diff(base, load(chosen.path, written, chosen.variant, is_to_run=False).blueprint)
        }
        gone = [component.path, *component.served_by]
        # The entries after one that is removed from a list move up; a list left empty is shown under its own key.
        around = [path[:-1] if isinstance(path[-1], int) and component.is_entry else path for path in gone]
        paths = [read_path(key) or () for key in changed]
        assert changed
        assert all(any(path[: len(each)] == each for each in around) for path in paths), component.name


def test_stripped_of_all_that_can_go_an_agent_has_no_component_left_but_one_that_was_kept() -> None:
    chosen, by_key = found("dmc/sac_simba")
    base = load(*chosen, is_to_run=False).blueprint
    kept = "networks.actor.trunk.layers[1].block.block.layers[0]"
    rest = [each for each in by_key.values() if each.key != kept]
    bare = load(chosen.path, without(chosen, base, rest), is_to_run=False).blueprint
    left = {each.kind for each in components(bare)}
    assert left == {"layer_norm", "learned temperature"}


def test_an_option_goes_with_the_networks_that_serve_it() -> None:
    written = overrides_without("atari/drq@spr", "algorithm.spr")
    roles = ("predictor", "projection", "transition")
    assert set(written) == {
        "~algorithm.spr",
        "~averages.target_projection",
        *(f"~{table}.{role}" for table in ("networks", "optimizers") for role in roles),
    }


def test_a_component_is_found_by_its_key_by_a_table_around_it_and_by_its_kind() -> None:
    _, by_key = found("dmc/sac_simba")
    norm = by_key["networks.actor.trunk.layers[2]"]
    for text in (norm.key, "networks.actor", "networks", "layer_norm"):
        assert norm.is_named(text)
    for text in ("networks.critic", "networks.actor.trunk.layers[1]", "layer", "norm"):
        assert not norm.is_named(text)


def test_what_stands_in_for_a_kind_is_of_its_family() -> None:
    from pydantic import TypeAdapter

    for family in FAMILIES.values():
        for kind in family.kinds().values():
            if not kind.__module__.startswith("composer."):  # Of another test.
                continue
            value = TypeAdapter(family).validate_python(kind.example)
            instead = value.without()
            if instead is not None:
                assert TypeAdapter(family).validate_python(instead) == instead
                assert instead != value


def test_overrides_that_a_user_gave_stay_and_a_part_with_changed_arguments_is_written_out_as_it_is() -> None:
    chosen, by_key = found("dmc/sac_simba", "networks.critic.trunk.width=64", "training.env_steps=20_000")
    base = load(*chosen, is_to_run=False).blueprint
    *own, written = without(chosen, base, [by_key["networks.critic.trunk.layers[2]"]])
    assert (tuple(own), written[:22]) == (chosen.overrides, "networks.critic.trunk=")
    bare = load(chosen.path, (*own, written), is_to_run=False).blueprint
    assert flatten(bare)["networks.critic.trunk.layers[0].width"] == 64
    assert bare.training.env_steps == 20_000


def test_the_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "dmc/sac_resets"\nname = "mine"\n[variants.raw]\nnormalization.observation.kind = "raw"\n'
    )
    chosen, by_key = found(str(file) + "@raw")
    assert "normalization.observation" not in by_key
    base = load(*chosen, is_to_run=False).blueprint
    assert without(chosen, base, [by_key["interventions.reset"]]) == ("~interventions.reset",)


def test_what_an_override_of_the_user_sets_goes_with_that_override() -> None:
    mine, later = 'interventions.mine={ use = "full_reset" }', "interventions.reset.interval=250_000"
    chosen, by_key = found("dmc/sac_resets", mine, later, "seeds=[1]")
    base = load(*chosen, is_to_run=False).blueprint
    assert without(chosen, base, [by_key["interventions.mine"]]) == (later, "seeds=[1]")
    assert without(chosen, base, [by_key["interventions.reset"]]) == ("~interventions.reset", mine, "seeds=[1]")
