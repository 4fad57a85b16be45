"""Deep Q-networks: loss and acting rule over stacked networks.

Source: Mnih et al., Nature 518, 2015; options as the spec cites them.
Legend: S seeds, B batch, E environments of a seed, A actions. Tests: tests/papers/test_dqn.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from composer.algorithms.losses.augmentation import AugmentationChain
from composer.algorithms.losses.exploration import Exploration
from composer.algorithms.losses.policies import one_hot
from composer.algorithms.losses.returns import chosen, of_only_copy
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.algorithms.spr_losses import EXTRAS, SelfPrediction, latent
from composer.spec.shape import Shape


class DQNProgram(Program):
    """One objective over the value network, its target and the networks of SPR."""

    exploration_noise = (2,)

    def __init__(
        self,
        built: BuiltAgent,
        exploration: Exploration,
        augment: AugmentationChain,
        self_prediction: SelfPrediction | None,
        *,
        is_double: bool,
        is_noisy: bool,
    ) -> None:
        """``self_prediction`` is SPR's loss; None without SPR."""
        assert built.updates is not None
        self._value, self._target = built.networks["value"], built.averages["target_value"]
        self._returns, self._updates = built.returns["value"], built.updates
        self._exploration, self._augment, self._self_prediction = exploration, augment, self_prediction
        self._is_double, self._is_noisy = is_double, is_noisy
        self.evaluation_noise = None if exploration.evaluation_epsilon is None else (2,)
        self.noise: Mapping[str, Shape] = {**augment.noise("now"), **augment.noise("following")}
        self.signals: tuple[str, ...] = ("value/loss", "value/value")
        self.extras: tuple[str, ...] = ("weight",)
        self.priorities = ("priority",)
        also_trains: tuple[str, ...] = ()
        if self_prediction is not None:
            self._trunk, self._head = self._value.child("trunk"), self._value.child("head")
            self.noise = {**self.noise, **augment.noise("future", self_prediction.steps)}
            self.signals, self.extras = (*self.signals, "spr/loss"), (*self.extras, *EXTRAS)
            also_trains = ("transition", "projection", "predictor")
        self.objectives: tuple[Objective, ...] = (Objective("value", self.value_loss, also_trains=also_trains),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """One-hot actions ``[S, E, A]``: epsilon-greedy with ``noise [S, E, 2]``, greedy without."""
        if noise is None:
            return one_hot(self._best(observation, training=False), self._exploration.actions)
        greedy = self._best(observation, training=self._is_noisy)
        return self._exploration.choose(greedy, self._exploration.epsilon(self._updates), noise)

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Epsilon-greedy with the epsilon of evaluations, noisy layers without noise."""
        epsilon = self._exploration.evaluation_epsilon
        if noise is None or epsilon is None:
            return self.act(observation, None)
        return self._exploration.choose(self._best(observation, training=False), epsilon, noise)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Observations without augmentation; SPR's networks read their latents."""
        found = {"value": Inputs(batch.observation, batch.next_observation)}
        if self._self_prediction is None:
            return found
        now, following = (latent(self._trunk, each) for each in found["value"])
        return found | self._self_prediction.inputs(now, following, batch.action)

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weights of 1, and SPR's future of one step."""
        future = self._self_prediction.default_extras(batch) if self._self_prediction else {}
        return {"weight": torch.ones_like(batch.reward), **future}

    def value_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean w (L(Z(o, a), target) + L_SPR)`` with the head's loss L and importance weights w."""
        returns = self._returns
        observation = self._augment(batch.observation, noise, "now")
        with torch.no_grad():
            target = self._target_return(batch, self._augment(batch.next_observation, noise, "following"))
        raw, features = self._predicted(observation)
        predicted: Any = chosen(raw, batch.action.argmax(-1, keepdim=True), 2)
        losses: Tensor = returns.loss(predicted, target)
        with torch.no_grad():
            # The absolute error of an expectation, as in arXiv:1511.05952; of a distribution its loss.
            error = (predicted - target).abs() if returns.is_expectation else losses
            signals["priority"], signals["value/value"] = error.detach(), returns.value(predicted).mean(1)
        signals["value/loss"] = (batch.extra["weight"] * losses.detach()).mean(1)
        if self._self_prediction is not None and features is not None:
            spr = self._self_prediction.loss(features, batch, lambda each: self._augment(each, noise, "future"))
            signals["spr/loss"], losses = spr.detach().mean(1), losses + spr
        loss: Tensor = (batch.extra["weight"] * losses).mean(1)
        return loss

    def _target_return(self, batch: Batch, following: Tensor) -> Tensor:
        """``r + discount * Z(o', a*)`` as the head's loss takes it; Eq. 4 of arXiv:1509.06461 where double."""
        raw = of_only_copy(self._target(following, training=self._is_noisy))
        best = self._best(following, self._is_noisy) if self._is_double else self._returns.value(raw).argmax(-1)
        next_return = chosen(raw, best[..., None], 2)
        target: Tensor = self._returns.transform(next_return, batch.reward, batch.bootstrap)
        return target

    def _predicted(self, observation: Tensor) -> tuple[Any, Tensor | None]:
        """Raw output of the head; with SPR also the latents ``[S, B, n]`` that its loss starts from."""
        if self._self_prediction is None:
            return of_only_copy(self._value(observation, training=True)), None
        features = latent(self._trunk, observation, training=True)
        return of_only_copy(self._head(features, training=True)), features

    def _best(self, observation: Tensor, training: bool) -> Tensor:
        """Indices ``[S, B]`` of the actions of highest value."""
        best: Tensor = self._returns.value(of_only_copy(self._value(observation, training))).argmax(-1)
        return best
