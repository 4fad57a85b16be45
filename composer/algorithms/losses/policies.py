"""Distributions of actions from a head's raw output, as pure functions: draws, log-densities, entropies.

An algorithm that uses ``Policy`` works with discrete and continuous actions. Legend: ``[...]`` batch axes, a actions.
Tests: tests/papers/test_policies.py.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from composer.algorithms.losses.tanh_gaussian import HALF_LOG_TWO_PI

R = TypeVar("R", contravariant=True)


class Policy(Protocol[R]):
    """A distribution of actions, as algorithms use it; ``R`` is the type of its head's raw output."""

    def draw(self, raw: R, noise: Tensor) -> Tensor:
        """An action ``[..., a]`` from draws of a unit normal ``[..., a]``."""

    def mode(self, raw: R) -> Tensor:
        """The most likely action ``[..., a]`` that the environment accepts."""

    def to_env_action(self, action: Tensor) -> Tensor:
        """The action that the environment plays for a draw ``[..., a]``, in [-1, 1] or one-hot."""

    def log_density(self, raw: R, action: Tensor) -> Tensor:
        """The log-density ``[...]`` of draws ``[..., a]``."""

    def entropy(self, raw: R) -> Tensor:
        """The entropy ``[...]`` in nats."""


class CategoricalPolicy:
    """One of a choices, one-hot, from logits ``[..., a]``."""

    def draw(self, raw: Tensor, noise: Tensor) -> Tensor:
        """The largest of the logits with Gumbel noise: an exact draw of the softmax (Gumbel, 1954)."""
        # Unit normals to uniforms to Gumbels; float64, because a normal of 6 is a uniform that float32 takes for 1.
        gumbel = -torch.log(-torch.special.log_ndtr(noise.double()))
        return _chosen(raw.double() + gumbel).to(raw.dtype)

    def mode(self, raw: Tensor) -> Tensor:
        """The choice of largest logit, the first of equals."""
        return _chosen(raw).to(raw.dtype)

    def to_env_action(self, action: Tensor) -> Tensor:
        """The draw itself."""
        return action

    def log_density(self, raw: Tensor, action: Tensor) -> Tensor:
        """The logarithm of the probability of the choice."""
        return (raw.log_softmax(-1) * action).sum(-1)

    def entropy(self, raw: Tensor) -> Tensor:
        """``-sum p log p``."""
        log_probability = raw.log_softmax(-1)
        return -(log_probability.exp() * log_probability).sum(-1)


class GaussianPolicy:
    """Independent normals ``(mean, log_std)``, ``[..., a]`` each, which reach beyond the action box [-1, 1].

    Losses use the draw and its density; the environment plays the nearest action of its box.
    """

    def draw(self, raw: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """``mean + exp(log_std) * noise``, not clipped."""
        mean, log_std = raw
        return mean + log_std.exp() * noise

    def mode(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """The mean, clipped to the box."""
        return self.to_env_action(raw[0])

    def to_env_action(self, action: Tensor) -> Tensor:
        """The draw clipped to the box; NaN stays NaN, so that the environment refuses it."""
        return action.clamp(-1.0, 1.0)

    def log_density(self, raw: tuple[Tensor, Tensor], action: Tensor) -> Tensor:
        """Summed over actions."""
        mean, log_std = raw
        score = (action - mean) * (-log_std).exp()
        return (-0.5 * score.square() - log_std - HALF_LOG_TWO_PI).sum(-1)

    def entropy(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """``sum log_std + a (1 + log 2 pi) / 2``: of the draw, not of the clipped action."""
        return (raw[1] + (0.5 + HALF_LOG_TWO_PI)).sum(-1)


def _chosen(scores: Tensor) -> Tensor:
    return one_hot(scores.argmax(-1), scores.shape[-1])


def one_hot(choices: Tensor, count: int) -> Tensor:
    """One-hot float32 ``[..., count]`` of choices ``[...]``.

    ``torch.nn.functional.one_hot`` checks bounds on the host, which would wait for the device.
    """
    return (choices[..., None] == torch.arange(count, device=choices.device)).float()
