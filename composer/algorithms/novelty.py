"""A reward for what is new beside that of the task: the spec. Its losses are in ``novelty_losses.py``.

Tests: tests/papers/test_novelty.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pydantic import Field

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.declared import Evaluated, Passes, Role
from composer.environments.interface import EnvironmentInfo
from composer.networks.outline import Outline
from composer.spec.family import Spec
from composer.spec.metrics import Metric, loss

if TYPE_CHECKING:
    from composer.algorithms.novelty_losses import NoveltyLosses
    from composer.algorithms.program import BuiltAgent
    from composer.optim.hyperparameters import Hyperparameters

OPTION: Final = "novelty"
CRITIC, PREDICTOR, TARGET = "intrinsic_critic", "novelty_predictor", "novelty_target"
TRAINED: Final = (CRITIC, PREDICTOR)
"""What it trains, in the order of the steps, which are the last of an update."""


class Novelty(Spec):
    """Random network distillation: observations are new where one network cannot yet predict another, random one.

    ``novelty_predictor`` p learns the output of ``novelty_target`` f, whose weights stay as they were drawn. The
    intrinsic reward of a transition is ``reward_coefficient * mean (p(s') - f(s'))^2`` over outputs, at the last
    observation of an episode too. Its returns go on where an episode ends: ``intrinsic_critic`` learns them with a
    discount of their own and with the algorithm's ``gae_lambda``. The actor's advantage is the extrinsic one plus
    ``advantage_coefficient`` times the intrinsic one. All networks read observations as the policy does. Source: Burda
    et al., arXiv:1810.12894, whose proportions are the defaults; there observations are also cut to [-5, 5].
    """

    reward_coefficient: float = Field(default=1.0, gt=0, le=1e6)
    """Factor on the squared error."""
    normalize_reward: bool = True
    """Whether intrinsic rewards are divided by the running standard deviation of their discounted sums, as in the
    paper."""
    discount: float = Field(default=0.99, ge=0, lt=1)
    """Discount of intrinsic rewards over one interaction."""
    advantage_coefficient: float = Field(default=0.5, gt=0, le=1e6)
    """Weight of the intrinsic advantage beside the extrinsic one: 1 to 2 in the paper."""
    loss_coefficient: float = Field(default=1.0, gt=0, le=1e6)
    """Factor on the predictor's loss; with Adam it matters where ``epsilon`` or a limit of the norm does."""
    predictor_every: int = Field(default=1, ge=1, le=1_000_000)
    """The predictor steps every ``predictor_every`` updates: as many as ``epochs`` give it one epoch's number of steps
    on a rollout, on minibatches of all epochs."""

    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        """The critic of intrinsic rewards, and the two networks that are compared."""
        seen = info.observation
        return (
            Role(CRITIC, seen, "value", option=OPTION),
            Role(PREDICTOR, seen, "features", option=OPTION),
            Role(TARGET, seen, "features", option=OPTION, is_fixed=True),
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """A delayed predictor's loss is computed every update."""
        return *(Evaluated(role, Passes.TRAIN) for role in TRAINED), Evaluated(TARGET, Passes.FORWARD)

    def metrics(self) -> tuple[Metric, ...]:
        """Its signals."""
        return (
            loss("intrinsic_critic/loss", "the loss of the critic of intrinsic rewards"),
            Metric("intrinsic_critic/value", "mean value of intrinsic rewards that it predicts", "intrinsic return"),
            Metric(
                "intrinsic_critic/explained_variance", "share of the variance of intrinsic returns explained", high=1
            ),
            loss("novelty_predictor/loss", "squared error of the predicted features, times its coefficient"),
            Metric("novelty_predictor/reward", "mean intrinsic reward of a batch", "intrinsic reward", low=0),
        )

    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        """Networks that cannot be compared, and networks with a memory."""
        predictor, target = (agent.outlines.get(role) for role in (PREDICTOR, TARGET))
        if isinstance(predictor, Outline) and isinstance(target, Outline) and predictor.output != target.output:
            found, wanted = list(predictor.output), list(target.output)
            yield f"networks.{PREDICTOR}", f"predicts what {TARGET!r} gives, {wanted}, and gives {found} itself"
        for role, network in agent.networks.items():
            if network.memory_size:
                message = "with 'novelty' networks read single observations: leave out the memory, or 'novelty'"
                yield f"networks.{role}.trunk", message

    def build(self, built: BuiltAgent, hyperparameters: Hyperparameters) -> NoveltyLosses:
        """The losses over built networks, with numbers as tensors."""
        import torch

        from composer.algorithms.novelty_losses import NoveltyLosses, Settings

        number, every = hyperparameters.number, self.predictor_every
        settings = Settings(
            reward_coefficient=number(self.reward_coefficient, 1),
            normalizes=self.normalize_reward,
            discount=number(self.discount),
            advantage_coefficient=number(self.advantage_coefficient, 1),
            loss_coefficient=number(self.loss_coefficient),
            predictor_every=number(every, dtype=torch.float64) if every > 1 else None,
        )
        return NoveltyLosses(built, settings)
