"""The scale of rewards by task, arXiv:2505.23150, against its code's loop over finished episodes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from composer.algorithms.normalization.task_returns import TaskReturns
from composer.algorithms.normalization.task_scaling import BRCScaling
from composer.algorithms.program import Program
from composer.blueprint import BlueprintError, load
from composer.environments.interface import EnvironmentInfo
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.package_files import blueprints_root

DISCOUNT, BOUND, LIMIT = 0.9, 10.0, 7
BONUS = torch.tensor([-0.3, -2.0], dtype=torch.float64)


class Entropic(Program):
    """Whose entropy bonus is given."""

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        raise NotImplementedError

    def inputs(self, batch, noise):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def target_entropy_bonus(self) -> Tensor:
        return BONUS


def extremes(rewards: list[float], truncated: bool) -> tuple[float, float]:
    """Backwards over one episode, as the code does."""
    values, following = [], sum(rewards) / len(rewards) / (1 - DISCOUNT) if truncated else 0.0
    for reward in reversed(rewards):
        following = reward + DISCOUNT * following
        values.append(following)
    return min(values), max(values)


def test_scales_are_those_of_a_loop_over_episodes() -> None:
    """Two seeds, three tasks in two copies each; episodes end at random, by themselves or by time."""
    numbers = Hyperparameters(2, "cpu")
    made = BRCScaling(bound=BOUND).build(numbers, 6, torch.full((2,), DISCOUNT, dtype=torch.float64))
    assert isinstance(made, TaskReturns)
    made.attach(EnvironmentInfo((5,), 1, LIMIT, 1, terminates=True, tasks=3), Entropic())
    draws = torch.Generator().manual_seed(0)
    running: list[list[list[float]]] = [[[] for _ in range(6)] for _ in range(2)]
    low, high = [[math.inf] * 3 for _ in range(2)], [[-math.inf] * 3 for _ in range(2)]
    raw, seen = (
        torch.ones(2, 3, dtype=torch.float64),
        torch.cat([torch.zeros(2, 3, 2), torch.eye(3).expand(2, 3, 3)], 2),
    )
    for step in range(40):
        reward = 3 * torch.randn(2, 6, generator=draws, dtype=torch.float64)
        length = torch.tensor([[len(each) + 1 for each in row] for row in running])
        truncated = length == LIMIT
        terminated = (torch.rand(2, 6, generator=draws) < 0.1) & ~truncated
        made.arrive(reward, terminated, truncated)
        for seed in range(2):
            for row in range(6):
                running[seed][row].append(float(reward[seed, row]))
                if terminated[seed, row] or truncated[seed, row]:
                    least, most = extremes(running[seed][row], bool(truncated[seed, row]))
                    low[seed][row % 3] = min(low[seed][row % 3], least)
                    high[seed][row % 3] = max(high[seed][row % 3], most)
                    running[seed][row] = []
            found = made.scaled(raw, seen)[seed].tolist()
            for task in range(3):
                largest = high[seed][task] if high[seed][task] > abs(low[seed][task]) else abs(low[seed][task])
                expected = BOUND / (largest - float(BONUS[seed]) / (1 - DISCOUNT) / 2)
                assert found[task] == pytest.approx(expected, rel=1e-6), (step, seed, task)
    assert all(math.isfinite(value) for row in low for value in row)
    assert all(value.isfinite().all() for value in made.tensors().values()), "checkpoints hold finite numbers alone"


def test_rewards_are_nothing_before_an_episode_has_ended_and_running_ones_can_be_forgotten() -> None:
    made = BRCScaling().build(Hyperparameters(2, "cpu"), 1, torch.full((2,), DISCOUNT))
    made.attach(EnvironmentInfo((2,), 1, LIMIT, 1, terminates=True), Entropic())
    no, yes = torch.zeros(2, 1, dtype=torch.bool), torch.ones(2, 1, dtype=torch.bool)
    made.arrive(torch.full((2, 1), 5.0), no, no)
    assert made.scaled(torch.ones(2, 4)).tolist() == [[0.0] * 4] * 2
    made.restart()
    made.arrive(torch.full((2, 1), 2.0), yes, no)
    assert made.scale().tolist() == pytest.approx([BOUND / (2 + 0.3 * 10 / 2), BOUND / (2 + 2.0 * 10 / 2)], rel=1e-6)


def test_it_needs_episodes_of_its_own() -> None:
    with pytest.raises(BlueprintError, match="'brc' knows the returns of own episodes alone"):
        load(blueprints_root() / "offline" / "pendulum.toml", ["normalization.reward={ kind = 'brc' }"])
