"""The family of algorithms: it names network roles and an ordered tuple of objectives; the learner is generic.

The spec half is free of torch. Its ``build`` returns a *program*: objectives and an acting rule over stacked networks.
Legend: S seeds, B batch, E environments of a seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from composer.algorithms.discount import Constant, Discount
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.optim.schedules import Schedule
from composer.spec.family import Family, Spec
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.losses.returns import Returns
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo
    from composer.networks.stacked import Stacked


class Batch(NamedTuple):
    """Transitions that an update learns from; observations are normalised already."""

    observation: Tensor
    """``[S, B, d]``"""
    action: Tensor
    """``[S, B, a]``, in [-1, 1]"""
    reward: Tensor
    """``[S, B]``, the discounted sum over the n-step window"""
    bootstrap: Tensor
    """``[S, B]``: discount over the window where the value of ``next_observation`` counts, 0 after a termination"""
    next_observation: Tensor
    """``[S, B, d]``, the last observation of the window (the terminal one where the episode ended)"""
    extra: Mapping[str, Tensor] = MappingProxyType({})
    """What else a program asks for by name in ``extras``, ``[S, B, ...]`` each"""

    def only(self, sample: int) -> Batch:
        """The batch of one sample."""
        cut = slice(sample, sample + 1)
        extra = {name: value[:, cut] for name, value in self.extra.items()}
        observation, action, reward, bootstrap, following = (value[:, cut] for value in self[:5])
        return Batch(observation, action, reward, bootstrap, following, extra)


class Inputs(NamedTuple):
    """What one network reads of a batch, ``[S, B, ...]`` each."""

    now: Tensor
    """At the observation, and the action where it reads one."""
    following: Tensor
    """At the next observation, and the next action as the algorithm draws it."""


class Objective(NamedTuple):
    """One loss, and the role whose parameters follow its gradient. Each objective sees the steps of those before."""

    role: str
    """Role of the trained parameters and of their optimizer."""
    loss: Callable[[Batch, Mapping[str, Tensor], dict[str, Tensor]], Tensor]
    """From batch, noise by name and the signals so far (which it adds to) to a loss a seed, ``[S]``."""
    every: Tensor | None = None
    """Each how many updates the step is taken, float64 ``[S]``: else parameters, buffers and optimizer stay as they
    are, though the loss is computed. None for each update."""
    beside: tuple[str, ...] = ()
    """Roles whose parameters follow the gradient of this loss too, each by an optimizer of its own."""

    @property
    def roles(self) -> tuple[str, ...]:
        """All whose parameters it trains."""
        return (self.role, *self.beside)


class Passes(Enum):
    """What an update computes of one network; the value is its cost in forward passes.

    The convention: a gradient of parameters costs as much as a forward pass, and so does one of the input.
    """

    FORWARD = 1
    """Values alone."""
    THROUGH = 2
    """Values, and the gradient of the input on its way to the parameters of another network."""
    TRAIN = 3
    """Values, and the gradients of parameters and input."""


class Evaluated(NamedTuple):
    """A network, or an average of one, that an update evaluates on one batch, every copy of it."""

    network: str
    """A role, or the name of an average."""
    passes: Passes


class Program(ABC):
    """An algorithm over built networks."""

    objectives: tuple[Objective, ...]
    noise: Mapping[str, Shape]
    """Unit-normal draws an update needs, by name: shape of one sample."""
    signals: tuple[str, ...]
    """Names of the scalars that the objectives report, each ``[S]``."""
    exploration: Shape | None = None
    """Shape of the unit-normal draws that one decision of one environment needs; None: that of an action."""
    evaluation_noise: Shape | None = None
    """The same of a decision in an evaluation; None where nothing is drawn there."""
    extras: tuple[str, ...] = ()
    """Names of what a batch must carry beside a transition."""
    priorities: tuple[str, ...] = ()
    """Names of the signals that are one number a sample, ``[S, B]``, for whoever drew the batch: new priorities."""

    @abstractmethod
    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in [-1, 1] for normalised observations.

        ``noise [S, E, *exploration]`` is None where nothing is explored.
        """

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in an evaluation; ``noise [S, E, *judging]`` is None where nothing is drawn there."""
        return self.act(observation, None)

    def to_env_action(self, action: Tensor) -> Tensor:
        """What the environment is given for an action ``[S, E, a]`` that was drawn: it, unless draws leave the box.

        The draw itself is what is stored and learned from.
        """
        return action

    @abstractmethod
    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """What each network, by role, reads of a batch: for diagnostics, which look into networks one at a time."""

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """What ``extras`` are for plain transitions that nobody weighed or continued: diagnostics look at those."""
        return {}


@dataclass(frozen=True)
class Roles:
    """What a program is built over."""

    networks: Mapping[str, Stacked]
    averages: Mapping[str, Stacked]
    scalars: Mapping[str, Tensor]
    """Learned scalars ``[S, 1]`` by role."""
    returns: Mapping[str, Returns[Any]]
    """How to read values from a network's output, by role, of every network whose head gives values."""
    updates: Tensor | None = None
    """Updates done, float64 ``[S]``: the clock of schedules, whoever follows them."""


