"""The family of algorithms: the networks of an agent, the losses that train them, and how it acts.

A spec declares and is free of torch; its ``build`` gives a *program*: objectives and acting rule over built networks.
The learner is the same for all. Tests: tests/papers/, one file per algorithm.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from composer.algorithms.declared import (
    AverageRole,
    Bursts,
    Evaluated,
    HorizonSchedules,
    Role,
    RolloutPlan,
    StateTensor,
    UpdateSchedule,
)
from composer.algorithms.discount import Constant, Discount
from composer.algorithms.normalization.spec import Normalization
from composer.algorithms.policy_checkpoints import PolicyCheckpoints
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.interventions.base import Intervention
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.optim.averages import Average
from composer.optim.base import Optimizer
from composer.optim.penalties import Penalty
from composer.optim.schedules import Bounded, Schedule
from composer.spec.family import Family, Spec
from composer.spec.lazy_call import LazyCall
from composer.spec.metrics import Metric
from composer.spec.shape import ShapeError
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters


class OffPolicy(Spec):
    """Settings of algorithms that learn from a replay of transitions."""

    learns_from_replay: ClassVar[bool] = True
    keys_outside_update: ClassVar[frozenset[str]] = frozenset(
        {"update_to_data", "warmup_interactions", "untrained_interactions", "n_step", "discount"}
    )

    update_to_data: float = Field(default=1.0, gt=0, le=1024)
    """Gradient updates per interaction (one decision of every environment copy); fractions accumulate."""
    warmup_interactions: int = Field(default=5_000, ge=1, le=10**9)
    """Interactions with uniformly random actions, from the first one on."""
    untrained_interactions: int = Field(default=1, ge=0, le=10**9)
    """Interactions with actions of the policy until the first update: 1 as in the code of TD3 and Dopamine; 0 makes it
    after the last random action, as in the code of SimBa."""
    n_step: Annotated[Schedule, Bounded(1, 100, whole=True), Without(1)] = schedules.Constant(value=1)
    """Rewards summed before a value is bootstrapped, 1 to 100: a number, or a schedule on the clock of the critic's
    optimizer, rounded; windows end early where an episode does."""
    discount: Discount = Constant(value=0.99)
    """Discount of one interaction: a number, or a rule."""

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """As declared, with the longest n-step window and the last discount."""
        longest, discount = round(self.n_step.bounds()[1]), self.discount.value_for(info)
        untrained = self.untrained_interactions
        return UpdateSchedule(self.update_to_data, self.warmup_interactions, longest, discount, untrained=untrained)

    def horizon_schedules(self) -> HorizonSchedules:
        """Schedules of n-step window and discount, where they change, on the clock of the critic's optimizer."""
        changes = self.n_step.bounds()[0] != self.n_step.bounds()[1]
        return HorizonSchedules(self.n_step if changes else None, self.discount.complement_schedule(), "critic")


