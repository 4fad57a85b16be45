"""The recurrent state-space model: a latent that is observed, or imagined. Source: Hafner et al., arXiv:2301.04104.

Legend: S seeds, N samples, L moments, D entries of the recurrent state, V latent variables of K classes, a action.
Tests: tests/papers/test_rssm.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from composer.algorithms.losses.latents import drawn_one_hot, unimix
from composer.networks.stacked import Stacked

NETWORKS = ("encoder", "dynamics", "prior", "posterior")


class Latent(NamedTuple):
    """The state of the model."""

    recurrent: Tensor
    """``[..., D]``"""
    stochastic: Tensor
    """``[..., V K]``: one-hot draws, one after another."""

    @property
    def features(self) -> Tensor:
        """What heads read, ``[..., D + V K]``."""
        return torch.cat(self, -1)

    def detached(self) -> Latent:
        """The same without gradient."""
        return Latent(self.recurrent.detach(), self.stochastic.detach())


class Observed(NamedTuple):
    """Latents of sequences."""

    latent: Latent
    """``[S, N, L, ...]``"""
    posterior: Tensor
    """Probabilities ``[S, N, L, V, K]`` given the observation."""


@dataclass(frozen=True)
class RSSM:
    """Four networks with one copy each, over tensors of all seeds."""

    encoder: Stacked
    dynamics: Stacked
    prior: Stacked
    posterior: Stacked
    variables: int
    """V"""
    classes: int
    """K"""
    uniform_share: Tensor
    """``[S, 1, 1, 1]``: share of the uniform distribution in the latents' probabilities."""

    @classmethod
    def of(cls, networks: Mapping[str, Stacked], variables: int, classes: int, uniform_share: Tensor) -> RSSM:
        """From networks by role."""
        encoder, dynamics, prior, posterior = (networks[role] for role in NETWORKS)
        return cls(encoder, dynamics, prior, posterior, variables, classes, uniform_share)

    def tokens(self, observation: Tensor, training: bool = False) -> Tensor:
        """What the posterior reads of observations ``[S, N, ...]``: ``[S, N, m]``."""
        return _only(self.encoder(observation, training))

    def advance(self, latent: Latent, action: Tensor, training: bool = False) -> Tensor:
        """The next recurrent state ``[S, N, D]``; actions ``[S, N, a]`` beyond 1 are scaled to 1."""
        scaled = action / action.abs().clamp_min(1).detach()
        return _only(self.dynamics(torch.cat([*latent, scaled], -1), training))

    def prior_of(self, recurrent: Tensor, training: bool = False) -> Tensor:
        """Probabilities ``[S, N, V, K]`` of the latent before its observation."""
        return self._probabilities(_only(self.prior(recurrent, training)))

    def posterior_of(self, recurrent: Tensor, tokens: Tensor, training: bool = False) -> Tensor:
        """Probabilities ``[S, N, V, K]`` of the latent given its observation."""
        return self._probabilities(_only(self.posterior(torch.cat([recurrent, tokens], -1), training)))

    def draw(self, probabilities: Tensor, noise: Tensor) -> Tensor:
        """A latent ``[S, N, V K]`` from unit-normal draws ``[S, N, V]``."""
        return drawn_one_hot(probabilities, torch.special.ndtr(noise)).flatten(-2)

    def observe(
        self, before: Latent, action: Tensor, tokens: Tensor, noise: Tensor, training: bool = False
    ) -> tuple[Latent, Tensor]:
        """The latent after an action and an observation, and its posterior, from the latent before them."""
        recurrent = self.advance(before, action, training)
        posterior = self.posterior_of(recurrent, tokens, training)
        return Latent(recurrent, self.draw(posterior, noise)), posterior

    def observe_all(
        self, before: Latent, action: Tensor, first: Tensor, tokens: Tensor, noise: Tensor, training: bool = False
    ) -> Observed:
        """Latents of sequences ``[S, N, L, ...]``; ``action`` came before each observation, ``before`` before all.

        Where ``first [S, N, L]`` is 1 an episode begins: the latent before it and the action count as zeros.
        """
        latents, posteriors, latent = [], [], before
        for time in range(first.shape[2]):
            kept = (1 - first[:, :, time])[..., None]
            latent = Latent(latent.recurrent * kept, latent.stochastic * kept)
            latent, posterior = self.observe(
                latent, action[:, :, time] * kept, tokens[:, :, time], noise[:, :, time], training
            )
            latents.append(latent)
            posteriors.append(posterior)
        joined = Latent(*(torch.stack(parts, 2) for parts in zip(*latents, strict=True)))
        return Observed(joined, torch.stack(posteriors, 2))

    def imagine(self, latent: Latent, action: Tensor, noise: Tensor) -> Latent:
        """The latent after an action, drawn from the prior."""
        recurrent = self.advance(latent, action)
        return Latent(recurrent, self.draw(self.prior_of(recurrent), noise))

    def _probabilities(self, logits: Tensor) -> Tensor:
        return unimix(logits.unflatten(-1, (self.variables, self.classes)), self.uniform_share)


def _only(output: Tensor) -> Tensor:
    """Of the only copy."""
    return output[:, 0]
