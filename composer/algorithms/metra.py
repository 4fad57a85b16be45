"""METRA: the spec. Its losses are in ``metra_losses.py``. Tests: tests/papers/test_metra.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, vectors_needed
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, Passes, Role, UpdateSchedule
from composer.algorithms.normalization.observations import Raw
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.metrics import Metric, loss
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

REPRESENTATION: Final = "representation"
MULTIPLIER: Final = "multiplier"
TRAINED: Final = (REPRESENTATION, MULTIPLIER, "critic", "actor", "temperature")
ADAM: Final = {"kind": "adam", "learning_rate": 1e-4}


class METRA(OffPolicy, Algorithm, kind="metra"):
    """METRA: skills that cover a space in which distance is at most time, found without any reward.

    An episode has one skill z, which ``environment.skills`` draws and which is part of each observation s. The network
    ``representation`` p reads s alone and gives as many numbers as z has. It maximises ``(p(s') - p(s)) . z`` while a
    step moves it by 1 at most; the learned ``multiplier`` weighs this constraint by dual ascent. Soft actor-critic
    over s and z learns that inner product as its reward; the environment's own reward is not read. A skill that is a
    choice among d has ``(z - 1/d) d / (d - 1)`` in the place of z. From pixels ``representation`` reads pictures of
    bytes, and actor and critics a vector: the pictures' entries, then the skill, then the action.

    Source: Park et al., arXiv:2310.08887, and its released code, which the defaults follow.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "metra", "batch_size": 256}
    reads_skill_planes: ClassVar[bool] = True

    update_to_data: float = Field(default=0.25, gt=0, le=1024)
    """Gradient updates per interaction (one decision of every environment copy): 50 for 200 in the released code."""
    rollout_interactions: int = Field(default=200, ge=1, le=1_000_000)
    """Interactions between two series of updates, which are then made all at once, by one policy until then: 200 in
    the released code, one episode of each of 8 environments. 1: updates are made when they are due."""
    warmup_interactions: int = Field(default=0, ge=0, le=10**9)
    """Interactions with uniformly random actions, from the first one on: none in the released code."""
    untrained_interactions: int = Field(default=1_250, ge=0, le=10**9)
    """Interactions with actions of the untrained policy before the first update, which the end of a rollout may delay:
    in the released code as many as give 10,000 transitions."""
    distance: Literal["mean", "sum"] = "mean"
    """The squared distance of two representations: the ``mean`` of the squared differences, as in the released code,
    which lets a step move by the root of their number; or their ``sum``, the Euclidean distance of the text."""
    slack: float = Field(default=1e-3, ge=0, le=1)
    """The largest value of the constraint ``1 - distance`` that counts: steps that are shorter by more have no
    gradient from it."""
    initial_multiplier: float = Field(default=30.0, gt=0, le=1e9)
    """The weight of the constraint before the first update."""
    initial_temperature: float = Field(default=0.01, gt=0, le=1e6)
    """The temperature of soft actor-critic before the first update."""
    target_entropy_per_action: float = Field(default=-0.5, ge=-100, le=100)
    """Target entropy divided by the number of action dimensions."""

    @property
    @override
    def title(self) -> str:
        return "METRA"

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        size, rate = info.skill_size or 2, 1.0 if info.pictures else 0.25
        to_skill = [{"use": "mlp", "width": 256}, {"kind": "linear", "width": size}]
        trunks: dict[str, Any] = {REPRESENTATION: {"kind": "sequence", "layers": to_skill}}
        if info.pictures:
            trunks = _start_from_pixels(info.without_skill, to_skill, size, info.action_size)
        settings = {
            "batch_size": 256, "update_to_data": rate, "rollout_interactions": 200, "untrained_interactions": 1_250,
            "discount": 0.99, "distance": "mean", "slack": 1e-3, "initial_multiplier": 30.0,
        }  # fmt: skip
        environment = {"copies": 8} if info.skill_size else {"copies": 8, "skills": {"size": size}}
        return Start(
            settings,
            "the released code of METRA, arXiv:2310.08887",
            optimizers=dict.fromkeys(TRAINED, ADAM),
            copies={"critic": 2},
            environment=environment,
            replay={"capacity": 300_000} if info.pictures else {},
            trunks=trunks,
        )

    @override
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        return super().update_schedule(info)._replace(rollout=self.rollout_interactions)

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        seen = info.without_skill
        size, skill, actions = math.prod(seen), info.skill_size, info.action_size
        parts = (("observation", (size,)), ("skill", (skill,)))
        with_action = (*parts, ("action", (actions,)))
        return (
            Role(REPRESENTATION, seen, "features", concatenates=() if info.pictures else parts[:1]),
            Role("actor", (size + skill,), "tanh_gaussian", concatenates=parts),
            Role("critic", (size + skill + actions,), "value", has_one_copy=False, concatenates=with_action),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole("target_critic", of="critic"),)

    def learned_scalars(self) -> Mapping[str, Outline]:
        """The logarithms of the multiplier and of the temperature."""

        def logarithm(value: float) -> Outline:
            plan = ParameterPlan((), Constant(value=math.log(value)), fan_in=1, fan_out=1)
            return Outline("scalar", (), (), parameters={"value": plan})

        return {MULTIPLIER: logarithm(self.initial_multiplier), "temperature": logarithm(self.initial_temperature)}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return TRAINED

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The representation of both ends of a step, for its own loss and again for the reward; then the SAC's."""
        return (
            Evaluated(REPRESENTATION, Passes.TRAIN, 2),
            Evaluated(REPRESENTATION, Passes.FORWARD, 2),
            Evaluated("actor", Passes.FORWARD),
            Evaluated("target_critic", Passes.FORWARD),
            Evaluated("critic", Passes.TRAIN),
            Evaluated("actor", Passes.TRAIN),
            Evaluated("critic", Passes.THROUGH),
        )

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("representation/loss", "minus the objective, with the constraint weighed in", -math.inf),
            Metric("representation/reward", "mean inner product of a step's difference and the skill", "skill reward"),
            Metric("representation/distance", "mean squared distance of a step, which should be 1 at most", low=0),
            Metric("representation/constraint", "mean constraint 1 - distance, cut at the slack", high=1),
            Metric("multiplier/value", "the weight of the constraint", low=0),
            loss("multiplier/loss", "its logarithm times the constraint", -math.inf),
            *CRITICS,
            loss("actor/loss", "temperature times log-density, minus value", -math.inf),
            Metric("actor/entropy", "minus the log-density of drawn actions", "nats"),
            Metric("temperature/value", "the temperature, which weighs entropy against value", low=0),
            loss("temperature/loss", "its logarithm times entropy above its target", -math.inf),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if info.discrete or not info.pictures:
            yield from vectors_needed(self.title, info)
        if not environment.takes_skills:
            yield "environment", f"METRA needs a skill for every episode, and {environment.kind!r} has none"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        size, outline = agent.info.skill_size, agent.outlines.get(REPRESENTATION)
        if not size and agent.environment.is_simulator and not agent.info.discrete:
            yield "environment.skills", "METRA needs a skill for every episode: write skills = { size = 2 }"
        if size and isinstance(outline, Outline) and outline.output != (size,):
            found = list(outline.output)
            yield f"networks.{REPRESENTATION}", f"gives {found}, and a skill has {size} numbers: it must give [{size}]"
        critic = agent.networks.get("critic")
        if critic is not None and not critic.head.gives_expectation:
            yield "networks.critic.head", f"METRA's critics give one value, got the head {critic.head.kind!r}"
        if agent.info.pictures and not isinstance(agent.normalization.observation, Raw):
            yield "normalization.observation", 'METRA\'s networks read the bytes of pictures: set { kind = "raw" }'
        if not agent.normalization.reward.is_identity:
            yield "normalization.reward", "METRA reads no reward of the environment: leave it out"
        if self.n_step.bounds()[1] != 1:
            yield "algorithm.n_step", "METRA's reward is that of one step: set 1"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.metra_losses import METRAProgram, Settings

        number = hyperparameters.number
        settings = Settings(
            actions=info.action_size,
            skill=info.skill_size,
            frames=max(info.stacked_frames, 1) if info.pictures else 0,
            is_choice=info.skill_is_choice,
            distance=self.distance,
            slack=number(self.slack, 1),
            target_entropy=number(info.action_size * self.target_entropy_per_action),
        )
        return METRAProgram(built, settings)


def _start_from_pixels(seen: Shape, to_skill: list[Any], size: int, actions: int) -> dict[str, Any]:
    """Trunks that begin with an encoder each, of as many convolutions as pictures ``[c, h, w]`` have room for."""
    side, more = (min(seen[1:]) - 4) // 2 + 1, 0
    while side >= 4 and more < 3:
        side, more = (side - 4) // 2 + 1, more + 1
    encoder, (channels, height, width) = {"use": "metra_convolutions", "more": more}, seen
    beside = {"use": "beside_picture", "channels": channels, "height": height, "width": width, "encoder": encoder}

    def trunk(numbers: int) -> dict[str, Any]:
        return {"kind": "sequence", "layers": [{**beside, "numbers": numbers}, {"use": "mlp", "width": 256}]}

    represented = {"kind": "sequence", "layers": [encoder, *to_skill]}
    return {REPRESENTATION: represented, "actor": trunk(size), "critic": trunk(size + actions)}
