"""The batch that an update learns from, made of raw transitions; what scales its rewards.

Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from composer.algorithms.program import Batch
from composer.replay.transitions import Transitions

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.algorithms.normalization.returns import RunningReturns
    from composer.algorithms.program import Program
    from composer.optim.hyperparameters import Hyperparameters
    from composer.replay.transitions import Minibatch


def batch_of(
    drawn: Transitions,
    extra: Mapping[str, Tensor],
    see: Callable[[Tensor], Tensor],
    rewards: RunningReturns | None,
) -> Batch:
    """Transitions ``[S, B, ...]`` with observations as ``see`` maps them and rewards as ``rewards`` scales them."""
    reward = drawn.reward if rewards is None else rewards.scaled(drawn.reward, drawn.observation)
    for name in ("future", "sequence"):
        if (seen := extra.get(f"{name}/observation")) is not None:
            extra = {**extra, f"{name}/observation": see(seen.flatten(1, 2)).unflatten(1, seen.shape[1:3])}
        if rewards is not None and (several := extra.get(f"{name}/reward")) is not None:
            extra = {**extra, f"{name}/reward": rewards.scaled(several, drawn.observation)}
    return Batch(see(drawn.observation), drawn.action, reward, drawn.bootstrap, see(drawn.next_observation), extra)


def packed(program: Program, noises: Iterable[Mapping[str, Tensor]], batches: Sequence[Minibatch]) -> list[Tensor]:
    """The tensors that updates are functions of, those of one update after those of another."""
    tensors: list[Tensor] = []
    for noise, batch in zip(noises, batches, strict=False):
        names = program.burst_extras if batch.in_burst else program.extras
        tensors += (*batch.transitions, *(batch.extra[name] for name in names))
        tensors += () if batch.in_burst else (noise[name] for name in program.noise)
    return tensors


def unpacked(
    program: Program, tensors: Sequence[Tensor], in_burst: bool
) -> tuple[Transitions, Mapping[str, Tensor], Mapping[str, Tensor]]:
    """The transitions, the extras and the noise of one update, from what ``packed`` gave."""
    names = program.burst_extras if in_burst else program.extras
    split = 5 + len(names)
    extra = dict(zip(names, tensors[5:split], strict=True))
    noise = dict(zip(() if in_burst else program.noise, tensors[split:], strict=True))
    return Transitions(*tensors[:5]), extra, noise


def rewards_of(
    agent: AgentDeclaration, program: Program, numbers: Hyperparameters, discount: Tensor
) -> RunningReturns | None:
    """What scales the rewards of an agent, fresh; ``discount [S]`` is read at every call. None where nothing does."""
    rewards = agent.normalization.reward.build(numbers, agent.environment.copies_per_seed, discount)
    if rewards is not None:
        rewards.attach(agent.info, program)
    return rewards
