"""What actor and critics read of observations: vectors, with embeddings of tasks, or features of augmented pictures.

Views are folded into the batch, view by view: N is B times their number.
Legend: S seeds, B batch, e features of a task, K views of a next observation, M of an observation.
Tests: tests/papers/test_pixels.py, tests/papers/test_task_embedding.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.augmentation import AugmentationChain
from composer.algorithms.losses.policies import one_hot
from composer.algorithms.losses.returns import of_only_copy
from composer.algorithms.program import Batch, BuiltAgent, Inputs
from composer.networks.stacked import Stacked
from composer.spec.shape import Shape

FEATURES = "encoder/features"
"""The features of the first view, as the critics' loss reports them to the actor's."""


class Seen(NamedTuple):
    """A batch of observations as the networks read it."""

    actor: Tensor
    """``[S, N, f]``"""
    critic: Tensor
    """``[S, N, p]``, beside the action"""


class Features(ABC):
    """What actor and critics read of observations, in acting and in each loss."""

    noise: Mapping[str, Shape]
    """Unit-normal draws of the augmentations, as ``Program.noise``."""
    trained: tuple[str, ...] = ()
    """Networks that the critics' loss trains beside the critics."""
    target_views: int = 1
    """K"""
    critic_views: int = 1
    """M"""

    @abstractmethod
    def acting(self, observation: Tensor) -> Tensor:
        """What the actor reads to act, ``[S, E, f]``, without augmentation."""

    @abstractmethod
    def of_actor(self, batch: Batch, noise: Mapping[str, Tensor], signals: Mapping[str, Tensor]) -> Seen:
        """For the actor's loss, ``[S, B, ...]``, without gradients."""

    @abstractmethod
    def of_target(self, batch: Batch, noise: Mapping[str, Tensor], by_target_actor: bool = False) -> Seen:
        """Of next observations for targets, ``[S, K B, ...]``; a target actor has features of its own encoder."""

    @abstractmethod
    def of_critic(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """For the critics' loss, ``[S, M B, p]``, with gradients to ``trained``."""

    @abstractmethod
    def inputs(self, batch: Batch) -> tuple[dict[str, Inputs], Seen, Seen]:
        """The inputs of ``trained`` without augmentation, and what is read now and at the next step."""

    def draw_shape(self, actions: int) -> Shape:
        """Shape of the draws of one sample's next action: one for every view."""
        return (actions,) if self.target_views == 1 else (self.target_views, actions)

    def draws(self, noise: Tensor) -> Tensor:
        """Draws ``[S, B, *draw_shape]`` as ``[S, K B, a]``."""
        return noise if self.target_views == 1 else _folded(noise)

    def first(self, noise: Tensor) -> Tensor:
        """The draws ``[S, B, a]`` of the first view."""
        return noise if self.target_views == 1 else noise[:, :, 0]

    def repeated(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Reward and bootstrap for every view of the next observations, ``[S, K B]``."""
        reward, bootstrap, views = batch.reward, batch.bootstrap, self.target_views
        return (reward, bootstrap) if views == 1 else (reward.repeat(1, views), bootstrap.repeat(1, views))

    def target(self, target: Tensor) -> Tensor:
        """Targets ``[S, K B, ...]``: the mean over views, for every view of the observations, ``[S, M B, ...]``.

        Eq. 3 of arXiv:2004.13649. The mean of distributions is their mixture.
        """
        if self.target_views > 1:
            target = target.unflatten(1, (self.target_views, -1)).mean(1)
        return target if self.critic_views == 1 else target.repeat(1, self.critic_views, *[1] * (target.ndim - 2))

    def with_action(self, seen: Tensor, action: Tensor) -> Tensor:
        """The critics' input: ``seen [S, M B, p]`` beside ``action [S, B, a]``."""
        return torch.cat([seen, action if self.critic_views == 1 else action.repeat(1, self.critic_views, 1)], -1)


class VectorFeatures(Features):
    """The observations themselves."""

    noise: Mapping[str, Shape] = {}

    @override
    def acting(self, observation: Tensor) -> Tensor:
        return observation

    @override
    def of_actor(self, batch: Batch, noise: Mapping[str, Tensor], signals: Mapping[str, Tensor]) -> Seen:
        return Seen(batch.observation, batch.observation)

    @override
    def of_target(self, batch: Batch, noise: Mapping[str, Tensor], by_target_actor: bool = False) -> Seen:
        return Seen(batch.next_observation, batch.next_observation)

    @override
    def of_critic(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        return batch.observation

    @override
    def inputs(self, batch: Batch) -> tuple[dict[str, Inputs], Seen, Seen]:
        now, following = batch.observation, batch.next_observation
        return {}, Seen(now, now), Seen(following, following)


class TaskFeatures(Features):
    """Observations with an embedding of their task in the place of the entries that name it, ``[S, N, d + e]``."""

    noise: Mapping[str, Shape] = {}
    trained = ("task_embedding",)

    def __init__(self, embedding: Stacked, target: Stacked, tasks: int) -> None:
        """``embedding`` and its average ``target`` map one-hot tasks ``[S, N, tasks]`` to ``[S, N, e]``."""
        self._embedding, self._target, self._tasks = embedding, target, tasks

    @override
    def acting(self, observation: Tensor) -> Tensor:
        return self._seen(self._embedding, observation)

    @override
    @torch.no_grad()
    def of_actor(self, batch: Batch, noise: Mapping[str, Tensor], signals: Mapping[str, Tensor]) -> Seen:
        seen = self.acting(batch.observation)
        return Seen(seen, seen)

    @override
    @torch.no_grad()
    def of_target(self, batch: Batch, noise: Mapping[str, Tensor], by_target_actor: bool = False) -> Seen:
        target = self._seen(self._target, batch.next_observation)
        return Seen(target if by_target_actor else self.acting(batch.next_observation), target)

    @override
    def of_critic(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        return self._seen(self._embedding, batch.observation, training=True)

    @override
    def inputs(self, batch: Batch) -> tuple[dict[str, Inputs], Seen, Seen]:
        observations = (batch.observation, batch.next_observation)
        now, following = (Seen(seen, seen) for seen in map(self.acting, observations))
        return {"task_embedding": Inputs(*map(self._named, observations))}, now, following

    def _seen(self, embedding: Stacked, observation: Tensor, training: bool = False) -> Tensor:
        return torch.cat(
            [observation[..., : -self._tasks], _features(embedding, self._named(observation), training)], -1
        )

    def _named(self, observation: Tensor) -> Tensor:
        """One-hot tasks ``[S, N, tasks]``: the largest entry names the task, however entries are normalised."""
        return one_hot(observation[..., -self._tasks :].argmax(-1), self._tasks).to(observation.dtype)


class PixelFeatures(Features):
    """Features by a shared encoder, and what a projection leaves of them for the critics."""

    trained = ("encoder", "projection")

    def __init__(
        self, built: BuiltAgent, augment: AugmentationChain, target_views: int, critic_views: int, *, reuses: bool
    ) -> None:
        """With ``reuses`` the actor's loss reads the features that the critics' loss has computed."""
        self._encoder, self._projection = built.networks["encoder"], built.networks["projection"]
        self._target_projection = built.averages["target_projection"]
        self._target_encoder = built.averages.get("target_encoder")
        self._augment, self._reuses = augment, reuses
        self.target_views, self.critic_views = target_views, critic_views
        self.noise = {
            **augment.noise("now", *_axis(critic_views)),
            **augment.noise("following", *_axis(target_views)),
        }

    @override
    def acting(self, observation: Tensor) -> Tensor:
        return _features(self._encoder, observation)

    @override
    @torch.no_grad()
    def of_actor(self, batch: Batch, noise: Mapping[str, Tensor], signals: Mapping[str, Tensor]) -> Seen:
        if self._reuses:
            features = signals[FEATURES]
        else:
            first = noise if self.critic_views == 1 else {at: noise[at][:, :, 0] for at in self._augment.noise("now")}
            features = self.acting(self._augment(batch.observation, first, "now"))
        return Seen(features, _features(self._projection, features))

    @override
    @torch.no_grad()
    def of_target(self, batch: Batch, noise: Mapping[str, Tensor], by_target_actor: bool = False) -> Seen:
        pictures = self._views(batch.next_observation, noise, "following", self.target_views)
        features = now = _features(self._encoder, pictures)
        if self._target_encoder is not None:
            features = _features(self._target_encoder, pictures)
        return Seen(features if by_target_actor else now, _features(self._target_projection, features))

    @override
    def of_critic(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        pictures = self._views(batch.observation, noise, "now", self.critic_views)
        features = _features(self._encoder, pictures, training=True)
        if self._reuses:
            signals[FEATURES] = features[:, : batch.reward.shape[1]].detach()
        return _features(self._projection, features, training=True)

    @override
    def inputs(self, batch: Batch) -> tuple[dict[str, Inputs], Seen, Seen]:
        seen = Inputs(batch.observation, batch.next_observation)
        features = Inputs(*map(self.acting, seen))
        now, following = (Seen(each, _features(self._projection, each)) for each in features)
        return {"encoder": seen, "projection": features}, now, following

    def _views(self, pictures: Tensor, noise: Mapping[str, Tensor], name: str, views: int) -> Tensor:
        """Augmented pictures ``[S, views B, c, h, w]``."""
        if views > 1:
            noise = {at: _folded(noise[at]) for at in self._augment.noise(name)}
            pictures = pictures.repeat(1, views, 1, 1, 1)
        return self._augment(pictures, noise, name)


def _features(network: Stacked, seen: Tensor, training: bool = False) -> Tensor:
    features: Tensor = of_only_copy(network(seen, training))
    return features


def _axis(views: int) -> tuple[int, ...]:
    return () if views == 1 else (views,)


def _folded(value: Tensor) -> Tensor:
    """``[S, B, views, ...]`` as ``[S, views B, ...]``, view by view."""
    return value.transpose(1, 2).flatten(1, 2)
