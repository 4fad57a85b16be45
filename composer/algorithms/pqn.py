"""Parallelised Q-learning, PQN: the spec. Its loss is in ``pqn_losses.py``. Tests: tests/papers/test_pqn.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm
from composer.algorithms.declared import Evaluated, HorizonSchedules, Passes, Role, RolloutPlan
from composer.algorithms.on_policy import OnPolicy
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.optim import schedules
from composer.optim.schedules import Share, lowest
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters


class PQN(OnPolicy, Algorithm, kind="pqn"):
    """Q(lambda) over discrete actions, on rollouts of many environments, without a replay or a target network.

    The network ``value`` gives every action a value; normalised layers (``layer_norm``) keep it stable in the place of
    a target network. Before the first update on a rollout, returns are computed once, backwards, with the weights that
    acted: ``G = r + discount ((1 - lambda) max Q(s') + lambda G')``, Peng's Q(lambda). Updates pass over the rollout
    a few times. Where an episode is truncated, the last observation has a value, which the released code takes for 0.
    Source: arXiv:2407.04811, and mttga/purejaxql, ``pqn_atari.py``, whose settings are the defaults.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "pqn", "rollout_interactions": 32, "epochs": 2, "minibatches": 32, "batch_size": 128
    }  # fmt: skip
    keys_outside_update: ClassVar[frozenset[str]] = OnPolicy.keys_outside_update | {"q_lambda", "evaluation_epsilon"}

    rollout_interactions: int = Field(default=32, ge=1, le=10**7)
    """Interactions of a rollout, T; it holds as many transitions of every environment copy."""
    epochs: int = Field(default=2, ge=1, le=1_000)
    """Passes over each rollout, each in another order."""
    batch_size: int = Field(default=128, ge=1, le=1_048_576)
    """Samples per gradient update: transitions of a rollout (interactions times copies) over ``minibatches``."""
    q_lambda: float = Field(default=0.65, ge=0, le=1)
    """Decay of the weights of longer returns, lambda: 0 is one step, 1 is all of the rollout."""
    epsilon: Annotated[Share, Without(lowest)] = schedules.Linear(start=1.0, end=0.001, updates=78_125)
    """Probability of a random action during collection: a number, or a schedule over gradient updates. The default is
    that of Atari's code: over a tenth of 12,207 rollouts, at 64 updates each."""
    evaluation_epsilon: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of a random action in evaluations."""

    @property
    @override
    def rollout_plan(self) -> RolloutPlan:
        return RolloutPlan(self.rollout_interactions, self.epochs, self.minibatches, self.q_lambda)

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings: dict[str, Any] = {"epochs": 2, "batch_size": 128, "discount": 0.99}
        radam = {"kind": "radam", "learning_rate": 2.5e-4, "max_gradient_norm": 10.0}
        optimizers = {"value": radam}
        if info.pictures:
            settings |= {"rollout_interactions": 32, "minibatches": 2, "q_lambda": 0.65}
            settings |= {"epsilon": {"kind": "linear", "start": 1.0, "end": 0.001, "updates": 150}}
            source = "PQN on Atari, arXiv:2407.04811, with 8 copies of the environment in the place of 128"
            return Start(settings, source, optimizers, environment={"copies": 8})
        settings |= {"rollout_interactions": 64, "epochs": 4, "minibatches": 16, "q_lambda": 0.95}
        settings |= {"epsilon": {"kind": "linear", "start": 1.0, "end": 0.2, "updates": 600}}
        source = "PQN's code on CartPole at a larger learning rate, without its layer norm; 32 copies"
        return Start(settings, source, optimizers, environment={"copies": 32})

    def horizon_schedules(self) -> HorizonSchedules:
        """On the clock of the optimizer of ``value``."""
        return super().horizon_schedules()._replace(role="value")

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        return (Role("value", info.observation, produces="action_values"),)

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return ("value",)

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("value/loss", "the loss of values"),
            Metric("value/value", "mean value that the network predicts for chosen actions", "scaled return"),
            Metric("value/return", "mean return that chosen actions are taught", "scaled return"),
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The prediction; the evaluation of a rollout, once for all its epochs, is not counted."""
        return (Evaluated("value", Passes.TRAIN),)

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if not environment.is_simulator:
            yield "environment.kind", f"PQN acts in a simulator, got {environment.kind!r}"
        elif not info.discrete:
            yield "environment", "PQN needs discrete actions; those of this environment are numbers"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        yield from self.rollout_problems(agent.environment.copies_per_seed)
        if "value" in agent.acting:
            yield "training.acting.value", "PQN acts by the network that it learns: an average cannot act for it"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.losses.exploration import Exploration
        from composer.algorithms.pqn_losses import PQNProgram

        epsilon = hyperparameters.number(self.evaluation_epsilon) if self.evaluation_epsilon else None
        return PQNProgram(built, Exploration(self.epsilon.build(hyperparameters), epsilon, info.action_size))
