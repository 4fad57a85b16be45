"""Small Markov reward processes: a few named ones, exact values, sampled transitions and returns.

Legend: n states x, successors y, S runs, T steps. The reward of a step depends on the state it leaves and not on the
successor. Tests: tests/studies/tabular/test_chains.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.studies.tabular.noises import NONE, Floats, Noise

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain with rewards: return ``G(x) = R(x) + discount * G(Y)``, ``R(x) = rewards[x] + scale * noise``."""

    transition: Floats
    """``[n, n]``, rows sum to one."""
    rewards: Floats
    """``[n]``, the mean reward of each state."""
    discount: float
    noise: Noise = NONE
    scale: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.rewards)
        if self.transition.shape != (n, n):
            raise ValueError(f"{n} rewards need transitions [{n}, {n}], got {list(self.transition.shape)}")
        if (self.transition < 0).any() or not np.allclose(self.transition.sum(1), 1, rtol=0, atol=1e-12):
            raise ValueError("rows of transition probabilities must be nonnegative and sum to one")
        if not (0 <= self.discount < 1 and self.scale > 0):
            raise ValueError(f"discount must lie in [0, 1) and scale above 0, got {self.discount}, {self.scale}")

    @property
    def states(self) -> int:
        """The number n of states."""
        return len(self.rewards)

    def values(self) -> Floats:
        """Expected returns ``[n]``, the solution of ``V = r + discount P V``."""
        solved = np.linalg.solve(np.eye(self.states) - self.discount * self.transition, self.rewards)
        return np.asarray(solved, np.float64)

    def bounds(self) -> tuple[float, float]:
        """Bounds of the returns; of nearly all of them where the noise is unbounded."""
        far = 1 - self.discount
        # Variances of independent steps add; bounded noise may also deviate in one direction at every step.
        spread = far if self.noise.is_bounded else math.sqrt(1 - self.discount**2)
        low, high = (self.scale * end / spread for end in self.noise.bounds)
        return float(self.rewards.min() / far + low), float(self.rewards.max() / far + high)

    def successors(self, rng: np.random.Generator, states: Indices) -> Indices:
        """A random successor of each state, same shape."""
        # Without the last sum, which is one up to rounding, no draw can exceed the last state.
        sums = self.transition.cumsum(1)[:, :-1]
        drawn: Indices = (rng.random(states.shape)[..., None] >= sums[states]).sum(-1)
        return drawn

    def draw_rewards(self, rng: np.random.Generator, states: Indices) -> Floats:
        """A random reward for leaving each state, same shape."""
        return self.rewards[states] + self.scale * self.noise.draw(rng, states.shape)

    def returns(self, rng: np.random.Generator, count: int, steps: int) -> Floats:
        """Sampled returns ``[n, count]`` of every state over so many steps, each from a trajectory of its own."""
        states = np.repeat(np.arange(self.states)[:, None], count, axis=1)
        total, weight = np.zeros(states.shape), 1.0
        for _ in range(steps):
            total += weight * self.draw_rewards(rng, states)
            states, weight = self.successors(rng, states), weight * self.discount
        return total

    def horizon(self, cut: float) -> int:
        """Steps after which a reward weighs less than ``cut``."""
        return max(math.ceil(math.log(cut) / math.log(self.discount)), 1) if self.discount else 1

    def plug_in(self, successors: Indices) -> Chain:
        """The chain with the frequencies of observed successors ``[N, n]`` as probabilities; rewards are known."""
        counts = [np.bincount(column, minlength=self.states) for column in successors.T]
        return replace(self, transition=np.asarray(counts) / len(successors))


class Transitions(NamedTuple):
    """A transition from every state at every step of S runs; all online learners learn from the same ones."""

    rewards: Floats
    """``[T, S, n]``"""
    successors: Indices
    """``[T, S, n]``"""


def transitions(chain: Chain, seeds: Sequence[int], steps: int) -> Transitions:
    """Sampled from one stream per seed, so that a run does not depend on the other seeds."""
    states = np.broadcast_to(np.arange(chain.states), (steps, chain.states))
    rngs = [np.random.default_rng(seed) for seed in seeds]
    drawn = [(chain.draw_rewards(rng, states), chain.successors(rng, states)) for rng in rngs]
    return Transitions(np.stack([r for r, _ in drawn], axis=1), np.stack([y for _, y in drawn], axis=1))


def two_state() -> Chain:
    """A state that pays 1 and is left with probability 0.4 for an absorbing state that pays nothing."""
    return Chain(np.array([[0.6, 0.4], [0.0, 1.0]]), np.array([1.0, 0.0]), 0.5)


def loop() -> Chain:
    """A deterministic circle of five states, one of which pays 1."""
    return Chain(np.roll(np.eye(5), 1, axis=1), np.eye(5)[4], 0.9)


def walk() -> Chain:
    """A symmetric random walk on seven states with walls at both ends; the last one pays 1."""
    steps = 0.5 * (np.eye(7, k=1) + np.eye(7, k=-1))
    steps[0, 0] = steps[6, 6] = 0.5
    return Chain(steps, np.eye(7)[6], 0.9)


def garnet(states: int = 10, branches: int = 3, seed: int = 0, discount: float = 0.9) -> Chain:
    """Every state has ``branches`` random successors with random probabilities, and a reward in [0, 1].

    Source of the name: Archibald, McKinnon and Thomas, "On the generation of Markov decision processes", 1995.
    """
    rng = np.random.default_rng(seed)
    chances = np.zeros((states, states))
    for row in chances:
        row[rng.choice(states, branches, replace=False)] = rng.dirichlet(np.ones(branches))
    return Chain(chances, rng.random(states), discount)


CHAINS: Final[dict[str, Callable[[], Chain]]] = {"two-state": two_state, "loop": loop, "walk": walk, "garnet": garnet}
