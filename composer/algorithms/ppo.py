"""Proximal policy optimisation: the spec. Its losses stand in ``ppo_program.py``. Tests: tests/papers/test_ppo.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from composer.algorithms.base import Algorithm, Evaluated, Passes, Program, Roles
from composer.algorithms.on_policy import OnPolicy
from composer.networks.heads import head_giving
from composer.optim import schedules
from composer.optim.schedules import Schedule
from composer.spec.shape import Shape
from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.interface import EnvironmentInfo

_ROLES = ("actor", "critic")


def _positive(schedule: Schedule) -> Schedule:
    low, _ = schedule.bounds()
    if low <= 0:
        raise ValueError(f"must be > 0, got {low:g}")
    return schedule


def _not_negative(schedule: Schedule) -> Schedule:
    low, _ = schedule.bounds()
    if low < 0:
        raise ValueError(f"must be >= 0, got {low:g}")
    return schedule


class PPO(OnPolicy, Algorithm, kind="ppo"):
    """Proximal policy optimisation with the clipped objective, over choices or over numbers.

    Actor and critic are networks of their own. Of a Gaussian policy the draw itself is stored, whose density is
    learned from, and the environment plays the nearest action of its box. Log-densities and values are taken when a
    rollout is whole, with the observations normalised as at that moment: the first ratio of a rollout is 1. Source:
    arXiv:1707.06347, whose settings for continuous control (table 3) are the defaults; advantages arXiv:1506.02438.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "ppo", "rollout_interactions": 128, "epochs": 4, "minibatches": 4, "batch_size": 256
    }  # fmt: skip

    batch_size: int = Field(default=64, ge=1, le=1_048_576)
    """Samples a gradient update: transitions of a rollout (interactions times copies) divided by ``minibatches``."""
    clip_ratio: Annotated[Schedule, AfterValidator(_positive)] = schedules.Constant(value=0.2)
    """How far the ratio of new to old probability is followed away from 1: a number, or a schedule over updates."""
    value_clip: Annotated[Schedule, AfterValidator(_positive)] | None = None
    """How far values are followed away from those of before: a number, or a schedule over updates. Absent: freely, as
    in the paper. In the units of the rewards as they are learned from."""
    entropy_bonus: Annotated[Schedule, AfterValidator(_not_negative)] = schedules.Constant(value=0)
    """Weight of the policy's entropy in the actor's loss: a number, or a schedule over updates."""

    def network_inputs(self, info: EnvironmentInfo) -> Mapping[str, Shape]:
        """Both read observations."""
        return dict.fromkeys(_ROLES, info.observation)

    def trained_roles(self) -> tuple[str, ...]:
        """In the order in which they step."""
        return _ROLES

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One pass of each; judging a rollout, once for all its epochs, is not counted."""
        return tuple(Evaluated(role, Passes.TRAIN) for role in _ROLES)

    def problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        """Roles and heads that PPO needs, a rollout that divides, and what has no meaning without a replay."""
        environment = blueprint.environment
        if not environment.is_simulator:
            yield "environment.kind", f"PPO acts in a simulator, got {environment.kind!r}"
            return
        wanted = {"actor": "action_logits" if environment.info.discrete else "gaussian", "critic": "value"}
        for role, produces in wanted.items():
            network = blueprint.networks.get(role)
            if network is None:
                yield "networks", f"PPO needs a network {role!r}"
                continue
            if network.head.produces != produces:
                yield (
                    f"networks.{role}.head",
                    f"PPO's {role} needs {head_giving(produces, network.head)}",
                )
            if network.copies != 1:
                yield f"networks.{role}.copies", f"PPO has one {role}, got {network.copies}"
        for role in blueprint.networks:
            if role not in wanted:
                yield f"networks.{role}", f"PPO has no network {role!r}{suggestion(role, wanted)}"
        critic = blueprint.networks.get("critic")
        if self.value_clip is not None and critic is not None and critic.head.kind != "scalar":
            yield (
                "algorithm.value_clip",
                f"needs the critic's head 'scalar', got {critic.head.kind!r}: no distributions",
            )
        yield from self._rollout_problems(blueprint)

    def build(self, roles: Roles, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        """The losses over built networks."""
        from composer.algorithms.losses.policies import CategoricalPolicy, GaussianPolicy
        from composer.algorithms.ppo_losses import PPOProgram

        return PPOProgram(
            roles,
            CategoricalPolicy() if info.discrete else GaussianPolicy(),
            self.clip_ratio.build(seeds, device),
            self.entropy_bonus.build(seeds, device),
            None if self.value_clip is None else self.value_clip.build(seeds, device),
        )

    def _rollout_problems(self, blueprint: Blueprint) -> Iterator[tuple[str, str]]:
        copies = blueprint.environment.copies_per_seed
        held = self.rollout_interactions * copies
        told = f"{self.rollout_interactions:,} interactions x {copies:,} copies = {held:,} transitions"
        if held % self.minibatches:
            yield "algorithm.minibatches", f"{told} cannot be dealt into {self.minibatches:,} equal minibatches"
        elif held // self.minibatches != self.batch_size:
            each = held // self.minibatches
            yield "algorithm.batch_size", f"{told} in {self.minibatches:,} minibatches are {each:,} each: write {each}"
        if blueprint.replay != type(blueprint.replay)():
            yield "replay", "PPO learns from its last rollout and keeps no replay: leave it out"
        if "actor" in blueprint.training.acting:
            yield "training.acting.actor", "PPO learns from what its own actor does: an average cannot act for it"
