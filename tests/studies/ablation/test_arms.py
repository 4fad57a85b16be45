"""The arms of an ablation."""

from __future__ import annotations

import pytest

from composer.blueprint.syntax.notation import experiment
from composer.studies import Refused
from composer.studies.ablation.arms import BARE, FULL, arms, suite_tasks


def test_an_arm_per_component_and_the_bare_agent_with_each_alone() -> None:
    found = arms(experiment("dmc/sac_resets", ["training.env_steps=400_000"]), [3, 4], add=True)
    keys = ["networks.critic.copies", "averages.target_critic.momentum", "interventions.reset"]
    assert set(keys) < {each.key for each in found.components}
    count = len(found.components)
    assert len(found.runs) == 2 + 2 * count
    (full,), (bare,) = found.runs[FULL], found.runs[BARE]
    assert full.blueprint.seeds == bare.blueprint.seeds == (3, 4)
    assert full.arguments[1:] == ("training.env_steps=400_000", "seeds=[3, 4]")
    assert (bare.blueprint.networks["critic"].copies, dict(bare.blueprint.interventions)) == (1, {})
    (alone,) = found.runs["only interventions.reset"]
    assert [*alone.blueprint.interventions] == ["reset"]
    assert alone.blueprint.networks["critic"].copies == 1
    (without,) = found.runs["without interventions.reset"]
    assert without.arguments[1:] == ("~interventions.reset", "training.env_steps=400_000", "seeds=[3, 4]")
    assert len({run.key for (run,) in found.runs.values()}) == len(found.runs)


def test_components_are_chosen_by_key_table_or_kind_and_a_wrong_name_is_told() -> None:
    chosen = experiment("dmc/sac_simba")
    found = arms(chosen, [0], only=["layer_norm", "normalization"], skip=["networks.actor"])
    assert [each.key for each in found.components] == [
        "networks.critic.trunk.layers[1].block.block.layers[0]",
        "networks.critic.trunk.layers[2]",
        "normalization.observation",
    ]
    with pytest.raises(Refused, match=r"no component is named .layer_nrom.; did you mean 'layer_norm'"):
        arms(chosen, [0], skip=["layer_nrom"])


def test_what_leaves_no_agent_is_left_out_with_the_reason() -> None:
    found = arms(experiment("atari/rainbow"), [0], add=True, only=["algorithm", "replay"])
    (skipped,) = found.skipped
    assert skipped.as_dict()["component"] == "algorithm.noisy"
    assert "'value' has noisy layers" in skipped.why
    assert "without algorithm.noisy" not in found.runs
    (bare,) = found.runs[BARE]
    assert (bare.blueprint.algorithm.kind, bare.blueprint.replay.sampling.kind) == ("dqn", "uniform")


def test_an_agent_without_components_is_refused() -> None:
    with pytest.raises(Refused, match="nothing of this agent can be taken out"):
        arms(experiment("plasticity/permuted_inputs"), [0])


def test_tasks_are_set_by_the_key_of_the_environment() -> None:
    found = arms(experiment("dmc/sac_simba"), [0], tasks=["cheetah-run", "dog-run"], only=["rs_norm"])
    assert [run.task for run in found.runs[FULL]] == ["cheetah-run", "dog-run"]
    assert found.runs[FULL][1].arguments[1] == 'environment.task="dog-run"'
    with pytest.raises(Refused, match="no single key of the environment phases names its task"):
        arms(experiment("warm_start/digits@l2"), [0], tasks=["digits"])
    assert "dog-run" in suite_tasks("dmc_hard")
    with pytest.raises(Refused, match=r"no suite named .dmc_hrad.; did you mean 'dmc_hard'"):
        suite_tasks("dmc_hrad")
