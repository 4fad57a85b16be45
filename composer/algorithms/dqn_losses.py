"""Deep Q-networks: loss and acting rule over stacked networks.

Source: Mnih et al., Nature 518, 2015; options as the spec cites them.
Legend: S seeds, B batch, E environments of a seed, A actions. Tests: tests/papers/test_dqn.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.special import ndtr

from composer.algorithms.losses.augmentation import whole
from composer.algorithms.losses.policies import chosen_of
from composer.algorithms.losses.returns import Point, chosen
from composer.algorithms.program import Batch, Inputs, Objective, Program, Roles
from composer.algorithms.spr_losses import EXTRAS, SelfPrediction, latent
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.optim.schedules import Schedule


@dataclass(frozen=True)
class Exploration:
    """Shares of random actions, and how they come about."""

    epsilon: Callable[[Tensor], Tensor]
    """While data are collected: from updates ``[S]`` to a share ``[S]``."""
    judged: Tensor | None
    """In evaluations, ``[S]``; None for none."""
    actions: int
    """A"""

    @classmethod
    def build(cls, epsilon: Schedule, judged: float, actions: int, hyperparameters: Hyperparameters) -> Exploration:
        """From what is declared."""
        share = hyperparameters.number(judged) if judged else None
        return cls(epsilon.build(hyperparameters), share, actions)

    def mixed(self, greedy: Tensor, share: Tensor, noise: Tensor) -> Tensor:
        """One-hot actions ``[S, E, A]``: ``greedy [S, E]``, or any with probability ``share [S]``.

        ``noise [S, E, 2]``: whether, and which.
        """
        random = whole(noise[..., 1], self.actions)
        action = torch.where(ndtr(noise[..., 0]) < share[:, None], random, greedy)
        return chosen_of(action, self.actions)


class Varied:
    """Augmentations, one after the other."""

    def __init__(self, each: Sequence[tuple[Shape, Callable[[Tensor, Tensor], Tensor]]]) -> None:
        """Of each the shape of its draws, and what it does with pictures and draws."""
        self._each = tuple(each)

    def noise(self, name: str, *steps: int) -> dict[str, Shape]:
        """The draws of a program: one set a picture, of which a sample has ``steps``."""
        return {f"{name}/{index}": (*steps, *draws) for index, (draws, _) in enumerate(self._each)}

    def __call__(self, pictures: Tensor, noise: Mapping[str, Tensor], name: str) -> Tensor:
        """Pictures ``[S, B, *steps, c, h, w]``, changed by the draws of this name."""
        for index, (_, change) in enumerate(self._each):
            pictures = change(pictures, noise[f"{name}/{index}"])
        return pictures


class DQNProgram(Program):
    """One objective over the value network, its target and the networks of SPR."""

    exploration = (2,)

    def __init__(
        self,
        roles: Roles,
        exploration: Exploration,
        varied: Varied,
        ahead: SelfPrediction | None,
        *,
        is_double: bool,
        is_noisy: bool,
    ) -> None:
        """``ahead``: SPR's loss, where there is one."""
        assert roles.updates is not None
        self._value, self._target = roles.networks["value"], roles.averages["target_value"]
        self._returns, self._updates = roles.returns["value"], roles.updates
        self._exploration, self._varied, self._ahead = exploration, varied, ahead
        self._is_double, self._is_noisy = is_double, is_noisy
        self.evaluation_noise = None if exploration.judged is None else (2,)
        self.noise: Mapping[str, Shape] = {**varied.noise("now"), **varied.noise("following")}
        self.signals: tuple[str, ...] = ("value/loss", "value/value")
        self.extras: tuple[str, ...] = ("weight",)
        self.priorities = ("priority",)
        beside: tuple[str, ...] = ()
        if ahead is not None:
            self._trunk, self._head = self._value.child("trunk"), self._value.child("head")
            self.noise = {**self.noise, **varied.noise("future", ahead.steps)}
            self.signals, self.extras = (*self.signals, "spr/loss"), (*self.extras, *EXTRAS)
            beside = ("transition", "projection", "predictor")
        self.objectives: tuple[Objective, ...] = (Objective("value", self.value_loss, beside=beside),)

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """One-hot actions ``[S, E, A]``: the best one, or with ``noise [S, E, 2]`` sometimes any."""
        if noise is None:
            return chosen_of(self._best(observation, training=False), self._exploration.actions)
        greedy = self._best(observation, training=self._is_noisy)
        return self._exploration.mixed(greedy, self._exploration.epsilon(self._updates), noise)

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """As ``act`` without noise, but for the share of random actions that evaluations have."""
        if noise is None or self._exploration.judged is None:
            return self.act(observation, None)
        return self._exploration.mixed(self._best(observation, training=False), self._exploration.judged, noise)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """Observations, as they are, and for SPR's networks the latents of both."""
        found = {"value": Inputs(batch.observation, batch.next_observation)}
        if self._ahead is None:
            return found
        now, following = (latent(self._trunk, each) for each in found["value"])
        return found | self._ahead.inputs(now, following, batch.action)

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weights of one, and what SPR takes for the future."""
        return {"weight": torch.ones_like(batch.reward), **(self._ahead.default_extras(batch) if self._ahead else {})}

    def value_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """The head's loss against the target of its next action, and SPR's; weighed, and averaged over the batch."""
        returns = self._returns
        observation = self._varied(batch.observation, noise, "now")
        with torch.no_grad():
            target = self._learned_from(batch, self._varied(batch.next_observation, noise, "following"))
        raw, found = self._evaluated(observation)
        predicted: Any = chosen(raw, batch.action.argmax(-1, keepdim=True), 2)
        losses: Tensor = returns.loss(predicted, target)
        with torch.no_grad():
            # Of a mean the error itself, as in arXiv:1511.05952; a distribution has none but its loss.
            error = (predicted - target).abs() if isinstance(returns, Point) else losses
            signals["priority"], signals["value/value"] = error.detach(), returns.value(predicted).mean(1)
        signals["value/loss"] = (batch.extra["weight"] * losses.detach()).mean(1)
        if self._ahead is not None and found is not None:
            further = self._ahead.loss(found, batch, lambda pictures: self._varied(pictures, noise, "future"))
            signals["spr/loss"], losses = further.detach().mean(1), losses + further
        loss: Tensor = (batch.extra["weight"] * losses).mean(1)
        return loss

    def _learned_from(self, batch: Batch, following: Tensor) -> Tensor:
        """``r + discount * Z(o', a*)`` as the head's loss takes it; Eq. 4 of arXiv:1509.06461 where double."""
        raw = _only(self._target(following, training=self._is_noisy))
        best = self._best(following, self._is_noisy) if self._is_double else self._returns.value(raw).argmax(-1)
        next_return = chosen(raw, best[..., None], 2)
        target: Tensor = self._returns.transform(next_return, batch.reward, batch.bootstrap)
        return target

    def _evaluated(self, observation: Tensor) -> tuple[Any, Tensor | None]:
        """What the head returns, and what the trunk gave it where SPR goes on from there."""
        if self._ahead is None:
            return _only(self._value(observation, training=True)), None
        found = latent(self._trunk, observation, training=True)
        return _only(self._head(found, training=True)), found

    def _best(self, observation: Tensor, training: bool) -> Tensor:
        """Indices ``[S, B]`` of the actions of highest value."""
        best: Tensor = self._returns.value(_only(self._value(observation, training))).argmax(-1)
        return best


def _only(raw: Any) -> Any:
    """Of the only copy."""
    return tuple(each[:, 0] for each in raw) if isinstance(raw, tuple) else raw[:, 0]
