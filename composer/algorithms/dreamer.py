"""DreamerV3: the spec. Its loss is in ``dreamer_losses.py``. Tests: tests/papers/test_dreamer.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.base import AgentDeclaration, Algorithm, OffPolicy, one_gradient_needed
from composer.algorithms.declared import AverageRole, Evaluated, InputFrom, Passes, Role, StateTensor, UpdateSchedule
from composer.algorithms.discount import Constant, Discount
from composer.algorithms.start import Start
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.spec.metrics import Metric, loss
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.algorithms.program import BuiltAgent, Program
    from composer.optim.hyperparameters import Hyperparameters

Size = Annotated[int, Field(ge=1, le=65_536)]
Moments = Annotated[int, Field(ge=1, le=1_024)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
SLOW = "slow_critic"
MODEL = ("encoder", "dynamics", "prior", "posterior", "decoder", "reward", "continuation")


class DreamerV3(OffPolicy, Algorithm, kind="dreamer_v3"):
    """DreamerV3: a world model learned from sequences, actor and critic from what it imagines.

    The latent is a recurrent state of ``recurrent`` numbers, by ``dynamics`` from the latent and action before it, and
    ``variables`` one-hot draws of ``classes`` each, by ``prior`` from the recurrent state or by ``posterior`` from it
    and the output of ``encoder``. ``decoder``, ``reward``, ``continuation``, ``actor`` and ``critic`` read the latent.
    One loss trains all of them, each by its own optimizer: per-tensor rules such as ``laprop`` are then those of one
    optimizer. Vectors are squashed by ``normalization.observation = { kind = "symlog" }``, values and rewards by heads
    ``two_hot_value`` with ``space = "raw"``. Pictures stay raw: ``decoder`` gives the logits of their pixels as shares
    of the largest value, channel by channel and row by row. The replay keeps latents, from which sequences begin, and
    takes new ones after each update. Evaluations draw actions, as in the released code.

    Source: Hafner et al., arXiv:2301.04104, and its released code, whose settings are the defaults. In it a sequence
    may begin at the last observation of an episode as well; here it begins where an action was taken.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dreamer_v3", "recurrent": 512, "variables": 32, "classes": 4}

    batch_size: int = Field(default=16, ge=1, le=65_536)
    """Sequences per update."""
    sequence: Annotated[int, Field(ge=2, le=1_024)] = 64
    """Moments of a sequence that are learned from; one more before them gives the latent to begin with."""
    warmup_interactions: int = Field(default=1, ge=1, le=10**9)
    """Interactions with uniformly random actions, from the first one on."""
    untrained_interactions: int = Field(default=127, ge=0, le=10**9)
    """Interactions with actions of the policy until the first update; with ``warmup_interactions`` more than
    ``sequence``."""
    discount: Discount = Constant(value=1 - 1 / 333)
    """Discount of one interaction: a number. The continuation learns it, times the chance that the episode goes on."""
    recurrent: Size
    """Numbers of the recurrent state: the output of ``dynamics``."""
    variables: Annotated[int, Field(ge=1, le=4_096)] = 32
    """Categorical variables of the latent."""
    classes: Annotated[int, Field(ge=2, le=4_096)]
    """Classes of each variable."""
    horizon: Moments = 15
    """Imagined steps from every moment of a sequence."""
    uniform_share: Annotated[float, Field(ge=0, lt=1), Without(0)] = 0.01
    """Share of the uniform distribution that is mixed into the latents' probabilities."""
    free_nats: Annotated[Weight, Without(0)] = 1.0
    """Sum of a latent's KL divergence below which it is not made smaller."""
    representation_weight: Annotated[Weight, Without(0)] = 0.1
    """Weight of the KL divergence through the posterior; that through the prior has 1."""
    replay_value_weight: Annotated[Weight, Without(0)] = 0.3
    """Weight of the critic's loss on replayed moments, the only one of the critic that shapes the world model."""
    trace_decay: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Decay of the weights of longer returns, lambda: 0 is one step, 1 the whole trajectory."""
    entropy_bonus: Annotated[Weight, Without(0)] = 3e-4
    """Weight of the policy's entropy."""
    slow_weight: Annotated[Weight, Without(0)] = 1.0
    """Weight of the critic's cross-entropy to the values of its average ``slow_critic``."""
    range_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Rate at which the running 5th and 95th percentile of returns move; advantages are divided by their distance."""
    range_minimum: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Least number that advantages are divided by."""

    @property
    @override
    def title(self) -> str:
        return "DreamerV3"

    @property
    def latent(self) -> int:
        """Numbers of the one-hot draws."""
        return self.variables * self.classes

    @override
    @classmethod
    def start(cls, info: EnvironmentInfo) -> Start:
        size, hidden, classes = 512, 64, 4
        layers = {"use": "dreamer_mlp", "width": hidden, "depth": 2}
        trunks: dict[str, Any] = {
            "dynamics": {"kind": "block_gru", "width": size, "latent": 32 * classes, "hidden": hidden},
        }
        if not info.pictures:
            trunks["encoder"] = {"use": "dreamer_mlp", "width": hidden, "depth": 3}
        widths = {"prior": 32 * classes, "posterior": 32 * classes, "decoder": math.prod(info.observation)}
        for role, width in widths.items():
            trunks[role] = {"kind": "sequence", "layers": [layers, {"kind": "linear", "width": width}]}
        trunks |= dict.fromkeys(("reward", "continuation", "actor", "critic"), layers)
        settings = {"recurrent": size, "variables": 32, "classes": classes, "update_to_data": 0.25}
        optimizer = {"kind": "laprop", "learning_rate": 4e-5, "adaptive_clip": 0.3}
        return Start(
            settings,
            "DreamerV3, arXiv:2301.04104 and its code, at its smallest size",
            dict.fromkeys((*MODEL, "actor", "critic"), optimizer),
            momentum=0.98,
            trunks=trunks,
        )

    @override
    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        kept = self.recurrent + self.latent
        return super().update_schedule(info)._replace(sequence=self.sequence + 1, remembered=kept)

    @override
    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        seen, actions, state, latent = math.prod(info.observation), info.action_size, self.recurrent, self.latent

        def corrected(outlines: Mapping[str, Outline]) -> tuple[int, ...]:
            return (state + math.prod(outlines["encoder"].output),)

        recurrent, stochastic = ("recurrent", (state,)), ("stochastic", (latent,))
        before = (recurrent, stochastic, ("action", (actions,)))
        features, both = (state + latent,), (recurrent, stochastic)
        policy = "action_logits" if info.discrete else "gaussian"
        return (
            Role("encoder", info.observation if info.pictures else (seen,), "features"),
            Role("dynamics", (state + latent + actions,), "features", concatenates=before),
            Role("prior", (state,), "features", concatenates=(recurrent,)),
            Role(
                "posterior", InputFrom(("encoder",), corrected), "features", concatenates=(recurrent, ("tokens", None))
            ),
            Role("decoder", features, "features", concatenates=both),
            Role("reward", features, "value", concatenates=both),
            Role("continuation", features, "value", concatenates=both),
            Role("actor", features, policy, concatenates=both),
            Role("critic", features, "value", concatenates=both),
        )

    @override
    def averages_read(self) -> tuple[AverageRole, ...]:
        return (AverageRole(SLOW, of="critic"),)

    @override
    def state_tensors(self, info: EnvironmentInfo) -> Mapping[str, StateTensor]:
        """The running percentiles of returns."""
        return {"low_return": StateTensor(), "high_return": StateTensor()}

    @override
    def trained_roles(self) -> tuple[str, ...]:
        return (*MODEL, "actor", "critic")

    @override
    def evaluations(self) -> tuple[Evaluated, ...]:
        moments, imagined = self.sequence, self.sequence * self.horizon
        model = [Evaluated(role, Passes.TRAIN, moments) for role in MODEL]
        followed = [Evaluated(role, Passes.FORWARD, imagined) for role in ("dynamics", "prior")]
        read = [Evaluated(role, Passes.FORWARD, imagined + moments) for role in ("reward", "continuation", "actor")]
        learned = Evaluated("actor", Passes.TRAIN, imagined), Evaluated("critic", Passes.TRAIN, imagined + 2 * moments)
        return (*model, *followed, *read, *learned, Evaluated(SLOW, Passes.FORWARD, imagined + moments))

    @override
    def metrics(self, info: EnvironmentInfo) -> tuple[Metric, ...]:
        return (
            loss("model/reconstruction", "squared error of the decoded observation, summed over its entries or pixels"),
            loss("model/reward", "loss of the predicted reward"),
            loss("model/continuation", "cross-entropy of the predicted discount"),
            loss("model/dynamics", "KL divergence of the posterior from the prior, at least the free nats"),
            loss("model/representation", "the same number, whose gradient passes through the posterior"),
            loss("actor/loss", "minus the weighted log-density of imagined actions, and the entropy", -math.inf),
            Metric("actor/entropy", "mean entropy of the policy over imagined moments", "nats"),
            loss("critic/loss", "loss of the critic over imagined moments"),
            loss("critic/replay_loss", "loss of the critic over replayed moments"),
            Metric("critic/value", "mean value that the critic predicts for imagined moments", "return"),
            Metric("returns/low", "running 5th percentile of imagined returns", "return"),
            Metric("returns/high", "running 95th percentile of imagined returns", "return"),
        )

    @override
    def environment_problems(self, environment: Environment, info: EnvironmentInfo) -> Iterator[tuple[str, str]]:
        if len(info.observation) != 1 and not info.pictures:
            seen = list(info.observation)
            yield "environment", f"DreamerV3 is built for vectors and pictures, got observations {seen}"
        if environment.learns_from_data:
            yield "environment", "DreamerV3 begins sequences from latents of its own acting, and a data set has none"

    @override
    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        if self.n_step.bounds() != (1, 1):
            yield "algorithm.n_step", "DreamerV3 mixes returns of all lengths by 'trace_decay': leave it out"
        if self.discount.complement_schedule() is not None:
            yield "algorithm.discount", "DreamerV3 learns its discount, which cannot follow a schedule"
        if self.warmup_interactions + self.untrained_interactions <= self.sequence:
            found = f"{self.warmup_interactions} + {self.untrained_interactions} interactions"
            yield (
                "algorithm.untrained_interactions",
                f"{found} before the first update hold no sequence of {self.sequence + 1} observations",
            )
        if agent.info.pictures and not agent.normalization.observation.is_identity:
            found = agent.normalization.observation.kind
            yield "normalization.observation", f"DreamerV3 decodes the pixels of pictures, got {found!r}: set raw"
        yield from self._width_problems(agent)
        yield from one_gradient_needed("DreamerV3 trains all networks by one loss", agent, *self.trained_roles())

    def _width_problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        latent, seen = ("'variables' times 'classes'", self.latent), math.prod(agent.info.observation)
        widths = {
            "dynamics": ("'recurrent'", self.recurrent),
            "prior": latent,
            "posterior": latent,
            "decoder": ("the size of observations", seen),
        }
        for role, (name, width) in widths.items():
            outline = agent.outlines.get(role)
            if isinstance(outline, Outline) and outline.output != (width,):
                yield f"networks.{role}", f"{role} must give [{width}], {name}, and gives {list(outline.output)}"
        head = agent.networks["continuation"].head if "continuation" in agent.networks else None
        if head is not None and not head.gives_expectation:
            yield "networks.continuation.head", f"the continuation is one number, a logit; got the head {head.kind!r}"

    @override
    def build(self, built: BuiltAgent, info: EnvironmentInfo, hyperparameters: Hyperparameters) -> Program:
        from composer.algorithms.dreamer_losses import DreamerProgram, Settings
        from composer.algorithms.losses.policies import CategoricalPolicy, GaussianPolicy

        number = hyperparameters.number
        settings = Settings(
            moments=self.sequence,
            horizon=self.horizon,
            recurrent=self.recurrent,
            variables=self.variables,
            classes=self.classes,
            actions=info.action_size,
            largest_pixel=info.largest_pixel if info.pictures else 0,
            uniform_share=number(self.uniform_share, 1, 1, 1),
            discount=number(self.discount.value_for(info), 1, 1),
            free_nats=number(self.free_nats, 1, 1),
            representation_weight=number(self.representation_weight),
            replay_value_weight=number(self.replay_value_weight),
            trace_decay=number(self.trace_decay, 1, 1),
            entropy_bonus=number(self.entropy_bonus, 1, 1),
            slow_weight=number(self.slow_weight, 1, 1),
            range_rate=number(self.range_rate),
            range_minimum=number(self.range_minimum, 1, 1),
        )
        return DreamerProgram(built, CategoricalPolicy() if info.discrete else GaussianPolicy(), settings)
