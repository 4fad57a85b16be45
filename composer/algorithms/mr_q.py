"""MR.Q: the spec. Its losses are in ``mr_q_losses.py``. Tests: tests/papers/test_mr_q.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, one_gradient_needed
from composer.algorithms.ddpg_td3 import ActionNoise
from composer.algorithms.declared import (
    AverageRole,
    Bursts,
    Evaluated,
    InputFrom,
    Passes,
    Role,
    StateTensor,
    UpdateSchedule,
)
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.optim import schedules
from composer.optim.schedules import Bounded, Schedule
from composer.spec.family import Spec
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

STATE, STATE_ACTION = "state_encoder", "state_action_encoder"
ENCODERS = (STATE, STATE_ACTION, "model")
Weight = Annotated[float, Field(ge=0, le=1e6), Without(0)]


class RewardBins(Spec):
    """Bins of the predicted reward: symexps of evenly spaced numbers, between which a reward is spread linearly."""

    count: Annotated[int, Field(ge=2, le=4096)] = 65
    """Number of bins."""
    low: Annotated[float, Field(ge=-40, lt=0)] = -10.0
    """Symlog of the first bin, ``sign(x) ln(1 + |x|)``."""
    high: Annotated[float, Field(gt=0, le=40)] = 10.0
    """Symlog of the last bin."""


class MRQ(OffPolicy, Algorithm, kind="mr_q"):
    """MR.Q: a value and a policy on features of a linear model of the environment, with one setting for all of them.

    ``state_encoder`` f, ``state_action_encoder`` g, which reads an action and features of a state, and ``model`` M, one
    linear layer, learn that ``M(g(f(s), a))`` gives whether s' is terminal, ``f(s')`` and the reward, unrolled over
    ``horizon`` steps. Every ``cycle`` updates, before the first of them, targets get their networks' weights (averages
    with ``momentum = { kind = "periodic", every = 250 }``), the scale of rewards becomes the mean magnitude of rewards
    in the replay, and encoders and model make ``cycle`` updates, each on a minibatch of its own. Actor and critics step
    at every update on features that they do not train. Its LAP is ``replay.sampling = { kind = "loss_adjusted" }``.
    Source: Fujimoto et al., arXiv:2501.16142, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "mr_q", "n_step": 3}

    weighs_samples: ClassVar[bool] = True

    n_step: Annotated[Schedule, Bounded(1, 100, whole=True), Without(1)] = schedules.Constant(value=3)
    """Rewards summed before a value is bootstrapped, 1 to 100; windows end early where an episode does. The released
    code leaves out the reward of a termination and may add those after it; here none is left out or added."""
    horizon: int = Field(default=5, ge=1, le=64)
    """Steps over which encoders and model are unrolled."""
    cycle: int = Field(default=250, ge=1, le=1_000_000)
    """Updates from one series of updates of encoders and model to the next, and updates of each series."""
    latent_weight: Weight = 1.0
    """Factor on the squared error of predicted features."""
    reward_weight: Weight = 0.1
    """Factor on the cross-entropy of predicted rewards."""
    termination_weight: Weight = 0.1
    """Factor on the squared error of predicted terminations, once one was stored."""
    reward_bins: RewardBins = RewardBins()
    """Bins of the predicted reward."""
    exploration: ActionNoise = ActionNoise(std=schedules.Constant(value=0.2))
    """Noise on actions during collection. With discrete actions it is added to a one-hot action, whose largest entry is
    taken; the released code halves it there, and so is target noise."""
    target_noise: ActionNoise = ActionNoise(std=schedules.Constant(value=0.2), clip=0.3)
    """Noise on next actions of targets."""
    pre_tanh_weight: Weight = 1e-5
    """Factor on the mean square of actions before the tanh, or of the logits of discrete ones."""
    temperature: float = Field(default=10.0, gt=0, le=1e4)
    """Temperature of the softmax with Gumbel noise that discrete actions are drawn with."""
    priority: Literal["stored_action", "policy_action"] = "stored_action"
    """Action whose value gives a sample's error, its priority: the stored one, or that of the policy by the critics
    after their step, as in the released code."""

    @property
    @override
    def title(self) -> str:
        return "MR.Q"

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        noise = 0.1 if info.discrete else 0.2
        settings = {
            "batch_size": 256,
            "warmup_interactions": 10_000,
            "discount": 0.99,
            "n_step": 3,
            "horizon": 5,
            "cycle": 250,
            "exploration": {"std": noise},
            "target_noise": {"std": noise, "clip": 1.5 * noise},
        }
        encoder: Mapping[str, Any] = {"kind": "adamw", "learning_rate": 1e-4, "weight_decay": 1e-4}
        trained = {**encoder, "learning_rate": 3e-4}
        optimizers = {**dict.fromkeys(ENCODERS, encoder), "critic": {**trained, "max_gradient_norm": 20.0}}
        return Start(
            settings,
            "MR.Q, arXiv:2501.16142 and its code; widths are a quarter of those there",
            optimizers={**optimizers, "actor": trained},
            momentum={"kind": "periodic", "every": 250, "value": 1.0, "at": 0.0},
            copies={"critic": 2},
            replay={"sampling": {"kind": "loss_adjusted", "refresh": 1_000_000_000}},
            trunks={
                STATE: {"use": "mr_q_mlp", "width": 128, "depth": 3},
                STATE_ACTION: {"use": "mr_q_state_action_encoder", "width": 128, "action_width": 64, "features": 128},
                "model": {"kind": "linear", "width": 1 + 128 + 65},
                "actor": {"use": "mr_q_mlp", "width": 128, "depth": 2, "activation": {"kind": "relu"}},
                "critic": {"use": "mr_q_mlp", "width": 128, "depth": 3},
            },
        )

    @property
    @override
    def bursts(self) -> Bursts:
        return Bursts(self.cycle, self.cycle)

    @override
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        return super().update_schedule(info)._replace(future=self.horizon)

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        seen, actions = math.prod(info.observation), info.action_size

        def features_of(role: str) -> InputFrom:
            return InputFrom((role,), lambda outlines: (math.prod(outlines[role].output),))

        def encoded(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (actions + math.prod(outlines[STATE].output),)

        joined = ("action", (actions,)), ("features", None)
        return (
            Role(STATE, (seen,), "features"),
            Role(STATE_ACTION, InputFrom((STATE,), encoded), "features", concatenates=joined),
            Role("model", features_of(STATE_ACTION), "features", concatenates=(("features", None),)),
            Role("actor", features_of(STATE), _acts(info), concatenates=(("features", None),)),
            Role("critic", features_of(STATE_ACTION), "value", has_one_copy=False, concatenates=(("features", None),)),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return tuple(AverageRole(f"target_{role}", of=role) for role in (STATE, STATE_ACTION, "actor", "critic"))

    @override
    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        """Scales of rewards, of values and of targets; whether a termination was stored; the encoders' losses."""
        losses = ("encoder_loss", "latent_loss", "reward_loss")
        scales = {"reward_scale": StateTensor(initial=1.0), "target_reward_scale": StateTensor()}
        return {**scales, "terminates": StateTensor(), **{name: StateTensor() for name in losses}}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (*ENCODERS, "critic", "actor")

    def evaluations(self) -> tuple[Evaluated, ...]:
        """One update of a series, which there are as many of as of the others; then losses of critics and actor."""
        step = (Evaluated(STATE_ACTION, Passes.TRAIN), Evaluated("model", Passes.TRAIN))
        target = Evaluated(f"target_{STATE}", Passes.FORWARD)
        encoders = (Evaluated(STATE, Passes.TRAIN), *(*step, target) * self.horizon)
        names = (f"target_{STATE}", "target_actor", f"target_{STATE_ACTION}", "target_critic", STATE, STATE_ACTION)
        critic = *(Evaluated(name, Passes.FORWARD) for name in names), Evaluated("critic", Passes.TRAIN)
        actor = Evaluated(STATE, Passes.FORWARD), Evaluated("actor", Passes.TRAIN)
        return (*encoders, *critic, *actor, *(Evaluated(name, Passes.THROUGH) for name in (STATE_ACTION, "critic")))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("encoder/loss", "the loss of encoders and model in the last of their updates"),
            loss("encoder/latent_loss", "squared error of predicted features there, summed over the horizon"),
            loss("encoder/reward_loss", "cross-entropy of predicted rewards there, summed over the horizon"),
            loss("critic/loss", "the critics' loss, its mean over critics"),
            Metric("critic/value", "mean value that the critics predict for a batch", "mean magnitude of rewards"),
            Metric("critic/reward_scale", "mean magnitude of the rewards in the replay, by which values are divided"),
            loss("actor/loss", "minus the value of the policy's actions", -math.inf),
            Metric("actor/action_size", "mean magnitude of the policy's actions", low=0, high=1),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if len(info.observation) != 1:
            yield "environment", f"MR.Q needs vectors as observations, got observations {list(info.observation)}"
        if not environment.is_simulator or environment.learns_from_data:
            yield (
                "environment",
                "MR.Q's encoders learn in series from a replay that environments fill: take a simulator",
            )

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        critic, outlines = agent.networks.get("critic"), agent.sound_outlines
        if critic is not None and not critic.head.gives_expectation:
            yield "networks.critic.head", f"MR.Q's critics give one value, got the head {critic.head.kind!r}"
        if STATE in outlines and "model" in outlines:
            width = 1 + math.prod(outlines[STATE].output) + self.reward_bins.count
            if outlines["model"].output != (width,):
                yield (
                    "networks.model",
                    f"it must give [{width}], a termination, {width - 1 - self.reward_bins.count} features and"
                    f" {self.reward_bins.count} reward bins, and gives {list(outlines['model'].output)}",
                )
        yield from one_gradient_needed("MR.Q trains encoders and model by one loss", agent, *ENCODERS)

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        import torch

        from composer.algorithms.losses.two_hot import SymexpTwoHot
        from composer.algorithms.mr_q_losses import MRQProgram, Settings

        with torch.device(hyperparameters.device):
            bins = SymexpTwoHot(self.reward_bins.count, self.reward_bins.low, self.reward_bins.high)
        weights = (self.latent_weight, self.reward_weight, self.termination_weight)
        settings = Settings(
            actions=info.action_size,
            discrete=info.discrete,
            horizon=self.horizon,
            bins=bins,
            weights=tuple(hyperparameters.number(weight) for weight in weights),
            exploration=self.exploration.build(hyperparameters),
            target_noise=self.target_noise.build(hyperparameters),
            pre_tanh_weight=hyperparameters.number(self.pre_tanh_weight),
            temperature=hyperparameters.number(self.temperature, 1, 1),
            by_policy=self.priority == "policy_action",
        )
        return MRQProgram(built, settings)


def _acts(info: EnvironmentInfo) -> str:
    return "action_logits" if info.discrete else "unsquashed_action"
