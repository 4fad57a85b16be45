"""Runs have one agent's name if, and only if, they train the same agent."""

from collections.abc import Sequence

import pytest

from composer import api
from composer.blueprint.inspect.agent_name import LONGEST, agent_name
from composer.blueprint.serialize import agent_digest
from composer.spec.family import plain_value

FILE = "dmc/sac_simba"


def name(overrides: Sequence[str] = (), variant: str | None = None, file: str = FILE) -> str:
    return agent_name(api.load(file, overrides, variant), variant)


@pytest.mark.parametrize(
    "override",
    [
        "seeds=[4,5]",
        "environment.task=dog-trot",
        'environment={kind="dm_control",task="dog-trot",action_repeat=2}',
        'tracking={kind="none"}',
        "compute.threads=2",
        "checkpoint.keep=5",
        "replay.storage=host",
        "description=other",
        "algorithm.batch_size=256",  # as in the file
        "algorithm.update_to_data=2",  # as in the file, written in another way
        "evaluation.acting={}",  # the default
        "networks.actor.trunk.width=128",  # an argument of a part
    ],
)
def test_what_makes_no_other_agent_is_not_in_its_name(override: str) -> None:
    assert name([override]) == "sac_simba"
    assert agent_digest(api.load(FILE, [override])) == agent_digest(api.load(FILE))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["algorithm.batch_size=128"], "sac_simba [algorithm.batch_size=128]"),
        (["algorithm.batch_size=1_28", "seeds=[1]"], "sac_simba [algorithm.batch_size=128]"),
        (["algorithm.batch_size=64", "algorithm.batch_size=128"], "sac_simba [algorithm.batch_size=128]"),
        (["algorithm.n_step=3", "algorithm.batch_size=64"], "sac_simba [algorithm.batch_size=64, algorithm.n_step=3]"),
        (["environment.action_repeat=4"], "sac_simba [environment.action_repeat=4]"),
        (
            ["environment={kind='dm_control',task='dog-trot',action_repeat=4}"],
            'sac_simba [environment.action_repeat=4, environment.kind="dm_control"]',
        ),
        (["training.env_steps=10_000"], "sac_simba [training.env_steps=10000]"),
        (["~networks.critic.copies"], "sac_simba"),  # 1 is the default
        (["~normalization.observation"], "sac_simba [~normalization.observation]"),
        (
            ['networks.actor.trunk={use="simba_post",width=128,blocks=1}'],
            'sac_simba [networks.actor.trunk={ use = "simba_post", width = 128, blocks = 1 }]',
        ),
    ],
)
def test_settings_without_a_variant_are_in_the_name(overrides: list[str], expected: str) -> None:
    assert name(overrides) == expected


def test_a_variant_and_the_overrides_that_make_the_same_agent_differ_in_name_only() -> None:
    assert name(variant="small+clipped") == "sac_simba@small+clipped"
    assert name(["networks.critic.copies=2"], "small") == "sac_simba@small [networks.critic.copies=2]"
    assert name(["networks.critic.copies=2"], "clipped") == "sac_simba@clipped"


def test_many_settings_are_cut_and_told_apart() -> None:
    more = ["algorithm.batch_size=64", "algorithm.n_step=3", "algorithm.initial_temperature=0.5"]
    more += ["algorithm.warmup_interactions=10", "algorithm.target_entropy_per_action=-1.0"]
    one, other = (
        name([*more, "optimizers.actor.learning_rate=1.0"]),
        name([*more, "optimizers.actor.learning_rate=2.0"]),
    )
    assert len(one) < LONGEST + 40
    assert one != other and one.partition("#")[0] == other.partition("#")[0]
    assert "and 3 more #" in one


def test_a_setting_that_the_file_lacks_is_named() -> None:
    table = plain_value(api.load(FILE))
    del table["training"]["env_steps"], table["environment"]["task"], table["seeds"]
    found = api.loads(table, ["training.env_steps=1_000", "environment.task=dog-trot", "seeds=[3]"])
    assert agent_name(found, None) == "sac_simba [training.env_steps=1000]"
