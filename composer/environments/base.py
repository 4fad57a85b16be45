"""What an environment is: its declaration, what is known of it before it runs, and the two interfaces around it.

``SingleEnvironment`` is what a simulator has to offer; ``VectorEnvironment`` is what the training loop uses. Action
repeat, automatic reset, seeds of episodes, checks for NaN, exact state and worker processes lie between the two and
are written once, in ``vector``, ``rows`` and ``worker``. Nothing here imports a simulator: reading a blueprint is fast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

from pydantic import Field

from composer.shapes import Shape
from composer.spec import Family
from composer.streams import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.rows import Rows

    Observations = NDArray[np.float32] | NDArray[np.uint8]


class EnvironmentFailure(RuntimeError):
    """An environment raised, hung, died or returned a number that is not finite.

    The message says which environment, in which episode and at which decision, and under which action; ``seed`` is
    what that episode was reset under. Nothing of the failed step is stored: ``state`` is that of the step before.
    """

    def __init__(
        self, reason: str, environment: int, seed: int, episode: int, step: int, action: Sequence[float] | None
    ) -> None:
        under = "" if action is None else f" under action [{', '.join(f'{value:.6g}' for value in action)}]"
        super().__init__(
            f"environment {environment} (episode {episode}, seed {seed}) failed at decision {step}{under}: {reason}"
        )
        self.reason = reason
        self.environment = environment
        self.seed = seed
        self.episode = episode
        self.step = step
        self.action = None if action is None else list(action)


class InvalidAction(ValueError):
    """An action of the wrong shape, outside of [-1, 1] or not finite: the agent's doing, not the environment's.

    ``finite`` is false where the agent has diverged.
    """

    def __init__(self, message: str, finite: bool = True) -> None:
        super().__init__(message)
        self.finite = finite


class RenderingUnavailable(RuntimeError):
    """This machine or this environment cannot draw pictures; training does not need them."""


@dataclass(frozen=True)
class EnvironmentInfo:
    """What is known of an environment without running it.

    Actions are vectors in [-1, 1], whatever it takes inside; a choice among k is one-hot, of length k.
    """

    observation: Shape
    """Shape of one observation: float32, or uint8 of pictures ``[frames or channels, height, width]``."""
    action_size: int
    """Length of an action vector."""
    episode_env_steps: int
    """Time limit in environment steps: control steps of the simulator, counted before action repeat."""
    action_repeat: int
    """Environment steps a decision lasts."""
    terminates: bool
    """Whether an episode may end by success or failure (its last value is zero), not only by its time limit."""
    discrete: bool = False
    """Whether an action is a choice, told one-hot, and not a vector of numbers."""
    pictures: bool = False
    """Whether observations are uint8 pictures, and not float32 numbers."""
    stacked_frames: int = 0
    """Of pictures: how many frames ``observation[0]`` is made of, oldest first, each step adding one and dropping one;
    0 where pictures share nothing. A first observation repeats its newest frame or holds zeros before it."""

    @property
    def episode_interactions(self) -> int:
        """Decisions of a full episode; the last one is shorter where the repeat does not divide the limit."""
        return -(-self.episode_env_steps // self.action_repeat)


class Step(NamedTuple):
    """One decision of n environments. The arrays are reused: they stay valid until the step after the next one."""

    observation: Observations
    """[n, ...] what to act on next: where an episode has ended, the first observation of the next one."""
    final_observation: Observations
    """[n, ...] what the action led to: where an episode has ended, its last observation; else ``observation``."""
    reward: NDArray[np.float32]
    """[n] summed over the repeat."""
    terminated: NDArray[np.bool_]
    """[n] ended by success or failure: nothing follows, so nothing is bootstrapped."""
    truncated: NDArray[np.bool_]
    """[n] cut by the time limit: the value of ``final_observation`` still counts."""
    episode_return: NDArray[np.float64]
    """[n] undiscounted sum of rewards of the episode up to and with this decision."""
    episode_length: NDArray[np.int64]
    """[n] environment steps of the episode up to and with this decision."""


class SingleEnvironment(Protocol):
    """One environment of a simulator: all that an adapter has to implement.

    An episode must depend on nothing but the seed of its reset and the actions since then.
    """

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed`` (0 to 2**63 - 1)."""

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One environment step under ``action`` [action_size] in [-1, 1]: (reward, terminated, truncated)."""

    def observe(self) -> Observations:
        """The observation of the present state; asked once a decision, copied by the caller."""

    def render(self) -> NDArray[np.uint8]:
        """A picture of the present state [height, width, 3]; raises RenderingUnavailable where it cannot be drawn."""

    def close(self) -> None:
        """Free what the simulator holds."""


class VectorEnvironment(ABC):
    """n independent environments that step together and reset themselves in the step that ends their episode."""

    info: EnvironmentInfo
    n: int

    @abstractmethod
    def reset(self, episode: int | None = None) -> Observations:
        """Start the next episode everywhere, or the one numbered ``episode``; returns observations [n, ...].

        Raises EnvironmentFailure.
        """

    @abstractmethod
    def step(self, actions: NDArray[np.float32]) -> Step:
        """One decision under ``actions`` [n, action_size] in [-1, 1]. Raises EnvironmentFailure, InvalidAction."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[np.generic]]:
        """What is needed to continue exactly: indices of the running episodes and their actions so far."""

    @abstractmethod
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        """Continue from ``state`` by replaying its actions; returns the present observations [n, ...].

        Raises EnvironmentFailure where the replay does not lead to the observation that ``state`` remembers (``reset``
        then begins the episodes after those), ValueError where ``state`` is that of other environments.
        """

    @abstractmethod
    def render(self, index: int) -> NDArray[np.uint8]:
        """A picture of environment ``index`` [height, width, 3]. Raises RenderingUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Free everything; a second call does nothing."""