class Algorithm(Family, family="algorithm"):
    """The networks of an agent, the losses that train them, and how it acts."""

    weighs_samples: ClassVar[bool] = False
    """Whether it can learn from prioritised samples: it weighs them, and reports their errors."""
    learns_from_replay: ClassVar[bool] = False
    """Whether it learns from transitions drawn from a replay."""
    carries_memory: ClassVar[bool] = False
    """Whether its networks may remember what came before in an episode."""
    reads_skill_planes: ClassVar[bool] = False
    """Whether it takes the skills of episodes out of pictures, which others would see as a part of them."""
    keys_outside_update: ClassVar[frozenset[str]] = frozenset()
    """Keys that affect only the data of batches and when they are drawn: no part of the compiled update."""

    batch_size: int = Field(default=256, ge=1, le=1_048_576)
    """Samples per gradient update."""

    @property
    def joins_batches(self) -> bool:
        """Whether critics read current and next pairs in one pass, which batch statistics need."""
        return False

    @property
    def title(self) -> str:
        """Its name in messages."""
        return self.kind.upper()

    @property
    def rollout_plan(self) -> RolloutPlan | None:
        """How it learns from rollouts of its present policy; None where it does not learn on policy."""
        return None

    @property
    def assessment(self) -> PolicyCheckpoints | None:
        """How its policies are assessed before they are trained; None where updates are made when they are due."""
        return None

    @property
    def bursts(self) -> Bursts | None:
        """The series of updates of objectives that step in bursts; None where all step in every update."""
        return None

    @property
    def learns_on_policy(self) -> bool:
        """Whether it learns only from data of its present policy."""
        return self.rollout_plan is not None

    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        """The settings of a first blueprint in such an environment; by default those of the example."""
        return Start({key: value for key, value in cls.example.items() if key != "kind"})

    @abstractmethod
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """How many updates it makes on how much data, and the horizon of its targets."""

    def horizon_schedules(self) -> HorizonSchedules:
        """Schedules of the horizon; none by default."""
        return HorizonSchedules()

    @abstractmethod
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        """The networks that it needs, in the order in which they are built."""

    def learning_roles(self, info: EnvironmentInfo) -> tuple[str, ...]:
        """Its networks but those whose weights stay as they were drawn."""
        return tuple(role.name for role in self.roles(info) if not role.is_fixed)

    def dormant_roles(self) -> Mapping[str, str]:
        """Networks that it would need with another setting, each with the key of that setting."""
        return {}

    def learned_scalars(self) -> Mapping[str, Outline]:
        """Roles that are one learned number rather than a network, each an outline with the parameter ``value``."""
        return {}

    def averages_read(self) -> tuple[AverageRole, ...]:
        """The averages that its losses read, such as target networks."""
        return ()

    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        """Tensors of its own by name, which the program is given and changes in place in ``finish_update``."""
        return {}

    @abstractmethod
    def trained_roles(self) -> tuple[str, ...]:
        """Roles that need an optimizer, in the order in which they step."""

    @abstractmethod
    def evaluations(self) -> tuple[Evaluated, ...]:
        """The networks that one update evaluates, in order; the count of its operations is computed from them."""

    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...] | None:
        """The signals that its program reports: all of them, or None where a plug-in's kind does not say."""
        return None

    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        """Why it cannot learn in this environment: pairs of key path and message."""
        return iter(())

    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        """Problems other than those of roles, averages and optimizers (``agent_problems``): key paths and messages."""
        return iter(())

    @abstractmethod
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        """The program over built networks."""


def vectors_needed(title: str, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
    """The problem of an algorithm over vectors with choices or pictures."""
    if info.discrete or len(info.observation) != 1:
        found = "choices" if info.discrete else f"observations {list(info.observation)}"
        yield "environment", f"{title} needs vectors as observations and actions, got {found}"


def one_gradient_needed(subject: str, agent: AgentDeclaration, *roles: str) -> Iterator[tuple[str, str]]:
    """The problem of optimizers that take two gradients where one loss trains several roles, as ``subject`` says."""
    for role in roles:
        optimizer = agent.optimizers.get(role)
        if optimizer is not None and optimizer.takes_two_gradients:
            yield f"optimizers.{role}", f"{subject}, which {optimizer.kind!r} cannot"


@dataclass(frozen=True)
class AgentDeclaration:
    """An agent as a blueprint declares it: learners are built from it, and algorithms check it."""

    seeds: tuple[int, ...]
    environment: Environment
    algorithm: Algorithm
    networks: Mapping[str, Network]
    """By role."""
    outlines: Mapping[str, Outline | ShapeError]
    """One copy of each network by role, or why it has none."""
    averages: Mapping[str, Average]
    optimizers: Mapping[str, Optimizer]
    """By trained role."""
    penalties: Mapping[str, Penalty]
    interventions: Mapping[str, Intervention]
    normalization: Normalization
    acting: Mapping[str, str]
    """Averages that act in the place of networks while data are collected, by role."""
    evaluated: Mapping[str, str]
    """Averages that are evaluated in the place of networks, by role."""
    precision: str
    """``bf16`` where networks run under bfloat16 autocast."""
    updates_per_call: int
    """Most updates in one call of the captured program."""

    @property
    def info(self) -> EnvironmentInfo:
        """The environment's description of itself."""
        return self.environment.info

    def module(self, role: str) -> LazyCall:
        """The constructor call of one copy of a network, without parts that interventions have added."""
        return self.networks[role].module(self.sound_outlines[role].input, self.info.action_size)

    @property
    def sound_outlines(self) -> dict[str, Outline]:
        """The outlines that exist: those of all networks in a valid blueprint."""
        return {role: outline for role, outline in self.outlines.items() if isinstance(outline, Outline)}
