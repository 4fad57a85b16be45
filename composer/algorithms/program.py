"""Programs of algorithms: objectives and an acting rule over built networks.

Legend: S seeds, B batch, E environments of a seed, d observation, a action. Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.losses.returns import Returns
    from composer.networks.stacked import Stacked


class Batch(NamedTuple):
    """A minibatch as losses read it: observations and rewards are normalised."""

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
    """Tensors that the program asks for in ``extras``, ``[S, B, ...]`` by name"""

    def only(self, sample: int) -> Batch:
        """The batch of one sample."""
        cut = slice(sample, sample + 1)
        extra = {name: value[:, cut] for name, value in self.extra.items()}
        observation, action, reward, bootstrap, following = (value[:, cut] for value in self[:5])
        return Batch(observation, action, reward, bootstrap, following, extra)


class Inputs(NamedTuple):
    """The inputs of one network on a batch, ``[S, B, ...]`` each."""

    now: Tensor
    """From the observation, and the action where the network reads one."""
    following: Tensor
    """From the next observation, and the next action as the algorithm draws it."""


class Objective(NamedTuple):
    """One loss, and the roles that follow its gradient. Each objective sees the steps of those before it."""

    role: str
    """Role of the trained parameters and of their optimizer."""
    loss: Callable[[Batch, Mapping[str, Tensor], dict[str, Tensor]], Tensor]
    """From batch, noise by name and the signals so far (which it adds to) to the loss of each seed, ``[S]``."""
    every: Tensor | None = None
    """Take the step every ``every`` updates, float64 ``[S]``. In between the loss is computed, and parameters, buffers
    and optimizer stay as they are. None: every update."""
    skips: Literal["step", "following_steps", "optimizer"] = "step"
    """``following_steps``: the first update takes the step. ``optimizer``: it does, and in between only the optimizer
    waits, buffers move and weights are projected."""
    also_trains: tuple[str, ...] = ()
    """Further roles whose parameters follow the gradient of this loss, such as a shared encoder, each by its own
    optimizer."""
    max_norm: Tensor | None = None
    """Bound of the norm of a seed's gradient over all roles together, ``[S]``; longer gradients are scaled down to it
    before the optimizers see them. None: no bound."""
    in_bursts: bool = False
    """Whether it steps in the updates of ``Algorithm.bursts`` alone, and never in the others."""

    @property
    def roles(self) -> tuple[str, ...]:
        """All roles that it trains."""
        return (self.role, *self.also_trains)


class Program(ABC):
    """An algorithm over built networks."""

    objectives: tuple[Objective, ...]
    noise: Mapping[str, Shape]
    """Unit-normal draws that an update needs: the shape of one sample by name."""
    signals: tuple[str, ...]
    """Names of the scalars that the objectives report, ``[S]`` each."""
    exploration_noise: Shape | None = None
    """Shape of the unit-normal draws for one decision of one environment; None: that of an action."""
    evaluation_noise: Shape | None = None
    """The same in evaluations; None where evaluations draw nothing."""
    extras: tuple[str, ...] = ()
    """Names of the tensors that a batch carries with its transitions."""
    burst_extras: tuple[str, ...] = ()
    """Those that a batch of a burst carries in their place; such a batch comes without noise."""
    takes_normalised: bool = False
    """Whether observations of its minibatches are normalised already, by the statistics under which it acted."""
    memory: Mapping[str, int] = MappingProxyType({})
    """Numbers that each network remembers, by role, where they do. Batches then hold whole sequences, one after
    another, with ``starts [S, B]`` (1 where an episode begins) and the memory before each by ``memory/ROLE``."""
    acting_roles: tuple[str, ...] = ()
    """The roles in ``memory`` that actions are chosen by."""
    priorities: tuple[str, ...] = ()
    """Names of signals with one number per sample, ``[S, B]``: the new priorities of these samples."""
    refreshed: Mapping[str, Shape] = MappingProxyType({})
    """Parts of ``acting_memory`` that the replay keeps with each transition: names of signals ``refreshed/NAME
    [S, B, L - 1, ...]``, with the shape for one sample. Batches carry what is kept of the first observation of each
    sequence as ``remembered/NAME [S, B, ...]``; the signals replace what is kept of the others."""

    @property
    def acting_memory(self) -> Mapping[str, Shape]:
        """What acting remembers of each environment: shapes by name, zeros where an episode begins.

        By default the memories of networks. A program that has some chooses actions by ``act_from_memory``.
        """
        return {role: (self.memory[role],) for role in self.acting_roles}

    @property
    def export_problem(self) -> str:
        """Why evaluated actions are no function of a single observation; empty where they are."""
        if self.acting_memory:
            return "the policy carries a memory through an episode; exported files answer single observations"
        return ""

    @abstractmethod
    def act(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in [-1, 1] for normalised observations.

        ``noise [S, E, *exploration_noise]`` is None where nothing is explored.
        """

    def evaluate(self, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Actions ``[S, E, a]`` in an evaluation; ``noise [S, E, *evaluation_noise]``, None where none is declared."""
        return self.act(observation, None)

    def act_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor], Mapping[str, Tensor]]:
        """An action as ``act`` chooses it, the numbers recorded of it, and the memories after the observation.

        Memories are ``[S, E, ...]`` by the names of ``acting_memory``; ``starts [S, E]`` is true where an episode
        begins.
        """
        raise NotImplementedError

    def evaluate_from_memory(
        self, observation: Tensor, noise: Tensor | None, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """An action as ``evaluate`` chooses it, and the memories after the observation."""
        action, _, after = self.act_from_memory(observation, None, starts, memory)
        return action, after

    def to_env_action(self, action: Tensor) -> Tensor:
        """The action ``[S, E, a]`` that the environment plays for a drawn one, which may be outside of the box.

        The drawn action is stored and learned from.
        """
        return action

    def target_entropy_bonus(self) -> Tensor | float:
        """What entropy adds to each reward when it is at its target, ``[S]``; 0 where nothing is added."""
        return 0.0

    def finish_update(  # noqa: B027 - most programs keep nothing
        self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]
    ) -> None:
        """Change the program's own tensors in place, once per update, after the steps of all objectives."""

    def begin_burst(self, reward_size: Tensor, terminates: Tensor) -> None:  # noqa: B027 - most programs have none
        """Change the program's own tensors in place before a series of updates in bursts.

        ``reward_size [S]`` is the mean magnitude of the rewards in the replay, ``terminates [S]`` 1 where it holds a
        transition that terminates.
        """

    def finish_burst_update(self, signals: dict[str, Tensor]) -> None:  # noqa: B027
        """The same after each update of a burst, with what its objectives report, which is not recorded."""

    def keep_policy(self, seeds: Tensor) -> None:  # noqa: B027 - most programs keep none
        """Copy the policy of the seeds of a mask ``[S]`` to the checkpoint that evaluations use."""

    @abstractmethod
    def inputs(self, batch: Batch, noise: Mapping[str, Tensor]) -> Mapping[str, Inputs]:
        """The inputs of each network on a batch, by role, for diagnostics that evaluate networks one at a time."""

    def default_extras(self, batch: Batch) -> Mapping[str, Tensor]:
        """``extras`` for plain transitions, without weights or future, on which diagnostics compute losses."""
        return {}


@dataclass(frozen=True)
class BuiltAgent:
    """The networks, averages and tensors of an agent that a program computes with."""

    networks: Mapping[str, Stacked]
    averages: Mapping[str, Stacked]
    scalars: Mapping[str, Tensor]
    """Learned scalars ``[S, 1]`` by role."""
    returns: Mapping[str, Returns[Any]]
    """How to read values from raw outputs, by role, for every network with a value head."""
    updates: Tensor | None = None
    """Updates done, float64 ``[S]``: the clock of schedules."""
    interactions: Tensor | None = None
    """Interactions made before the present one, float64 ``[S]``."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    """The algorithm's own tensors by name, ``[S, ...]``, as its ``state_tensors`` declares them."""
