"""TD7: the spec. Its losses are in ``td7_losses.py``. Tests: tests/papers/test_td7.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, vectors_needed
from composer.algorithms.ddpg_td3 import ActionNoise
from composer.algorithms.declared import CRITICS, AverageRole, Evaluated, InputFrom, Passes, Role, StateTensor
from composer.algorithms.policy_checkpoints import PolicyCheckpoints
from composer.algorithms.start import TWIN_DELAYED, Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

STATE, STATE_ACTION = "state_encoder", "state_action_encoder"
ENCODERS = (STATE, STATE_ACTION)
CHECKPOINT = {"checkpoint_actor": "actor", f"checkpoint_{STATE}": f"fixed_{STATE}"}
"""Averages that hold the policy that is evaluated, and what they are copied from."""


class TD7(OffPolicy, Algorithm, kind="td7"):
    """TD7: TD3 on the features of learned encoders, with clipped targets and loss-adjusted priorities.

    ``state_encoder`` f and ``state_action_encoder`` g learn that ``g(f(s), a)`` is ``f(s')``. Actor and critics read
    the features of the averages ``fixed_*``, targets those of ``target_*``; all averages are copies every 250 updates,
    ``momentum = { kind = "periodic", every = 250 }``, and the targets of encoders are declared before ``fixed_*``, for
    they get its old weights. LAP is ``replay.sampling = { kind = "loss_adjusted" }``. Source: Fujimoto et al.,
    arXiv:2306.02451, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "td7", "target_noise": {"std": 0.2, "clip": 0.5}}

    weighs_samples: ClassVar[bool] = True

    policy_delay: Annotated[int, Field(ge=1, le=1_000_000), Without(1)] = 2
    """The actor steps every ``policy_delay`` updates."""
    exploration: ActionNoise = ActionNoise(std=schedules.Constant(value=0.1))
    """Noise on actions during collection."""
    target_noise: ActionNoise = ActionNoise(std=schedules.Constant(value=0.2), clip=0.5)
    """Noise on next actions of targets."""
    bounds_every: Annotated[int, Field(ge=0, le=10**9), Without(0)] = 250
    """Updates after which the values in targets are clipped to the lowest and the highest target until then, which
    leaves 0 of them before the first time; 0 never clips them."""
    policy_checkpoints: PolicyCheckpoints | None = None
    """How policies are assessed, and which one is evaluated; absent: every update is made when it is due, and the
    policy of the moment is evaluated."""
    linear_from: float = Field(default=1.0, gt=0, le=1e6)
    """Error of a critic from which its loss is linear: the ``minimum`` of loss-adjusted priorities."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        momentum = {"kind": "periodic", "every": 250, "value": 1.0, "at": 0.0}
        replay, source = {"sampling": {"kind": "loss_adjusted"}}, "TD7, arXiv:2306.02451 and its code"
        return Start(TWIN_DELAYED, source, momentum=momentum, copies={"critic": 2}, replay=replay)

    @property
    @override
    def assessment(self) -> PolicyCheckpoints | None:
        return self.policy_checkpoints

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        seen, actions = math.prod(info.observation), info.action_size

        def encoded(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (math.prod(outlines[STATE].output) + actions,)

        def acted(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (seen + math.prod(outlines[STATE].output),)

        def judged(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (seen + actions + sum(math.prod(outlines[role].output) for role in ENCODERS),)

        observed, action, features = ("observation", (seen,)), ("action", (actions,)), ("features", None)
        inputs = (features, action), (observed, features), (observed, action, features)
        return (
            Role(STATE, (seen,), "features"),
            Role(STATE_ACTION, InputFrom((STATE,), encoded), "features", concatenates=inputs[0]),
            Role("actor", InputFrom((STATE,), acted), "deterministic_action", concatenates=inputs[1]),
            Role("critic", InputFrom(ENCODERS, judged), "value", has_one_copy=False, concatenates=inputs[2]),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        encoders = [AverageRole(f"target_{role}", of=f"fixed_{role}") for role in ENCODERS]
        encoders += [AverageRole(f"fixed_{role}", of=role) for role in ENCODERS]
        targets = AverageRole("target_actor", of="actor"), AverageRole("target_critic", of="critic")
        has_none = self.policy_checkpoints is None
        kept = [AverageRole(name, of, has_none, is_kept=True) for name, of in CHECKPOINT.items()]
        return (*encoders, *targets, *kept)

    @override
    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        """Targets' extremes until now, and the bounds in force: lowest and highest."""
        if not self.bounds_every:
            return {}
        # Beyond every value, so that the first target replaces them.
        return {"lowest": StateTensor(initial=1e8), "highest": StateTensor(initial=-1e8), "bounds": StateTensor((2,))}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (*ENCODERS, "critic", "actor")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Losses of encoders, critics and actor; that of a delayed actor is computed every update."""
        encoders = [Evaluated(role, Passes.TRAIN) for role in ENCODERS] + [Evaluated(STATE, Passes.FORWARD)]
        target = ["target_state_encoder", "target_actor", "target_state_action_encoder", "target_critic"]
        critic = [Evaluated(name, Passes.FORWARD) for name in (*target, *(f"fixed_{role}" for role in ENCODERS))]
        actor = [Evaluated("fixed_state_encoder", Passes.FORWARD), Evaluated("actor", Passes.TRAIN)]
        actor += [Evaluated("fixed_state_action_encoder", Passes.THROUGH), Evaluated("critic", Passes.THROUGH)]
        return (*encoders, *critic, Evaluated("critic", Passes.TRAIN), *actor)

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("encoder/loss", "squared error of the predicted features of the next observation"),
            loss("actor/loss", "minus the value of the policy's actions", -math.inf),
            Metric("actor/action_size", "mean magnitude of the policy's actions", low=0, high=1),
            *CRITICS,
            Metric("critic/lowest_target", "lowest target of a batch", "scaled return"),
            Metric("critic/highest_target", "highest target of a batch", "scaled return"),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        return vectors_needed(self.title, info)

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        critic = agent.networks.get("critic")
        if critic is not None and not critic.head.gives_expectation:
            yield "networks.critic.head", f"TD7's critics give one value, got the head {critic.head.kind!r}"
        if self.policy_checkpoints is not None:
            yield from self._checkpoint_problems(agent)
        names = [*agent.averages]
        for role in ENCODERS:
            target, fixed = f"target_{role}", f"fixed_{role}"
            if {target, fixed} <= {*names} and names.index(target) > names.index(fixed):
                yield (
                    f"averages.{target}",
                    f"declare it before {fixed!r}: averages move in declared order, and TD7's target encoder gets the "
                    "weights that the fixed one had",
                )

    def _checkpoint_problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if agent.environment.copies_per_seed != 1:
            yield "environment.copies", "an assessment follows one episode at a time: 1 copy for each seed"
        for name in CHECKPOINT:
            found = agent.averages.get(name)
            if found is not None and found.momentum.bounds()[0] != 1:
                yield (
                    f"averages.{name}.momentum",
                    "the algorithm itself copies a policy there: set 1",
                )

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        import torch

        from composer.algorithms.td7_losses import Settings, TD7Program

        def clock(every: int) -> torch.Tensor | None:
            return hyperparameters.number(every, dtype=torch.float64) if every else None

        settings = Settings(
            actions=info.action_size,
            exploration=self.exploration.build(hyperparameters),
            target_noise=self.target_noise.build(hyperparameters),
            policy_delay=clock(self.policy_delay if self.policy_delay > 1 else 0),
            bounds_every=clock(self.bounds_every),
            has_checkpoint=self.policy_checkpoints is not None,
            linear_from=hyperparameters.number(self.linear_from, 1, 1),
        )
        return TD7Program(built, settings)
