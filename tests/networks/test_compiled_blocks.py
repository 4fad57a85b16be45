"""Blocks with random streams, projections and branches inside the compiled update: the same as eager."""

from __future__ import annotations

import pytest
import torch
from tiny_runs import learner, transitions

from composer.training.compile.capture import Choice

TRUNK = """networks.critic.trunk=[
    { kind = "parallel", join = "concatenate", branches = [
        [{ kind = "linear", width = 8, unit_norm = "rows", bias = false }, { kind = "crelu" }],
        [{ kind = "detached", block = { kind = "linear", width = 8 } }, { kind = "dropout", rate = 0.5 }],
    ] },
    { kind = "dropout", rate = 0.2 },
]"""
ACTOR = "networks.actor.trunk=[{ kind = 'linear', width = 4 }, { kind = 'layer_norm' }, { kind = 'relu' }]"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of torch's own modules, when inductor is first imported.
def test_compiled_and_eager_updates_agree() -> None:
    """Alone makes code of a whole SAC update of two seeds, statistics, dropout, projections, detached branches."""
    torch.compiler.reset()
    compiled, eager = (learner(TRUNK, ACTOR, "seeds=[0, 1]", choice=Choice(on, "a test")) for on in (True, False))
    for step in range(10):
        for agent in (compiled, eager):
            agent.observe(torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(step)))
            agent.update(transitions(agent, step))
    ours, theirs = compiled.tensors(), eager.tensors()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    counters = {name: value.tolist() for name, value in ours.items() if name.endswith("draws")}
    assert counters == {
        f"{where}/trunk.{layer}.draws": [[count] * 2] * 2
        for where, count in (("networks/critic", 10), ("averages/target_critic", 0))
        for layer in ("0.1.1", "1")
    }


def test_seeds_with_noise_in_their_networks_are_the_same_as_alone() -> None:
    together = learner(TRUNK, ACTOR, "seeds=[0, 4]")
    for index, seed in enumerate((0, 4)):
        alone = learner(TRUNK, ACTOR, f"seeds=[{seed}]")
        for step in range(5):
            batch = transitions(together, step)
            alone.update(type(batch)(*(value[index : index + 1] for value in batch)))
            if index == 0:
                together.update(batch)
        ours = together.tensors()
        for name, value in alone.tensors().items():
            got = ours[name][:, index] if name == "signals" else ours[name][index]
            torch.testing.assert_close(got, value[:, 0] if name == "signals" else value[0], rtol=1e-4, atol=1e-5)
