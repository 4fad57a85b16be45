"""What an environment is to the rest: what it says of itself, steps, and its errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from composer.spec.errors import ComposerError
from composer.spec.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Observations = NDArray[np.float32] | NDArray[np.uint8]


class EnvironmentFailure(ComposerError, RuntimeError):
    """An environment raised, hung, died or returned a number that is not finite.

    The message says which environment, in which episode and at which decision, and under which action; ``seed`` is
    what that episode was reset under. Nothing of the failed step is stored: ``state`` is that of the step before.
    """

    exit_code = 6

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


class InvalidAction(ComposerError, ValueError):
    """An action of the wrong shape, outside of [-1, 1] or not finite: the agent's doing, not the environment's.

    ``finite`` is false where the agent has diverged.
    """

    exit_code = 5

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


class SingleMaker(Protocol):
    """A declaration of environments that are stepped one by one, in this process or in workers."""

    @property
    def info(self) -> EnvironmentInfo:
        """Shapes and limits."""

    @property
    def action_repeat(self) -> int:
        """Environment steps of one decision."""

    @property
    def workers(self) -> int:
        """Worker processes at most; 0 steps environments in this process."""

    @property
    def timeout_seconds(self) -> float:
        """How long one answer of a worker may take."""

    def single(self) -> SingleEnvironment:
        """Build one environment."""


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
