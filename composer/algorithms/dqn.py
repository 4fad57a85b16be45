"""Deep Q-networks and their relatives: the spec. Their losses are in ``dqn_losses.py``.

Tests: tests/papers/test_dqn.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.augmentation import Augmentation
from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy
from composer.algorithms.declared import AverageRole, Evaluated, HorizonSchedules, Passes, Role, UpdateSchedule
from composer.algorithms.spr import ROLES, SPR
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.optim.schedules import Share, lowest
from composer.spec.family import Items
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters


class DQN(OffPolicy, Algorithm, kind="dqn"):
    """Deep Q-learning over discrete actions, with the extensions published since, each as a setting of its own.

    The network ``value`` gives every action a value; its head decides how returns are learned: their mean
    (``discrete_value``; arXiv:1312.5602), its distribution (C51, arXiv:1707.06887; QR-DQN, arXiv:1710.10044; IQN,
    arXiv:1806.06923), or the mean by classification (HL-Gauss, two-hot, arXiv:2403.03950); ``dueling`` wraps most of
    them. The target network is the average ``target_value``: with momentum ``{ kind = "periodic", every = N }`` it is
    copied every N updates, as published. Priorities are absolute errors of means, or losses of distributions
    (Rainbow, arXiv:1710.02298, takes the divergence; Dopamine the loss, exponent 0.5).
    """

    weighs_samples: ClassVar[bool] = True
    keys_outside_update: ClassVar[frozenset[str]] = OffPolicy.keys_outside_update | {"evaluation_epsilon"}
    example: ClassVar[Mapping[str, Any]] = {"kind": "dqn", "batch_size": 32, "update_to_data": 0.25, "double": True}

    double: Annotated[bool, Without(False)] = False
    """Whether the network itself chooses the next action, which the target network evaluates (arXiv:1509.06461)."""
    epsilon: Annotated[Share, Without(lowest)] = schedules.Linear(start=1.0, end=0.01, updates=62_500)
    """Probability of a random action during collection: a number, or a schedule over gradient updates. The default is
    Dopamine's, 250,000 decisions at four per update; all actions before the first update are random."""
    evaluation_epsilon: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Probability of a random action in evaluations; 0.001 in Dopamine, 0.05 in Mnih et al., 2015."""
    noisy: Annotated[bool, Without(False)] = False
    """Whether noisy layers draw noise during collection and in targets, in each pass anew (arXiv:1706.10295). Both
    passes are then in training mode, so that dropout is active in them too."""
    augmentation: Annotated[Items[Augmentation], Field(max_length=8), Without(())] = ()
    """Augmentations of pictures in the loss, in this order, with separate draws for observation and next observation:
    DrQ with one draw each, as in its Atari experiments (arXiv:2004.13649)."""
    spr: Annotated[SPR | None, Without(None)] = None
    """Self-predictive representations (SPR), which need three more networks."""

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        settings: dict[str, Any] = {"discount": 0.99, "double": True}
        if info.pictures:
            settings |= {"batch_size": 32, "update_to_data": 1.0, "warmup_interactions": 1_600, "n_step": 10}
            settings |= {"epsilon": {"kind": "linear", "start": 1.0, "end": 0.01, "updates": 5_000}}
            adam = {"kind": "adam", "learning_rate": 1e-4, "epsilon": 1.5e-4}
            return Start(settings, "DrQ(epsilon), arXiv:2108.13264, on a plain head", {"value": adam}, momentum=0.0)
        settings |= {"batch_size": 64, "update_to_data": 0.5, "warmup_interactions": 1_000, "n_step": 5}
        settings |= {"epsilon": {"kind": "linear", "start": 1.0, "end": 0.05, "updates": 4_000}}
        adam = {"kind": "adam", "learning_rate": 5e-4}
        return Start(settings, "the shipped blueprint classic/cartpole_dqn", {"value": adam})

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        """That of off-policy algorithms; SPR needs future transitions."""
        return super().update_schedule(info)._replace(future=self.spr.steps if self.spr else 0)

    def horizon_schedules(self) -> HorizonSchedules:
        """On the clock of the optimizer of ``value``."""
        return super().horizon_schedules()._replace(role="value")

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        value = Role("value", info.observation, produces="action_values")
        return (value, *(self.spr.roles(info.action_size) if self.spr else ()))

    @override
    def dormant_roles(self) -> Mapping[str, str]:
        return dict.fromkeys(ROLES, "spr") if self.spr is None else {}

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        value, projection = AverageRole("target_value", of="value"), AverageRole("target_projection", of="projection")
        return (value, projection) if self.spr else (value,)

    def trained_roles(self) -> tuple[str, ...]:
        """All are trained by one loss."""
        return ("value", *(ROLES if self.spr else ()))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        value = Metric("value/value", "mean value that the network predicts for chosen actions", "scaled return")
        spr = (loss("spr/loss", "the loss of SPR, weighted"),) if self.spr else ()
        return loss("value/loss", "the weighted loss of values"), value, *spr

    def evaluations(self) -> tuple[Evaluated, ...]:
        """The target, the choice of a double target, the prediction; then SPR."""
        choice = (Evaluated("value", Passes.FORWARD),) if self.double else ()
        spr = self.spr.evaluations() if self.spr else ()
        return (Evaluated("target_value", Passes.FORWARD), *choice, Evaluated("value", Passes.TRAIN), *spr)

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if not info.discrete:
            yield "environment", "DQN needs discrete actions; those of this environment are numbers"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if self.augmentation and len(agent.info.observation) != 3:
            shape = list(agent.info.observation)
            yield "algorithm.augmentation", f"augmentations change pictures [c, h, w]; observations here are {shape}"
        if self.spr is not None:
            yield from self.spr.problems(agent)
        yield from self._noise_problems(agent)

    def _noise_problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        outline = agent.outlines.get("value")
        if not isinstance(outline, Outline):
            return
        has_noise = any(path.rpartition(".")[2] == "weight_sigma" for path, _ in outline.named_parameters())
        if self.noisy and not has_noise:
            yield "algorithm.noisy", "'value' has no noisy layer: neither a 'noisy_linear' nor a head with 'sigma'"
        if has_noise and not self.noisy:
            yield "algorithm.noisy", "'value' has noisy layers: set noisy = true, so that they explore"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.dqn_losses import DQNProgram
        from composer.algorithms.losses.augmentation import AugmentationChain
        from composer.algorithms.losses.exploration import Exploration
        from composer.algorithms.spr_losses import SelfPrediction

        epsilon = hyperparameters.number(self.evaluation_epsilon) if self.evaluation_epsilon else None
        exploration = Exploration(self.epsilon.build(hyperparameters), epsilon, info.action_size)
        self_prediction = SelfPrediction(built, self.spr.steps, self.spr.weight, hyperparameters) if self.spr else None
        augment = AugmentationChain([(one.draws(), one.build()) for one in self.augmentation])
        return DQNProgram(built, exploration, augment, self_prediction, is_double=self.double, is_noisy=self.noisy)
