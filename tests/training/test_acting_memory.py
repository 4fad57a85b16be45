"""What a program of a replay learner remembers of each environment: emptied, saved, and apart in evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from encoded import Encoded, EncodedProgram, encoded
from tiny_runs import go_on, result, resumed, stopped
from torch import Tensor
from typing_extensions import override

from composer.algorithms.program import BuiltAgent, Program
from composer.environments import EnvironmentInfo
from composer.optim.hyperparameters import Hyperparameters
from composer.training import assemble
from composer.training.collect.off_policy import ReplayMemory
from composer.training.collect.simulation import SimulatorCollector

REMEMBERING = (
    'algorithm.kind="test/remembering"',
    "seeds=[0, 5]",
    'environment={ kind = "test/drift", copies = 2, limit = 7, edge = 9.0 }',
    "algorithm.warmup_interactions=10",
    "training.env_steps=120",
    "evaluation.every=60",
    "checkpoint.every=40",
)


class Remembering(Encoded, kind="test/remembering"):
    """Counts the decisions of an episode, and keeps the sum of the draws of these decisions."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/remembering"}

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        return RememberingProgram(built)


class RememberingProgram(EncodedProgram):
    """Its action depends on the memory, and so does everything after it."""

    exploration_noise = (3, 2)
    evaluation_noise = (4,)

    @property
    @override
    def acting_memory(self) -> Mapping[str, tuple[int, ...]]:
        return {"count": (), "draws": (3, 2)}

    @override
    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        assert noise is not None and not memory["count"][starts].any()
        after = {"count": memory["count"] + 1, "draws": memory["draws"] + noise}
        return (self.act(observation, None) + after["draws"].sum((2, 3))[..., None]).tanh(), {}, after

    @override
    def evaluate_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        assert noise is not None and noise.shape[2:] == (4,)
        drawn = memory["draws"] + noise.sum(-1)[..., None, None]
        return drawn.sum((2, 3))[..., None].expand(-1, -1, 2).tanh(), {"count": memory["count"] + 1, "draws": drawn}


def test_it_is_emptied_where_an_episode_begins_and_evaluations_leave_it_alone(tmp_path: Path) -> None:
    """Episodes have 7 decisions, the first 10 are random: the count begins at decision 11, the fourth of its episode,
    and then at every seventh; other seeds and evaluations change nothing of it."""
    run, parts = assemble.start(encoded(*REMEMBERING), tmp_path, None)
    assert isinstance(parts.collector, SimulatorCollector) and isinstance(parts.collector.memory, ReplayMemory)
    memory, counts, draws = parts.collector.memory, [], []
    parts.collector.begin()
    for interactions in range(30):
        parts.collector.interact(interactions)
        held = memory._remembered
        counts.append(held["count"].clone() if held else torch.zeros(2, 2))
        draws.append(held["draws"].clone() if held else torch.zeros(2, 2, 3, 2))
        if interactions == 16:
            parts.evaluator.returns(parts.learner, 0)
    parts.close()
    run.close()
    expected = [0] * 10 + [1, 2, 3, 4] + [1, 2, 3, 4, 5, 6, 7] * 2 + [1, 2]
    assert [count.flatten().tolist() for count in counts] == [[number] * 4 for number in expected]
    first = parts.learner.generators()["explore/5"]
    first.manual_seed(first.initial_seed())
    for _ in range(10):
        torch.rand(2, 2, generator=first)
    drawn = torch.stack([torch.randn(2, 3, 2, generator=first) for _ in range(20)])
    assert torch.equal(draws[13][1], drawn[:4].sum(0)) and torch.allclose(draws[29][1], drawn[-2:].sum(0))


def test_stopped_within_an_episode_and_resumed_is_as_if_never_stopped(tmp_path: Path) -> None:
    """With environments that step beside the updates, so that memories wait for their transitions."""
    change = (*REMEMBERING, "training.overlap=true")
    opened, parts = assemble.start(encoded(*change), tmp_path / "whole", None)
    go_on(parts)
    opened.close()
    run = stopped(*assemble.start(encoded(*change), tmp_path / "stopped", None), at=64)
    assert result(resumed(run)) == result(opened.path)
    # A fork that remembers nothing goes on from the same checkpoint.
    forked = encoded(*change, 'algorithm.kind="test/encoded"', "training.env_steps=160", "evaluation.every=160")
    fork, session, _ = assemble.fork(run, forked, 120, 0, tmp_path / "forks")
    assert isinstance(session.collector, SimulatorCollector) and isinstance(session.collector.memory, ReplayMemory)
    assert not session.collector.memory._remembered
    session.close()
    fork.close()
