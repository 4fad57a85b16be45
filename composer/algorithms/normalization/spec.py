"""How observations and rewards are normalised: observations in ``observations``, rewards here.

State lives beside them: ``normalizer``, ``moments``, ``batch_moments``, ``one_observation`` and ``returns``.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms.normalization.observations import (
    BatchNorm,
    BatchRenorm,
    DataMoments,
    Fixed,
    LayerNorm,
    ObservationNorm,
    Raw,
    RSNorm,
    Symlog,
)
from composer.spec.family import Family, Spec
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.normalization.normalizer import Normalizer
    from composer.algorithms.normalization.returns import RunningReturns
    from composer.environments.interface import EnvironmentInfo
    from composer.optim.hyperparameters import Hyperparameters

__all__ = [
    "BatchNorm",
    "BatchRenorm",
    "ConstantScaling",
    "DataMoments",
    "Fixed",
    "LayerNorm",
    "Normalization",
    "ObservationNorm",
    "RSNorm",
    "Raw",
    "RawReward",
    "ReturnScaling",
    "RewardScale",
    "SimbaV2Scaling",
    "Symlog",
    "XQCScaling",
]


class RewardScale(Family, family="reward_scale"):
    """The factor on rewards: a constant, or from statistics of discounted returns of the training environments.

    Replay keeps raw rewards, which are scaled when an update draws them, by the statistics of that moment. Every
    interaction counts, those of warm-up too, before the updates that follow it; evaluation reports raw returns.
    """

    is_identity: ClassVar[bool] = False
    """Whether rewards stay as they are."""

    needs_episodes: ClassVar[bool] = False
    """Whether it knows returns only of episodes that the agent itself has played to their end."""

    @override
    def without(self) -> RewardScale | None:
        """Rewards as they are."""
        return None if self.is_identity else RawReward()

    @property
    def clips_rewards(self) -> bool:
        """Whether single rewards are clipped, so that sums of several rewards cannot be scaled afterwards."""
        return False

    @abstractmethod
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns | None:
        """Fresh statistics of ``environments`` per seed; ``discount [seeds]`` is read later. None where unscaled."""


class RawReward(RewardScale, kind="raw"):
    """No scaling: losses see rewards as they are."""

    is_identity: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "raw"}

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> None:
        return None


class ConstantScaling(RewardScale, kind="constant"):
    """By a constant: losses see ``factor * r``, and evaluations report raw returns."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "constant", "factor": 0.1}

    factor: float = Field(gt=0, le=1e6)
    """What rewards are multiplied by; 0.1 on CartPole in the config of PQN's code."""

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns:
        from composer.algorithms.normalization.returns import ConstantScale

        return ConstantScale(hyperparameters, environments, discount, self.factor)


class ReturnScaling(RewardScale, kind="return_scale"):
    """By the deviation of returns, ``r / sqrt(var(G) + epsilon)``: G is discounted backwards, and 0 after an episode.

    Not centred. The rule of OpenAI Baselines' VecNormalize, which PPO's implementations share; Gymnasium's wrapper
    drops the past one reward earlier where an episode terminates, and keeps it where one is truncated. Population
    variance, started as that of ``rs_norm``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "return_scale", "clip": 10.0}

    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the variance, inside the root; 1e-8 in Baselines and Gymnasium."""
    clip: float | None = Field(default=None, gt=0, le=1e6)
    """Bound of the size of a scaled reward; Baselines clips at 10. Only where single rewards are learned from: sums of
    rewards that a replay memory makes are scaled as a whole."""

    @property
    @override
    def clips_rewards(self) -> bool:
        return self.clip is not None

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns:
        from composer.algorithms.normalization.returns import ReturnScale

        return ReturnScale(hyperparameters, environments, discount, self.epsilon, self.clip)


class SimbaV2Scaling(RewardScale, kind="simba_v2"):
    """By the deviation of returns or their largest size, ``r / max(sqrt(var(G) + epsilon), max|G| / bound)``.

    ``G = discount (1 - done) G + r``, where truncation is done too; not centred. So scaled, returns fit the atoms of a
    categorical critic from ``-bound`` to ``bound``. Source: SimbaV2, arXiv:2502.15280, and its published code (which
    takes the size of returns, and counts a reward only after the updates of its interaction, as here). Population
    variance, started as that of ``rs_norm``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "simba_v2"}

    bound: float = Field(default=5.0, gt=0, le=1e6)
    """Largest size of a scaled return: 5 in SimbaV2, whose critic's atoms end there."""
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the variance, inside the root; 1e-8 in SimbaV2's code."""
    counts: Annotated[Literal["before", "after"], Without("after")] = "after"
    """Whether a reward counts before or after the updates of its interaction: ``before`` in FlashSAC's code
    (arXiv:2604.04539)."""

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns:
        from composer.algorithms.normalization.returns import BoundedScale

        waits = self.counts == "after"
        return BoundedScale(hyperparameters, environments, discount, self.epsilon, self.bound, waits)


class XQCScaling(RewardScale, kind="xqc"):
    """By the deviation of returns, ``r / (sqrt(var(G)) + epsilon)``, with the returns of ``simba_v2`` and no bound.

    Source: XQC, arXiv:2509.25174, and its published code. A reward counts before the updates of its interaction.
    Population variance, started as that of ``rs_norm``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "xqc"}

    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the deviation."""

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns:
        from composer.algorithms.normalization.returns import OffsetScale

        return OffsetScale(hyperparameters, environments, discount, self.epsilon)


class Normalization(Spec):
    """How quantities are normalised before networks and losses see them."""

    observation: ObservationNorm = Raw()
    """Of the observation."""
    reward: RewardScale = RawReward()
    """Of the reward."""

    def of_observations(self, info: EnvironmentInfo, seeds: int, device: str) -> Normalizer | None:
        """A fresh map of the environment's observations but for the skill at their end; None where there is none."""
        within = self.observation.build(seeds, math.prod(info.observation) - info.skill_size, device)
        if within is None or not info.skill_size:
            return within
        from composer.algorithms.normalization.except_last import ExceptLast

        return ExceptLast(within, info.skill_size)
