"""An algorithm of the tests: an encoder that the critic trains and the actor reads, and tensors of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from tiny_runs import EAGER
from torch import Tensor

from composer.algorithms.base import Algorithm, OffPolicy
from composer.algorithms.declared import AverageRole, Evaluated, InputFrom, Passes, Role, StateTensor
from composer.algorithms.program import Batch, BuiltAgent, Inputs, Objective, Program
from composer.blueprint import Blueprint, load
from composer.environments import EnvironmentInfo
from composer.optim.hyperparameters import Hyperparameters
from composer.training.compile.capture import Choice
from composer.training.learner import Learner


class Encoded(OffPolicy, Algorithm, kind="test/encoded"):
    """Deterministic policy gradients on the features of a shared encoder."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/encoded"}

    circular: bool = False

    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        """The encoder is declared last, though all others follow from it."""
        features = InputFrom(("encoder",), lambda outlines: outlines["encoder"].output)
        joined = InputFrom(("encoder",), lambda outlines: (outlines["encoder"].output[0] + info.action_size,))
        seen = InputFrom(("critic",), lambda outlines: outlines["critic"].output) if self.circular else info.observation
        return (
            Role("actor", features, "deterministic_action"),
            Role("critic", joined, "value", has_one_copy=False),
            Role("encoder", seen, "features"),
        )

    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole("target", of="critic", is_optional=True),)

    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        return {"rewards": StateTensor((2,), 0.5, "float64"), "seen": StateTensor(dtype="int64")}

    def trained_roles(self) -> tuple[str, ...]:
        return ("critic", "encoder", "actor")

    def evaluations(self) -> tuple[Evaluated, ...]:
        return tuple(Evaluated(role, Passes.TRAIN) for role in ("encoder", "critic", "actor"))

    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        return EncodedProgram(built)


class EncodedProgram(Program):
    """The critic's loss trains critic and encoder, the actor's the actor alone."""

    def __init__(self, built: BuiltAgent) -> None:
        """Without the average ``target`` the critic is its own target."""
        self._actor, self._critic, self._encoder = (built.networks[name] for name in ("actor", "critic", "encoder"))
        self._target = built.averages.get("target", self._critic)
        self._rewards, self._seen = built.tensors["rewards"], built.tensors["seen"]
        self.noise = {}
        self.signals = ("critic/loss", "actor/loss")
        self.objectives = (
            Objective("critic", self.critic_loss, also_trains=("encoder",)),
            Objective("actor", self.actor_loss),
        )

    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        action: Tensor = self._actor(self._encoder(observation)[:, 0])[:, 0]
        return action if noise is None else (action + 0.1 * noise).clamp(-1, 1)

    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        now, following = (self._encoder(each)[:, 0] for each in (batch.observation, batch.next_observation))
        actions = batch.action, self.act(batch.next_observation, None)
        joined = [torch.cat(pair, -1) for pair in zip((now, following), actions, strict=True)]
        return {
            "encoder": Inputs(batch.observation, batch.next_observation),
            "actor": Inputs(now, following),
            "critic": Inputs(*joined),
        }

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            following = self._encoder(batch.next_observation)[:, 0]
            action = self._actor(following)[:, 0]
            value = self._target(torch.cat([following, action], -1)).amin(1)
            target = batch.reward + batch.bootstrap * value
        features = self._encoder(batch.observation, training=True)[:, 0]
        predicted = self._critic(torch.cat([features, batch.action], -1), training=True)
        loss: Tensor = (predicted - target[:, None]).square().mean(2).sum(1)
        signals["critic/loss"] = loss.detach()
        return loss

    def actor_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            features = self._encoder(batch.observation)[:, 0]
        action = self._actor(features, training=True)[:, 0]
        loss: Tensor = -self._critic(torch.cat([features, action], -1)).amin(1).mean(1)
        signals["actor/loss"] = loss.detach()
        return loss

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """The mean and the largest reward of a batch, averaged over updates; samples are counted."""
        now = torch.stack([batch.reward.mean(1), batch.reward.amax(1)], -1)
        self._rewards.lerp_(now.double(), 0.25)
        self._seen.add_(batch.reward.shape[1])


TINY = Path(__file__).with_name("tiny_encoded.toml")
AVERAGES = 'averages={ target = { of = "critic", momentum = 0.75 }, slow = { of = "target", momentum = 0.5 } }'
"""A target, and an average of the target."""


def encoded(*overrides: str) -> Blueprint:
    """The tiny experiment with it, without averages."""
    return load(TINY, overrides).blueprint


def agent(*overrides: str, choice: Choice = EAGER) -> Learner:
    """A fresh learner of it."""
    return Learner(encoded(*overrides).agent, "cpu", choice)
