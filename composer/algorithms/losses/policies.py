"""Distributions of actions from a head's raw output, as pure functions: draws, log-densities, entropies.

An algorithm written over ``Policy`` works with choices and with numbers. Legend: ``[...]`` batch axes, a actions.
Tests: tests/papers/test_policies.py.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from composer.algorithms.losses.tanh_gaussian import HALF_LOG_TWO_PI

R = TypeVar("R", contravariant=True)


class Policy(Protocol[R]):
    """What an algorithm asks of a distribution whose head returns an ``R``."""

    def draw(self, raw: R, noise: Tensor) -> Tensor:
        """An action ``[..., a]`` from draws of a unit normal ``[..., a]``."""

    def mode(self, raw: R) -> Tensor:
        """The likeliest action ``[..., a]``, where the environment takes it."""

    def to_env_action(self, action: Tensor) -> Tensor:
        """What the environment is given for a draw ``[..., a]``, in [-1, 1] or one-hot."""

    def log_density(self, raw: R, action: Tensor) -> Tensor:
        """Of draws ``[..., a]``: ``[...]``."""

    def entropy(self, raw: R) -> Tensor:
        """``[...]``, natural logarithm."""


class CategoricalPolicy:
    """A choice among a, one-hot, from logits ``[..., a]``."""

    def draw(self, raw: Tensor, noise: Tensor) -> Tensor:
        """The largest of the logits with Gumbel noise: an exact draw of the softmax (Gumbel, 1954)."""
        # Unit normals to uniforms to Gumbels; float64, because a normal of 6 is a uniform that float32 takes for 1.
        gumbel = -torch.log(-torch.special.log_ndtr(noise.double()))
        return _chosen(raw.double() + gumbel).to(raw.dtype)

    def mode(self, raw: Tensor) -> Tensor:
        """The largest logit, the first of equals."""
        return _chosen(raw).to(raw.dtype)

    def to_env_action(self, action: Tensor) -> Tensor:
        """Itself."""
        return action

    def log_density(self, raw: Tensor, action: Tensor) -> Tensor:
        """The logarithm of the chosen one's probability."""
        return (raw.log_softmax(-1) * action).sum(-1)

    def entropy(self, raw: Tensor) -> Tensor:
        """``-sum p log p``."""
        log_probability = raw.log_softmax(-1)
        return -(log_probability.exp() * log_probability).sum(-1)


class GaussianPolicy:
    """Independent normals ``(mean, log_std)``, ``[..., a]`` each, which reach beyond the action box [-1, 1].

    What is learned from is the draw, whose density this is; the environment is given the nearest action of its box.
    """

    def draw(self, raw: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """``mean + exp(log_std) * noise``, wherever it lies."""
        mean, log_std = raw
        return mean + log_std.exp() * noise

    def mode(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """The mean, or the nearest action."""
        return self.to_env_action(raw[0])

    def to_env_action(self, action: Tensor) -> Tensor:
        """The nearest action; what is not a number stays so, for the environment to refuse."""
        return action.clamp(-1.0, 1.0)

    def log_density(self, raw: tuple[Tensor, Tensor], action: Tensor) -> Tensor:
        """Summed over actions."""
        mean, log_std = raw
        score = (action - mean) * (-log_std).exp()
        return (-0.5 * score.square() - log_std - HALF_LOG_TWO_PI).sum(-1)

    def entropy(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """``sum log_std + a (1 + log 2 pi) / 2``, of the draw, not of what is left of it in the box."""
        return (raw[1] + (0.5 + HALF_LOG_TWO_PI)).sum(-1)


def _chosen(scores: Tensor) -> Tensor:
    return chosen_of(scores.argmax(-1), scores.shape[-1])


def chosen_of(choices: Tensor, count: int) -> Tensor:
    """One-hot float32 ``[..., count]`` of choices ``[...]``.

    Torch's own function asks a CPU's numbers whether they are in bounds: the host would wait.
    """
    return (choices[..., None] == torch.arange(count, device=choices.device)).float()
