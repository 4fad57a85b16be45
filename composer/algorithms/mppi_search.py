"""Planning by sampled action sequences, MPPI, through a learned model.

Source: Hansen et al., TD-MPC2, arXiv:2310.16828, and its released code.
Legend: S seeds, E environments, N sequences, P of them of the policy, K elites, H steps, z latent, a action, C critics.
Tests: tests/papers/test_mppi.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.special import ndtr

from composer.networks.stacked import per_seed
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.algorithms.mppi import MPPI


class Model(Protocol):
    """What a search evaluates, on latents ``[S, B, z]`` and actions ``[S, B, a]``, all without gradients."""

    def next(self, latent: Tensor, action: Tensor) -> Tensor:
        """The next latent, ``[S, B, z]``."""

    def reward(self, latent: Tensor, action: Tensor) -> Tensor:
        """The expected reward, ``[S, B]``."""

    def policy(self, latent: Tensor, noise: Tensor) -> Tensor:
        """The policy's action under unit-normal ``noise [S, B, a]``."""

    def values(self, latent: Tensor, action: Tensor) -> Tensor:
        """The values of all critics, ``[S, C, B]``."""


class Search:
    """The planner of one agent."""

    def __init__(
        self, declared: MPPI, model: Model, discount: Tensor, horizon: int, actions: int, critics: int
    ) -> None:
        """``discount [S]``; H is ``horizon``, a is ``actions``, C is ``critics``."""
        self._declared, self._model, self._discount = declared, model, discount
        self._horizon, self._actions = horizon, actions
        drawn = declared.samples - declared.policy_samples
        self._shapes: Mapping[str, Shape] = {
            "policy": (horizon, declared.policy_samples, actions),
            "samples": (declared.iterations, drawn, horizon, actions),
            "last": (declared.iterations, declared.samples, actions),
            "pair": (declared.iterations, critics),
            "elite": (),
            "action": (actions,),
        }
        self.draws = sum(math.prod(shape) for shape in self._shapes.values())
        """Unit-normal draws of one plan of one environment."""

    def plan(self, latent: Tensor, previous: Tensor, noise: Tensor, explores: bool) -> tuple[Tensor, Tensor]:
        """The action ``[S, E, a]`` at ``latent [S, E, z]``, and the mean sequence ``[S, E, H, a]``.

        ``previous [S, E, H, a]`` is the mean of the decision before, zeros at the first; ``noise [S, E, draws]``.
        """
        declared, draws = self._declared, self._split(noise)
        mean = torch.cat([previous[:, :, 1:], torch.zeros_like(previous[:, :, :1])], 2)
        std = torch.full_like(mean, declared.max_std)
        fixed = self._of_policy(latent, draws["policy"])
        for index in range(declared.iterations):
            around = mean[:, :, None] + std[:, :, None] * draws["samples"][:, :, index]
            plans = torch.cat([fixed, around.clamp(-1, 1)], 2)
            value = self._value(latent, plans, draws["last"][:, :, index], draws["pair"][:, :, index]).nan_to_num(0.0)
            best, where = value.topk(declared.elites, -1)
            elites = plans.take_along_dim(where[..., None, None], 2)
            weight = (declared.temperature * best).softmax(-1)
            mean = (weight[..., None, None] * elites).sum(2)
            spread = weight[..., None, None] * (elites - mean[:, :, None]).square()
            std = spread.sum(2).sqrt().clamp(declared.min_std, declared.max_std)
        # The elite at which the sum of weights passes a uniform draw.
        passed = weight.cumsum(-1) < ndtr(draws["elite"])[..., None]
        chosen = passed.sum(-1).clamp_max(declared.elites - 1)
        action = elites.take_along_dim(chosen[..., None, None, None], 2)[:, :, 0, 0]
        if explores:
            action = action + std[:, :, 0] * draws["action"]
        return action.clamp(-1, 1), mean

    def _of_policy(self, latent: Tensor, noise: Tensor) -> Tensor:
        """Sequences of the policy through the model, ``[S, E, P, H, a]``; ``noise [S, E, H, P, a]``."""
        count = self._declared.policy_samples
        if not count:
            return noise.transpose(2, 3)
        at, found = _each(latent, count), []
        for step in range(self._horizon):
            action = self._model.policy(at, noise[:, :, step].flatten(1, 2))
            found.append(action.unflatten(1, (-1, count)))
            if step + 1 < self._horizon:
                at = self._model.next(at, action)
        return torch.stack(found, 3)

    def _value(self, latent: Tensor, plans: Tensor, last: Tensor, pair: Tensor) -> Tensor:
        """``sum_t discount^t r_t + discount^H Q``, Q the mean of two critics at the policy's action: ``[S, E, N]``.

        ``last [S, E, N, a]`` is the noise of that action, ``pair [S, E, C]`` draws the two critics.
        """
        count = plans.shape[2]
        at, factor = _each(latent, count), torch.ones_like(self._discount)
        total = at.new_zeros(at.shape[:2])
        for step in range(self._horizon):
            action = plans[:, :, :, step].flatten(1, 2)
            total = total + per_seed(factor, action[..., 0]) * self._model.reward(at, action)
            at, factor = self._model.next(at, action), factor * self._discount
        values = self._model.values(at, self._model.policy(at, last.flatten(1, 2))).unflatten(2, (-1, count))
        two = pair_of(pair).transpose(1, 2)[..., None]
        value = values.take_along_dim(two, 1).mean(1)
        found: Tensor = total.unflatten(1, (-1, count)) + per_seed(factor, value) * value
        return found

    def _split(self, noise: Tensor) -> dict[str, Tensor]:
        parts = noise.split([math.prod(shape) for shape in self._shapes.values()], -1)
        return {
            name: part.reshape(*noise.shape[:2], *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }


def pair_of(draws: Tensor) -> Tensor:
    """Two different critics at random, ``[..., 2]``, from unit-normal ``draws [..., C]``; the only one where C is 1."""
    pair: Tensor = draws.argsort(-1)[..., :2]
    return pair


def _each(latent: Tensor, count: int) -> Tensor:
    """Each latent ``count`` times in a row, ``[S, E * count, z]``."""
    return latent[:, :, None].expand(-1, -1, count, -1).flatten(1, 2)
