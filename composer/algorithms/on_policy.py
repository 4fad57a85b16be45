"""On-policy algorithms: settings of rollouts and generalised advantages, and the interface of their programs.

Interactions are collected into a rollout, each with the observation as the policy saw it and the log-density of the
action. The critic evaluates it once (values, advantages); updates pass over it a few times; then it is thrown away.
Legend: S seeds, B batch, E environments of a seed, T interactions of a rollout.
Tests: tests/papers/test_ppo.py, tests/training/test_on_policy.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from composer.algorithms.declared import HorizonSchedules, RolloutPlan, UpdateSchedule
from composer.algorithms.discount import Constant, Discount
from composer.algorithms.program import Program
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Spec
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor


class OnPolicy(Spec):
    """Rollouts, passes over them, and generalised advantages."""

    keys_outside_update: ClassVar[frozenset[str]] = frozenset({"discount"})

    rollout_interactions: int = Field(default=2_048, ge=1, le=10**7)
    """Interactions of a rollout, T; it holds as many transitions of every environment copy."""
    epochs: int = Field(default=10, ge=1, le=1_000)
    """Passes over each rollout, each in another order."""
    minibatches: int = Field(default=32, ge=1, le=10**6)
    """Updates a pass: a rollout holds this many times ``batch_size`` transitions."""
    discount: Discount = Constant(value=0.99)
    """Discount of one interaction: a number, or a rule."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Decay of the weights of longer returns in an advantage, lambda of arXiv:1506.02438: 0 is one step, 1 is all."""
    normalize_advantages: Annotated[bool, Without(False)] = True
    """Whether advantages have mean 0 and standard deviation 1 in each minibatch, as in the code of OpenAI Baselines."""

    @property
    def rollout_plan(self) -> RolloutPlan:
        """These settings."""
        return RolloutPlan(
            self.rollout_interactions, self.epochs, self.minibatches, self.gae_lambda, self.normalize_advantages
        )

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """All updates of a rollout follow its last interaction."""
        ratio = self.epochs * self.minibatches / self.rollout_interactions
        return UpdateSchedule(ratio, discount=self.discount.value_for(info), rollout=self.rollout_interactions)

    def horizon_schedules(self) -> HorizonSchedules:
        """The schedule of the discount, where it changes; there is no n-step window."""
        return HorizonSchedules(None, self.discount.complement_schedule(), "critic")


class OnPolicyProgram(Program):
    """A program whose batches carry values and densities of the policy that collected them."""

    extras: tuple[str, ...] = ("advantage", "log_density", "return", "value")
    """All ``[S, B]``: ``log_density`` is the one under which an action was drawn, ``value`` that of the critic before
    the first update on the rollout."""
    takes_normalised: bool = True

    @abstractmethod
    def value(self, observation: Tensor) -> Tensor:
        """The critic's value ``[S, B]`` of normalised observations, without gradient."""

    def act_with_density(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What ``act`` draws ``[S, E, a]`` and its log-density ``[S, E]``, without gradient."""
        action = self.act(observation, noise)
        return action, self.log_density(observation, action)

    @abstractmethod
    def log_density(self, observation: Tensor, action: Tensor) -> Tensor:
        """The logarithm ``[S, B]`` of the present policy's density at drawn actions ``[S, B, a]``."""
