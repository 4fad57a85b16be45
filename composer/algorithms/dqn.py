"""Deep Q-networks and their relatives: the spec. Their losses stand in ``dqn_program.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from composer.algorithms.augmentation import Augmentation
from composer.algorithms.base import (
    Algorithm,
    Evaluated,
    HorizonSchedules,
    OffPolicy,
    Passes,
    Program,
    Roles,
    UpdateSchedule,
)
from composer.algorithms.spr import ROLES, SPR
from composer.algorithms.spr import TARGET as TARGET_PROJECTION
from composer.networks.heads import head_giving
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.optim.schedules import Schedule
from composer.spec.family import Items
from composer.spec.shape import Shape
from composer.spec.wording import near, suggestion

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo

TARGET = "target_value"


def _share(schedule: Schedule) -> Schedule:
    low, high = schedule.bounds()
    if not 0 <= low <= high <= 1:
        raise ValueError(f"must be in 0 to 1, got {low:g}" + (f" to {high:g}" if high > low else ""))
    return schedule


class DQN(OffPolicy, Algorithm, kind="dqn"):
    """Deep Q-learning over discrete actions, with the options that have been added to it, each on its own.

    The network ``value`` gives every action a value; its head says what is learned of a return: its mean
    (``discrete_value``; arXiv:1312.5602), its distribution (C51, arXiv:1707.06887; QR-DQN, arXiv:1710.10044; IQN,
    arXiv:1806.06923), or its mean by classification (HL-Gauss, two-hot, arXiv:2403.03950); ``dueling`` wraps most of
    them. The target network is the average ``target_value``: with momentum ``{ kind = "periodic", every = N }`` it is
    copied every N updates, as published. Prioritised replay hears of the absolute error of a mean, of a
    distribution its loss (Rainbow, arXiv:1710.02298, takes the divergence; Dopamine the loss, exponent 0.5).
    """

    weighs_samples: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "dqn", "batch_size": 32, "update_to_data": 0.25, "double": True}

    double: bool = False
    """Whether the network itself chooses the next action, whose value the target network gives (arXiv:1509.06461)."""
    epsilon: Annotated[Schedule, AfterValidator(_share)] = schedules.Linear(start=1.0, end=0.01, updates=62_500)
    """Share of random actions while data are collected: a number, or a schedule over gradient updates. The default is
    Dopamine's, 250,000 decisions at four an update; actions before the first update are random anyway."""
    evaluation_epsilon: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Share of random actions in evaluations; 0.001 in Dopamine, 0.05 in Mnih et al., 2015."""
    noisy: bool = False
    """Whether noisy layers explore and act on both sides of the loss: the network that collects data, and the target,
    are then in training mode, each pass with a draw of its own (arXiv:1706.10295). Dropout acts there with them."""
    augmentation: Annotated[Items[Augmentation], Field(max_length=8)] = ()
    """Changes of pictures in the loss, in this order, drawn apart for the observation and the next one. The first of
    DrQ's three uses; its averages over several draws are of one, as in its Atari experiments (arXiv:2004.13649)."""
    spr: SPR | None = None
    """Self-predictive representations beside values, over three more networks; absent without."""

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """As for all off-policy learners, and how far ahead is predicted."""
        return super().update_schedule(info)._replace(future=self.spr.steps if self.spr else 0)

    def horizon_schedules(self) -> HorizonSchedules:
        """What changes of the horizon, on the clock of the only optimizer of values."""
        return super().horizon_schedules()._replace(role="value")

    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """The value network reads observations, those of SPR latents and actions."""
        return {"value": info.observation, **(self.spr.network_inputs(info.action_size) if self.spr else {})}

    def trained_roles(self) -> tuple[str, ...]:
        """All at once, by one loss."""
        return ("value", *(ROLES if self.spr else ()))

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The target, the choice where it is another network's, the prediction; then what SPR takes."""
        choice = (Evaluated("value", Passes.FORWARD),) if self.double else ()
        ahead = self.spr.evaluations() if self.spr else ()
        return (Evaluated(TARGET, Passes.FORWARD), *choice, Evaluated("value", Passes.TRAIN), *ahead)

    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """Roles, heads, averages and actions that DQN needs, and those it does not know."""
        info = blueprint.environment.info
        if not info.discrete:
            yield "environment", "DQN needs discrete actions; those of this environment are numbers"
        if self.augmentation and len(info.observation) != 3:
            shape = list(info.observation)
            yield "algorithm.augmentation", f"augmentations change pictures [c, h, w]; observations here are {shape}"
        needs = dict(zip(self.trained_roles(), ("action_values", *["features"] * len(ROLES)), strict=False))
        for role, produces in needs.items():
            yield from _network_problems(blueprint, role, produces)
        for role in blueprint.networks:
            if role not in needs:
                yield f"networks.{role}", f"DQN has no network {role!r}{_elsewhere(role, needs)}"
        yield from _average_problems(blueprint, TARGET, "value")
        if self.spr is not None:
            yield from _average_problems(blueprint, TARGET_PROJECTION, "projection")
            yield from self.spr.problems(blueprint)
        yield from self._noise_problems(blueprint)

    def _noise_problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        outline = blueprint.outlines.get("value")
        if not isinstance(outline, Outline):
            return
        has_noise = any(path.rpartition(".")[2] == "weight_sigma" for path, _ in outline.named_parameters())
        if self.noisy and not has_noise:
            yield "algorithm.noisy", "'value' has no noisy layer: neither a 'noisy_linear' nor a head with 'sigma'"
        if has_noise and not self.noisy:
            yield "algorithm.noisy", "'value' has noisy layers: set noisy = true, so that they explore"

    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The loss over built networks."""
        from composer.algorithms.dqn_losses import DQNProgram, Exploration, Varied
        from composer.algorithms.spr_losses import SelfPrediction

        exploration = Exploration.build(self.epsilon, self.evaluation_epsilon, info.action_size, seeds, device)
        ahead = SelfPrediction(roles, self.spr.steps, self.spr.weight) if self.spr else None
        varied = Varied([(one.draws(), one.build()) for one in self.augmentation])
        return DQNProgram(roles, exploration, varied, ahead, is_double=self.double, is_noisy=self.noisy)


def _network_problems(blueprint: Blueprint, role: str, produces: str) -> Iterator[tuple[str, str]]:
    network = blueprint.networks.get(role)
    if network is None:
        yield "networks", f"DQN needs a network {role!r}" + ("" if role == "value" else ", for 'spr'")
        return
    if network.head.produces != produces:
        yield f"networks.{role}.head", f"DQN's {role} needs {head_giving(produces, network.head)}"
    if network.copies != 1:
        yield f"networks.{role}.copies", f"DQN has one {role}, got {network.copies}"


def _average_problems(blueprint: Blueprint, name: str, of: str) -> Iterator[tuple[str, str]]:
    average = blueprint.averages.get(name)
    if average is None:
        meant = near(name, set(blueprint.averages) - {TARGET, TARGET_PROJECTION})
        hint = f"; did you mean {name!r}?" if meant else ""
        yield (f"averages.{meant}" if meant else "averages"), f"DQN needs an average {name!r} of {of!r}{hint}"
    elif average.of != of:
        yield f"averages.{name}.of", f"DQN's {name!r} averages {of!r}, got {average.of!r}"


def _elsewhere(role: str, needs: Mapping[str, str]) -> str:
    return "; it belongs to 'spr', which is not declared" if role in ROLES else suggestion(role, needs)