class Stage(NamedTuple):
    """A part of a run that its environment plans."""

    start: int
    """Interactions before it."""
    key: str
    """The key of the blueprint that says so."""
    words: str
    """What happens in it."""


class Environment(Family, family="environment"):
    """What an agent learns from: a simulator in which it acts, or a stream of labelled data."""

    @property
    def title(self) -> str:
        """What it is called in tables and curves: the name of its task where it has one."""
        return self.kind

    @property
    def stride(self) -> int:
        """Environment steps of one interaction."""
        return 1

    @property
    def parts_seeds(self) -> bool:
        """Whether seeds may pass from one planned stage to the next at times of their own."""
        return False

    def epoch_interactions(self, batch_size: int) -> int:
        """Interactions of a pass over the data; 0 where there is no data set."""
        return 0

    def epochs_by(self, interactions: int, batch_size: int) -> int:
        """Whole passes over the data that so many interactions make; 0 where there is no data set."""
        epoch = self.epoch_interactions(batch_size)
        return interactions // epoch if epoch else 0

    def epoch_end(self, epochs: int, batch_size: int) -> int:
        """Interactions that so many passes over the data take."""
        return epochs * self.epoch_interactions(batch_size)

    def switches_by(self, interactions: int, batch_size: int) -> int:
        """How often so many interactions lead from one planned stage to the next."""
        return sum(0 < stage.start < interactions for stage in self.stages(batch_size))

    def stages(self, batch_size: int) -> tuple[Stage, ...]:
        """Parts of a run that are planned, in order, the first at 0; none where a run is all of one piece."""
        return ()

    @abstractmethod
    def describe(self) -> EnvironmentInfo:
        """Shapes and limits, without running anything."""


class Simulator(Environment, abstract=True):
    """A declaration of simulated environments. A kind adds ``describe`` and ``rows``; the rest is shared."""

    action_repeat: Annotated[int, Field(ge=1, le=100)] = 1
    """Environment steps for which one action is held; rewards are summed."""
    copies: Annotated[int, Field(ge=1, le=4096)] = 1
    """Environments of one seed that are stepped together."""
    workers: Annotated[int, Field(ge=0, le=512)] = 0
    """Processes that the environments are spread over; 0 steps them in the training process."""
    timeout_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] = 60.0
    """How long one answer of a worker may take; a hung environment is then reported (without workers, nothing can)."""

    @property
    def stride(self) -> int:
        """Action repeat times copies."""
        return self.action_repeat * self.copies

    @abstractmethod
    def rows(self, n: int) -> Rows:
        """Build n environments that step together. Raises RowFailure where they cannot be built."""

    def copy_seeds(self, seed: int) -> tuple[int, ...]:
        """Seeds of the copies that belong to one seed of a run."""
        return tuple(derive(seed, "copy", index) for index in range(self.copies))

    def for_evaluation(self) -> Simulator:
        """The environment that evaluations are made in: this one, unless its protocol says otherwise."""
        return self

    def make(self, seeds: Sequence[int], stream: str) -> VectorEnvironment:
        """One environment for each of ``seeds``; ``stream`` keeps uses apart ("training", "evaluation").

        Raises EnvironmentFailure where the simulator cannot be built.
        """
        from composer.environments.vector import make_vector

        return make_vector(self, tuple(derive(seed, stream) for seed in seeds))


class SingleSimulator(Simulator, abstract=True):
    """A declaration of environments that are stepped one by one. A kind adds ``describe`` and ``single``."""

    @abstractmethod
    def single(self) -> SingleEnvironment:
        """Build one environment; the only place where a kind imports its simulator."""

    def rows(self, n: int) -> Rows:
        """``single`` environments, one after the other in this process or spread over ``workers``."""
        from composer.environments.worker import single_rows

        return single_rows(self, n)
