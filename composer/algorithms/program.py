"""What an algorithm computes: objectives and an acting rule over built networks.

Legend: S seeds, B batch, E environments of a seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.losses.returns import Returns
    from composer.networks.stacked import Stacked


class Batch(NamedTuple):
    """Transitions that an update learns from; observations are normalised already."""

    observation: Tensor
    """``[S, B, d]``"""
    action: Tensor
    """``[S, B, a]``, in [-1, 1]"""
    reward: Tensor
    """``[S, B]``, the discounted sum over the n-step window"""
    bootstrap: Tensor
    """``[S, B]``: discount over the window where the value of ``next_observation`` counts, 0 after a termination"""
    next_observation: Tensor
    """``[S, B, d]``, the last observation of the window (the terminal one where the episode ended)"""
    extra: Mapping[str, Tensor] = MappingProxyType({})
    """What else a program asks for by name in ``extras``, ``[S, B, ...]`` each"""

    def only(self, sample: int) -> Batch:
        """The batch of one sample."""
        cut = slice(sample, sample + 1)
        extra = {name: value[:, cut] for name, value in self.extra.items()}
        observation, action, reward, bootstrap, following = (value[:, cut] for value in self[:5])
        return Batch(observation, action, reward, bootstrap, following, extra)


class Inputs(NamedTuple):
    """What one network reads of a batch, ``[S, B, ...]`` each."""

    now: Tensor
    """At the observation, and the action where it reads one."""
    following: Tensor
    """At the next observation, and the next action as the algorithm draws it."""


class Objective(NamedTuple):
    """One loss, and the role whose parameters follow its gradient. Each objective sees the steps of those before."""

    role: str
    """Role of the trained parameters and of their optimizer."""
    loss: Callable[[Batch, Mapping[str, Tensor], dict[str, Tensor]], Tensor]
    """From batch, noise by name and the signals so far (which it adds to) to a loss a seed, ``[S]``."""
    every: Tensor | None = None
    """Each how many updates the step is taken, float64 ``[S]``: else parameters, buffers and optimizer stay as they
    are, though the loss is computed. None for each update."""
    beside: tuple[str, ...] = ()
    """Roles whose parameters follow the gradient of this loss too, each by an optimizer of its own."""

    @property
    def roles(self) -> tuple[str, ...]:
        """All whose parameters it trains."""
        return (self.role, *self.beside)


class Program(ABC):
    """An algorithm over built networks."""

    objectives: tuple[Objective, ...]
    noise: Mapping[str, Shape]
    """Unit-normal draws an update needs, by name: shape of one sample."""
    signals: tuple[str, ...]
    """Names of the scalars that the objectives report, each ``[S]``."""
    exploration: Shape | None = None
    """Shape of the unit-normal draws that one decision of one environment needs; None: that of an action."""
    evaluation_noise: Shape | None = None
    """The same of a decision in an evaluation; None where nothing is drawn there."""
    extras: tuple[str, ...] = ()
    """Names of what a batch must carry beside a transition."""
    priorities: tuple[str, ...] = ()
    """Names of the signals that are one number a sample, ``[S, B]``, for whoever drew the batch: new priorities."""

    @abstractmethod
    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in [-1, 1] for normalised observations.

        ``noise [S, E, *exploration]`` is None where nothing is explored.
        """

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in an evaluation; ``noise [S, E, *judging]`` is None where nothing is drawn there."""
        return self.act(observation, None)

    def to_env_action(self, action: Tensor) -> Tensor:
        """What the environment is given for an action ``[S, E, a]`` that was drawn: it, unless draws leave the box.

        The draw itself is what is stored and learned from.
        """
        return action

    def finish_update(  # noqa: B027 - most programs keep nothing
        self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]
    ) -> None:
        """Change the program's own tensors in place, once an update, after all objectives have taken their steps."""

    @abstractmethod
    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """What each network, by role, reads of a batch: for diagnostics, which look into networks one at a time."""

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """What ``extras`` are for plain transitions that nobody weighed or continued: diagnostics look at those."""
        return {}


@dataclass(frozen=True)
class Roles:
    """What a program is built over."""

    networks: Mapping[str, Stacked]
    averages: Mapping[str, Stacked]
    scalars: Mapping[str, Tensor]
    """Learned scalars ``[S, 1]`` by role."""
    returns: Mapping[str, Returns[Any]]
    """How to read values from a network's output, by role, of every network whose head gives values."""
    updates: Tensor | None = None
    """Updates done, float64 ``[S]``: the clock of schedules."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    """The algorithm's own tensors by name, ``[S, ...]``, as its ``state_tensors`` declares them."""
