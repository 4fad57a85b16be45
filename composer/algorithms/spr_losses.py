"""Self-predictive representations: the loss over stacked networks. Source: Schwarzer et al., arXiv:2007.05929.

Legend: S seeds, B batch, K steps ahead, n latent, a action. Tests: tests/papers/test_spr.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from composer.algorithms.program import Batch, Inputs, Roles
from composer.networks.stacked import Stacked
from composer.optim.hyperparameters import Hyperparameters

EXTRAS = ("future/observation", "future/action", "future/alive")


class SelfPrediction:
    """How far off the predicted latents of the next K observations are."""

    def __init__(self, roles: Roles, steps: int, weight: float, hyperparameters: Hyperparameters) -> None:
        """``weight`` multiplies the loss."""
        self.steps = steps
        self._transition, self._projection, self._predictor = (
            roles.networks[role] for role in ("transition", "projection", "predictor")
        )
        self._encoder = roles.averages["target_value"].child("trunk")
        self._target = roles.averages["target_projection"]
        self._weight = hyperparameters.number(weight, 1)

    def loss(self, latent: Tensor, batch: Batch, varied: Callable[[Tensor], Tensor]) -> Tensor:
        """The weighted loss of each sample ``[S, B]`` from latents ``[S, B, n]``; ``varied`` augments what comes."""
        observation, action, alive = (batch.extra[name] for name in EXTRAS)
        with torch.no_grad():
            coming = varied(observation)
            target = normalize(_one(self._target(_one(self._encoder(coming.flatten(1, 2))))), dim=-1)
        predicted = []
        for step in range(self.steps):
            latent = _one(self._transition(torch.cat([latent, action[:, :, step]], -1), training=True))
            projected = _one(self._projection(latent, training=True))
            predicted.append(normalize(_one(self._predictor(projected, training=True)), dim=-1))
        distance = (torch.stack(predicted, 2) - target.unflatten(1, alive.shape[1:])).square().sum(-1)
        loss: Tensor = self._weight * (alive * distance).mean(2)
        return loss

    def inputs(self, now: Tensor, following: Tensor, action: Tensor) -> dict[str, Inputs]:
        """What its networks read, from two latents ``[S, B, n]`` and the action between them."""
        projected = (_one(self._projection(latent)) for latent in (now, following))
        joined = (torch.cat([latent, action], -1) for latent in (now, following))
        return {"transition": Inputs(*joined), "projection": Inputs(now, following), "predictor": Inputs(*projected)}

    def default_extras(self, batch: Batch) -> dict[str, Tensor]:
        """The next observation for all that come, of which only the first counts."""
        ahead = (batch.next_observation, batch.action)
        observation, action = (each.unsqueeze(2).repeat_interleave(self.steps, 2) for each in ahead)
        alive = torch.zeros(*batch.reward.shape, self.steps, device=batch.reward.device)
        alive[:, :, 0] = 1
        return dict(zip(EXTRAS, (observation, action, alive), strict=True))


def latent(encoder: Stacked, observation: Tensor, training: bool = False) -> Tensor:
    """What the trunk of a network gives, ``[S, B, n]``."""
    return _one(encoder(observation, training))


def _one(output: Tensor) -> Tensor:
    """Of the only copy."""
    return output[:, 0]
