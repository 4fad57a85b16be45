"""Epsilon-greedy exploration. Legend: S seeds, E environments of a seed, A actions. Tests: tests/papers/test_dqn.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import ndtr

from composer.algorithms.losses.augmentation import uniform_integers
from composer.algorithms.losses.policies import one_hot


@dataclass(frozen=True)
class Exploration:
    """Epsilon-greedy choice among A actions."""

    epsilon: Callable[[Tensor], Tensor]
    """From updates done ``[S]`` to the probability of a random action during collection, ``[S]``."""
    evaluation_epsilon: Tensor | None
    """The same in evaluations, ``[S]``; None for 0."""
    actions: int
    """A"""

    def choose(self, greedy: Tensor, epsilon: Tensor, noise: Tensor) -> Tensor:
        """One-hot actions ``[S, E, A]``: ``greedy [S, E]``, or with probability ``epsilon [S]`` any action.

        ``noise [S, E, 2]`` decides whether the action is random, and which.
        """
        random = uniform_integers(noise[..., 1], self.actions)
        action = torch.where(ndtr(noise[..., 0]) < epsilon[:, None], random, greedy)
        return one_hot(action, self.actions)
