"""TD-MPC2: the spec. Its losses are in ``tdmpc2_losses.py``, its planner in ``mppi.py``.

Tests: tests/papers/test_tdmpc2.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, one_gradient_needed, vectors_needed
from composer.algorithms.declared import (
    CRITICS,
    AverageRole,
    Evaluated,
    InputFrom,
    Passes,
    Role,
    StateTensor,
    UpdateSchedule,
)
from composer.algorithms.mppi import MPPI
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

MODEL = ("encoder", "dynamics", "reward", "critic")
Factor = Annotated[float, Field(ge=0, le=1e6)]


class TDMPC2(OffPolicy, Algorithm, kind="tdmpc2"):
    """TD-MPC2: a latent model with critics and a policy, and planning through it at every decision.

    ``encoder`` maps an observation to a latent z, ``dynamics`` z and an action to the next latent, ``reward`` and
    ``critic`` both to a reward and to values, ``actor`` z to an action. One loss trains the first four over ``horizon``
    steps; the targets of latents are those of the encoder itself. Targets of values take the lower of two of the
    averages ``target_critic``, drawn at random for each batch. Windows begin at any stored transition and are cut
    where an episode ends; the released code draws only whole windows of finished episodes. Source: Hansen et al.,
    arXiv:2310.16828, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "tdmpc2", "planning": {"iterations": 6}}

    keys_outside_update: ClassVar[frozenset[str]] = frozenset(
        {"update_to_data", "warmup_interactions", "untrained_interactions", "first_updates", "planning"}
    )

    horizon: Annotated[int, Field(ge=1, le=64)] = 3
    """Steps of the model in its loss and in plans, H."""
    horizon_decay: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Weight of each step in the losses relative to the one before it, rho."""
    consistency_weight: Factor = 20.0
    """Factor on the squared error of predicted latents, a mean over their entries."""
    reward_weight: Factor = 0.1
    """Factor on the loss of rewards."""
    value_weight: Factor = 0.1
    """Factor on the loss of values, a mean over critics."""
    entropy_weight: Factor = 1e-4
    """Factor on the policy's entropy, beside values divided by their running scale."""
    squash_entropy: bool = False
    """Whether the entropy includes the tanh's term, as in the first release. In the newest code the term cancels."""
    scale_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of a new batch in the scale of values: the distance of their 5th and 95th percentile, at least 1."""
    max_model_gradient_norm: Annotated[Annotated[float, Field(gt=0, le=1e9)] | None, Without(None)] = 20.0
    """Bound of the norm of the gradient of encoder, dynamics, reward and critics together; absent: no bound."""
    first_updates: Annotated[int, Field(ge=0, le=10**9), Without(0)] = 0
    """Updates made at once at the first one; those at the usual pace follow. TD-MPC2's code makes as many as there were
    random interactions."""
    planning: Annotated[MPPI | None, Without(None)] = None
    """How decisions are planned, by ``{}`` as in TD-MPC2's code; absent: the policy acts."""

    @property
    @override
    def title(self) -> str:
        return "TD-MPC2"

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        planning = {"samples": 512, "iterations": 6}
        settings = {
            "batch_size": 256, "update_to_data": 1.0, "warmup_interactions": 2_500, "untrained_interactions": 0,
            "first_updates": 2_500, "discount": {"kind": "episode_length"}, "planning": planning,
        }  # fmt: skip
        adam = {"kind": "adam", "learning_rate": 3e-4}
        optimizers = {"encoder": {**adam, "learning_rate": 9e-5}, "actor": {**adam, "epsilon": 1e-5}}
        latent = {"use": "tdmpc2_latent", "latent": 512}
        trunks = {"encoder": {**latent, "width": 256, "depth": 1}, "dynamics": {**latent, "width": 512, "depth": 2}}
        source = "TD-MPC2, arXiv:2310.16828 and its code"
        return Start(settings, source, optimizers, momentum=0.99, copies={"critic": 5}, trunks=trunks)

    @override
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        return super().update_schedule(info)._replace(future=self.horizon, first=self.first_updates)

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        actions = info.action_size

        def encoded(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (math.prod(outlines["encoder"].output),)

        def joined(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (math.prod(outlines["encoder"].output) + actions,)

        pair = ("features", None), ("action", (actions,))
        latent, acted = InputFrom(("encoder",), encoded), InputFrom(("encoder",), joined)
        return (
            Role("encoder", (math.prod(info.observation),), "features"),
            Role("dynamics", acted, "features", concatenates=pair),
            Role("reward", acted, "value", concatenates=pair),
            Role("actor", latent, "tanh_gaussian"),
            Role("critic", acted, "value", has_one_copy=False, concatenates=pair),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole("target_critic", of="critic"),)

    @override
    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        """The running scale of values."""
        return {"scale": StateTensor(initial=1.0)}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (*MODEL, "actor")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Targets at the following H latents, the model over H steps, the policy at H + 1 latents."""
        targets = tuple(Evaluated(name, Passes.FORWARD) for name in ("encoder", "actor", "target_critic"))
        model = tuple(Evaluated(name, Passes.TRAIN) for name in MODEL[1:])
        policy = Evaluated("actor", Passes.TRAIN), Evaluated("critic", Passes.THROUGH)
        steps = self.horizon
        return (*targets * steps, Evaluated("encoder", Passes.TRAIN), *model * steps, *policy * (steps + 1))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("encoder/loss", "squared error of predicted latents, each step weighted"),
            loss("reward/loss", "the loss of rewards, each step weighted"),
            *CRITICS,
            loss("actor/loss", "minus scaled value and weighted entropy of the policy", -math.inf),
            Metric("actor/entropy", "the policy's entropy as its loss has it, times the number of actions", "nats"),
            Metric(
                "actor/scale", "running range of values, which the policy's loss divides by", "scaled return", low=1
            ),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return vectors_needed(self.title, info)

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if self.n_step.bounds() != (1, 1):
            yield "algorithm.n_step", "TD-MPC2's targets have one reward each: leave it out"
        if self.discount.complement_schedule() is not None:
            yield "algorithm.discount", "TD-MPC2 plans with one discount: a number, or a rule that does not change it"
        encoder, dynamics = (agent.outlines.get(name) for name in ("encoder", "dynamics"))
        if isinstance(encoder, Outline) and isinstance(dynamics, Outline) and encoder.output != dynamics.output:
            found, wanted = list(dynamics.output), list(encoder.output)
            yield "networks.dynamics", f"it must give a latent as the encoder does, {wanted}, and gives {found}"
        yield from one_gradient_needed("TD-MPC2 trains several networks by one loss", agent, *self.trained_roles())

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.mppi_search import Search
        from composer.algorithms.tdmpc2_losses import Settings, TDMPC2Program
        from composer.algorithms.tdmpc2_model import LatentModel

        number, bound = hyperparameters.number, self.max_model_gradient_norm
        settings = Settings(
            actions=info.action_size,
            horizon=self.horizon,
            discount=number(self.discount.value_for(info)),
            decay=number(self.horizon_decay),
            consistency=number(self.consistency_weight),
            reward=number(self.reward_weight),
            value=number(self.value_weight),
            entropy=number(self.entropy_weight),
            squashes_entropy=self.squash_entropy,
            scale_rate=number(self.scale_rate),
            max_norm=None if bound is None else number(bound),
        )
        model, sizes = LatentModel(built), (self.horizon, info.action_size, built.networks["critic"].copies)
        search = None if self.planning is None else Search(self.planning, model, settings.discount, *sizes)
        return TDMPC2Program(built, settings, search, model)
