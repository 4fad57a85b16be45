"""Self-predictive representations: the loss over stacked networks. Source: Schwarzer et al., arXiv:2007.05929.

Legend: S seeds, B batch, K steps ahead, n latent, a action. Tests: tests/papers/test_spr.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.program import Batch, BuiltAgent, Inputs
from composer.networks.stacked import Stacked
from composer.optim.hyperparameters import Hyperparameters

EXTRAS = ("future/observation", "future/action", "future/alive")


class SelfPrediction:
    """The loss of predicted latents of the next K observations, and the inputs of its networks."""

    def __init__(self, built: BuiltAgent, steps: int, weight: float, hyperparameters: Hyperparameters) -> None:
        """K is ``steps``; ``weight`` multiplies the loss."""
        self.steps = steps
        self._transition, self._projection, self._predictor = (
            built.networks[role] for role in ("transition", "projection", "predictor")
        )
        self._encoder = built.averages["target_value"].child("trunk")
        self._target = built.averages["target_projection"]
        self._weight = hyperparameters.number(weight, 1)

    def loss(self, latent: Tensor, batch: Batch, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """``weight * mean_k alive_k |p_k - t_k|^2`` of each sample ``[S, B]``, from latents ``[S, B, n]``.

        Predictions p and targets t are projections of unit norm; ``augment`` changes the observations of the targets.
        """
        observation, action, alive = (batch.extra[name] for name in EXTRAS)
        with torch.no_grad():
            future = augment(observation)
            target = normalize(of_only_copy(self._target(of_only_copy(self._encoder(future.flatten(1, 2))))), dim=-1)
        predicted = []
        for step in range(self.steps):
            latent = of_only_copy(self._transition(torch.cat([latent, action[:, :, step]], -1), training=True))
            projected = of_only_copy(self._projection(latent, training=True))
            predicted.append(normalize(of_only_copy(self._predictor(projected, training=True)), dim=-1))
        distance = (torch.stack(predicted, 2) - target.unflatten(1, alive.shape[1:])).square().sum(-1)
        loss: Tensor = self._weight * (alive * distance).mean(2)
        return loss

    def inputs(self, now: Tensor, following: Tensor, action: Tensor) -> dict[str, Inputs]:
        """Inputs of its networks, from two successive latents ``[S, B, n]`` and the action between them."""
        projected = (of_only_copy(self._projection(latent)) for latent in (now, following))
        joined = (torch.cat([latent, action], -1) for latent in (now, following))
        return {"transition": Inputs(*joined), "projection": Inputs(now, following), "predictor": Inputs(*projected)}

    def default_extras(self, batch: Batch) -> dict[str, Tensor]:
        """A future of one step: the next observation repeated, alive in the first step only."""
        repeated = (batch.next_observation, batch.action)
        observation, action = (each.unsqueeze(2).repeat_interleave(self.steps, 2) for each in repeated)
        alive = torch.zeros(*batch.reward.shape, self.steps, device=batch.reward.device)
        alive[:, :, 0] = 1
        return dict(zip(EXTRAS, (observation, action, alive), strict=True))


def latent(encoder: Stacked, observation: Tensor, training: bool = False) -> Tensor:
    """Output of the trunk of a network with one copy, ``[S, B, n]``."""
    features: Tensor = of_only_copy(encoder(observation, training))
    return features
