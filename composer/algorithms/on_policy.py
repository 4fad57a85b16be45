"""On-policy algorithms: settings of rollouts, and the interface of their programs.

Interactions are collected into a rollout, each with the observation as the policy saw it and what the program records
of its action. Values evaluate it once (returns, advantages); updates pass over it a few times; then it is thrown away.
Legend: S seeds, B batch, E environments of a seed, T interactions of a rollout.
Tests: tests/papers/test_ppo.py, tests/papers/test_pqn.py, tests/training/test_on_policy.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer.algorithms.declared import HorizonSchedules, RolloutPlan, UpdateSchedule
from composer.algorithms.discount import Constant, Discount
from composer.algorithms.program import Program
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.novelty_losses import NoveltyLosses


class OnPolicy(Spec):
    """Rollouts and passes over them."""

    if TYPE_CHECKING:
        batch_size: int  # A field of the algorithm.
    keys_outside_update: ClassVar[frozenset[str]] = frozenset({"discount"})

    rollout_interactions: int = Field(default=2_048, ge=1, le=10**7)
    """Interactions of a rollout, T; it holds as many transitions of every environment copy."""
    epochs: int = Field(default=10, ge=1, le=1_000)
    """Passes over each rollout, each in another order."""
    minibatches: int = Field(default=32, ge=1, le=10**6)
    """Updates a pass: a rollout holds this many times ``batch_size`` transitions."""
    discount: Discount = Constant(value=0.99)
    """Discount of one interaction: a number, or a rule."""

    @property
    @abstractmethod
    def rollout_plan(self) -> RolloutPlan:
        """These settings, and how the returns of a rollout are computed."""

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """All updates of a rollout follow its last interaction."""
        ratio = self.epochs * self.minibatches / self.rollout_interactions
        return UpdateSchedule(ratio, discount=self.discount.value_for(info), rollout=self.rollout_interactions)

    def horizon_schedules(self) -> HorizonSchedules:
        """The schedule of the discount, where it changes; there is no n-step window."""
        return HorizonSchedules(None, self.discount.complement_schedule(), "critic")

    def rollout_problems(self, copies: int) -> Iterator[tuple[str, str]]:
        """Why rollouts of ``copies`` environments per seed do not make minibatches of the declared size."""
        held = self.rollout_interactions * copies
        product = f"{self.rollout_interactions:,} interactions x {copies:,} copies = {held:,} transitions"
        if held % self.minibatches:
            yield "algorithm.minibatches", f"{product} cannot be dealt into {self.minibatches:,} equal minibatches"
        elif held // self.minibatches != self.batch_size:
            each = held // self.minibatches
            message = f"{product} in {self.minibatches:,} minibatches are {each:,} each: write {each}"
            yield "algorithm.batch_size", message


def memory_name(role: str) -> str:
    """The name in a batch of the memory of a network before each sequence, ``[S, N, m]``."""
    return f"memory/{role}"


class OnPolicyProgram(Program):
    """A program whose batches carry what was recorded and computed of the rollout that they are drawn from."""

    extras: tuple[str, ...] = ("return", "value")
    """All ``[S, B]``: of ``return``, ``value`` before the first update on the rollout, ``advantage`` (their
    difference), and what is ``recorded``."""
    recorded: tuple[str, ...] = ()
    """Names of numbers of every action that the rollout keeps, as ``act_and_record`` gives them."""
    takes_normalised: bool = True
    novelty: NoveltyLosses | None = None
    """Intrinsic rewards, whose advantages are added to those of the task; None where there are none."""

    @abstractmethod
    def value(self, observation: Tensor) -> Tensor:
        """The value ``[S, B]`` of normalised observations from which returns are bootstrapped, without gradient."""

    def act_and_record(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What ``act`` draws ``[S, E, a]``, and the numbers ``recorded`` of it, ``[S, E]`` each, without gradient."""
        return self.act(observation, noise), {}

    def values_in_order(
        self, observation: Tensor, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Values ``[S, N, T]`` of sequences ``[S, N, T, ...]``, and the memories after each moment ``[S, N, T, m]``.

        ``memory`` is that before the first moment, ``[S, N, m]`` by role.
        """
        raise NotImplementedError