class UpdateSchedule(NamedTuple):
    """How updates keep step with data, and how far they look ahead in it."""

    update_to_data: float = 1.0
    """Gradient updates an interaction."""
    warmup_interactions: int = 0
    """Interactions before the first update."""
    n_step: int = 1
    """Rewards summed before a value is bootstrapped."""
    discount: float = 0.0
    """Of one interaction."""
    rollout: int = 1
    """Interactions collected before the updates that they owe are made, all at once."""
    future: int = 0
    """Transitions after each sampled one that a batch carries."""


class HorizonSchedules(NamedTuple):
    """What of a horizon changes while a network learns, on the clock of a role's optimizer."""

    n_step: Schedule | None = None
    """Rewards summed, to be rounded."""
    one_minus_discount: Schedule | None = None
    """``1 - discount``."""
    role: str = ""
    """Whose clock it is."""


def _whole_steps(schedule: Schedule) -> Schedule:
    low, high = schedule.bounds()
    if not 1 <= low <= high <= 100:
        raise ValueError(f"must be in 1 to 100, got {low:g}" + (f" to {high:g}" if high > low else ""))
    if low == high and low != round(low):
        raise ValueError(f"must be a whole number, got {low:g}")
    return schedule


class OffPolicy(Spec):
    """What algorithms have in common that learn from a memory of transitions."""

    update_to_data: float = Field(default=1.0, gt=0, le=1024)
    """Gradient updates an interaction (one decision of every environment copy); fractions accumulate."""
    warmup_interactions: int = Field(default=5_000, ge=1, le=10**9)
    """Interactions with uniformly random actions before the first update."""
    n_step: Annotated[Schedule, AfterValidator(_whole_steps)] = schedules.Constant(value=1)
    """Rewards summed before a value is bootstrapped, 1 to 100: a number, or a schedule on the clock of the critic's
    optimizer, rounded; windows end early where an episode does."""
    discount: Discount = Constant(value=0.99)
    """Discount of one interaction: a number, or a rule."""

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """As declared, at the upper bound of what changes."""
        longest = round(self.n_step.bounds()[1])
        return UpdateSchedule(self.update_to_data, self.warmup_interactions, longest, self.discount.value_for(info))

    def horizon_schedules(self) -> HorizonSchedules:
        """What changes of the horizon."""
        changes = self.n_step.bounds()[0] != self.n_step.bounds()[1]
        return HorizonSchedules(self.n_step if changes else None, self.discount.course(), "critic")


class Algorithm(Family, family="algorithm"):
    """How an agent learns."""

    weighs_samples: ClassVar[bool] = False
    """Whether it can learn from prioritised samples: it weighs them, and reports their errors."""

    batch_size: int = Field(default=256, ge=1, le=1_048_576)
    """Samples a gradient update."""

    @abstractmethod
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """How updates keep step with data, and how far they look ahead in it."""

    def horizon_schedules(self) -> HorizonSchedules:
        """What of that changes over updates."""
        return HorizonSchedules()

    @abstractmethod
    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """Input shape of every network role that the algorithm needs."""

    def learned_scalars(self) -> Mapping[str, Outline]:
        """Roles that are one learned number rather than a network, each an outline with the parameter ``value``."""
        return {}

    @abstractmethod
    def trained_roles(self) -> tuple[str, ...]:
        """Roles that need an optimizer."""

    @abstractmethod
    def evaluations(self) -> tuple[Evaluated, ...]:
        """What one update evaluates, in order: what the count of its operations rests on."""

    @abstractmethod
    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """What this algorithm finds wrong in a blueprint: pairs of key path and message."""

    @abstractmethod
    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The program over built networks."""
