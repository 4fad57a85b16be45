"""What an algorithm needs: told where it is missing, and what is told to be added is enough."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from composer.algorithms.base import Algorithm
from composer.algorithms.needs import needs
from composer.blueprint import check
from composer.blueprint.load import loads
from composer.spec import builtin_kinds

builtin_kinds.register()
ENVIRONMENTS = {
    "sac": 'kind = "gymnasium"\nid = "Pendulum-v1"',
    "ddpg": 'kind = "gymnasium"\nid = "Pendulum-v1"',
    "td3": 'kind = "gymnasium"\nid = "Pendulum-v1"',
    "ppo": 'kind = "gymnasium"\nid = "CartPole-v1"',
    "pqn": 'kind = "gymnasium"\nid = "CartPole-v1"',
    "dqn": 'kind = "atari"\ngame = "pong"',
    "supervised": 'kind = "task_sequence"\ndata = { kind = "digits" }\ntasks = []',
}
MORE = {"ppo": "batch_size = 64\n", "pqn": "batch_size = 1\n", "dqn": "", "supervised": ""}


def bare(kind: str) -> str:
    """A blueprint without networks, averages and optimizers."""
    return (
        f'blueprint = 1\nname = "bare"\nseeds = [0]\n[environment]\n{ENVIRONMENTS[kind]}\n'
        f'[algorithm]\nkind = "{kind}"\n{MORE.get(kind, "")}[training]\nenv_steps = 100_000\n'
    )


@pytest.mark.parametrize("kind", ["sac", "ddpg", "td3", "ppo", "pqn", "dqn"])
def test_what_is_needed_is_enough(kind: str) -> None:
    values: dict[str, Any] = tomllib.loads(bare(kind))
    algorithm = Algorithm.kinds()[kind].model_validate({k: v for k, v in values["algorithm"].items() if k != "kind"})
    info = _info(values)
    for need in needs(algorithm, info):
        table, name = need.key.split(".")
        values.setdefault(table, {})[name] = tomllib.loads(f"x = {need.example}")["x"]
    loads(values, "filled")
    for need in needs(algorithm, info):
        table, name = need.key.split(".")
        lacking = {**values, table: {key: value for key, value in values[table].items() if key != name}}
        if lacking[table]:
            with pytest.raises(ValueError, match=name) as raised:
                loads(lacking, "lacking")
            assert need.addition in str(raised.value)


def _info(values: dict[str, Any]) -> Any:
    from composer.blueprint.checks.synonyms.case import Case

    return Case(values, (), "", None, values).info


def test_a_file_without_networks_says_what_the_algorithm_needs(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(bare("sac"))
    said = "\n".join(map(str, check(tmp_path / "b.toml")))
    assert "missing key 'networks'" in said and "missing key 'optimizers'" in said
    assert 'sac needs networks.actor = { trunk = { use = "mlp" }, head = { kind = "tanh_gaussian" } } and ' in said
    assert "and optimizers.critic = { kind" in said
    (tmp_path / "b.toml").write_text(bare("sac").replace('"sac"', '"sca"'))
    assert "needs" not in "\n".join(map(str, check(tmp_path / "b.toml")))
