"""Two blueprints of one key have the same update, operation for operation; what changes it changes the key."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch._dynamo
from tiny_runs import DRIFT, learner, tiny, transitions

from composer.blueprint.forecast.program_key import program_key, structure

LINE = "optimizers.critic.learning_rate={{ kind = 'linear', start = {0}, end = 0.2, updates = {1} }}"


@cache
def graph(*overrides: str) -> str:
    """The update as dynamo traces it."""
    torch.compiler.reset()
    agent, found = learner(*overrides), []

    def keep(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> torch.fx.GraphModule:
        found.append(graph.code)
        return graph

    update = torch.compile(agent.compute_update, backend=keep, fullgraph=True, dynamic=False)
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        update(*transitions(agent), *(torch.zeros(1, 32, *shape) for shape in agent.program.noise.values()))
    (code,) = found
    return code


@pytest.mark.slow
def test_the_key_says_which_updates_are_the_same() -> None:
    """Alone compares the key with the graphs that torch really traces."""
    numbers = (
        "optimizers.actor.learning_rate=0.5",
        "optimizers.critic.epsilon=0.01",
        "optimizers.critic.weight_decay=0.5",
        "averages.target_critic.momentum=0.25",
        "algorithm.target_entropy_per_action=-3",
        "algorithm.discount=0.5",
        "algorithm.n_step=3",
        "algorithm.update_to_data=2",
    )
    plain, key = graph(), structure(tiny(DRIFT))
    assert graph(*numbers) == plain and structure(tiny(DRIFT, *numbers)) == key
    for other in ("optimizers.critic.weight_decay=0", "algorithm.critics='mean'", LINE.format(0.1, 7)):
        assert graph(other) != plain and structure(tiny(DRIFT, other)) != key
    assert graph(LINE.format(0.1, 7)) == graph(LINE.format(0.3, 9))
    assert structure(tiny(DRIFT, LINE.format(0.1, 7))) == structure(tiny(DRIFT, LINE.format(0.3, 9)))


@pytest.mark.parametrize(
    "other",
    [
        "algorithm.batch_size=16",
        "seeds=[0, 1]",
        "networks.critic.copies=1",
        "networks.actor.trunk={ use = 'simba', width = 8, blocks = 1 }",
        "normalization.observation={ kind = 'raw' }",
        "optimizers.temperature.kind='adamw'",
        "environment.limit=24",
    ],
)
def test_whatever_a_program_is_made_of_is_in_its_key(other: str) -> None:
    same = other.startswith("environment")
    assert (program_key(tiny(DRIFT, other), "cpu") == program_key(tiny(DRIFT), "cpu")) is same
    assert program_key(tiny(DRIFT), "cuda") != program_key(tiny(DRIFT), "cpu")
