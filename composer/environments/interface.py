"""The interfaces of environments: their description, their steps and their errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from composer.spec.errors import ComposerError
from composer.spec.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Observations = NDArray[np.float32] | NDArray[np.uint8]


T = TypeVar("T")


class EnvironmentFailure(ComposerError, RuntimeError):
    """An environment raised, hung, died or returned a number that is not finite.

    The message names environment, episode, decision and action; ``seed`` is the seed of that episode. The failed step
    is not stored: ``state`` is that of the step before.
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
    """An action of the wrong shape, outside of [-1, 1] or not finite: an error of the agent, not of the environment.

    ``finite`` is false where the agent has diverged.
    """

    exit_code = 5

    def __init__(self, message: str, finite: bool = True) -> None:
        super().__init__(message)
        self.finite = finite


class InvalidResult(ValueError):
    """An environment returned what it may not: an observation outside of its space, a reward that is no number.

    The message goes on after ``step returned what it may not:``.
    """


class UnusableEnvironment(ComposerError, ValueError):
    """An environment that is not installed or does not fit; ``key`` is the key of the blueprint to change."""

    exit_code = 2

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class SpacesUnknown(ComposerError, RuntimeError):
    """What an environment observes and does is not known yet: only importing and building it would tell."""

    exit_code = 2


def as_far_as_known(findings: Iterator[T]) -> Iterator[T]:
    """``findings`` until one needs what is not known of an environment: reading a blueprint goes on without it."""
    try:
        yield from findings
    except SpacesUnknown:
        return


class RenderingUnavailable(ComposerError, RuntimeError):
    """This machine or this environment cannot draw pictures; training on vectors does not need them."""

    exit_code = 6


@dataclass(frozen=True)
class EnvironmentInfo:
    """What is known of an environment without running it.

    Actions are vectors in [-1, 1], whatever the simulator takes; a choice among k is one-hot, of length k.
    """

    observation: Shape
    """Shape of one observation: float32, or uint8 of pictures ``[frames or channels, height, width]``."""
    action_size: int
    """Length of an action vector."""
    episode_env_steps: int
    """Time limit in environment steps: control steps of the simulator, counted before action repeat."""
    action_repeat: int
    """Environment steps of one decision."""
    terminates: bool
    """Whether an episode may end before its time limit, by success or failure; the value of such an end is 0."""
    discrete: bool = False
    """Whether an action is a one-hot choice instead of a vector of numbers."""
    pictures: bool = False
    """Whether observations are uint8 pictures instead of float32 numbers."""
    largest_pixel: int = 255
    """Value of the brightest pixel that a picture can have."""
    stacked_frames: int = 0
    """Frames in ``observation[0]`` of pictures, oldest first; each step adds one and drops one. 0: pictures share no
    frames. Before the first frame of an episode come copies of it, or zeros."""
    picture_side: int = 0
    """Rows and columns of a picture of each decision, which a reward model reads; 0: none is drawn."""
    tells_success: bool = False
    """Whether each step tells if the task is solved, as ``SolvableEnvironment`` does."""
    skill_size: int = 0
    """Numbers that are drawn once for each episode, as ``environments.skills`` does: the end of a vector, or the
    float32 bytes at the beginning of the last plane of every picture."""
    skill_is_choice: bool = False
    """Whether they are one-hot."""
    place_size: int = 0
    """Numbers of ``VectorEnvironment.places``, which coverage counts where observations are pictures; 0: none."""
    tasks: int = 0
    """Tasks side by side, which the last entries of an observation name, 1 for the own one; 0: there is one task."""

    @property
    def episode_interactions(self) -> int:
        """Decisions of a full episode; the last one is shorter where the repeat does not divide the limit."""
        return -(-self.episode_env_steps // self.action_repeat)

    @property
    def without_skill(self) -> Shape:
        """Shape of an observation without its skill."""
        first, *rest = self.observation
        if self.skill_size and self.pictures:
            return (first - max(self.stacked_frames, 1), *rest)
        return (first - self.skill_size, *rest)


class Step(NamedTuple):
    """Results of one decision of n environments. Arrays are reused: they stay valid until the step after the next."""

    observation: Observations
    """[n, ...] the observation to act on next: after an episode's end, the first observation of the next episode."""
    final_observation: Observations
    """[n, ...] the observation after the action: at an episode's end its last one, else ``observation``."""
    reward: NDArray[np.float32]
    """[n] summed over the action repeat."""
    terminated: NDArray[np.bool_]
    """[n] whether success or failure ended the episode: the value of ``final_observation`` is 0."""
    truncated: NDArray[np.bool_]
    """[n] whether the time limit cut the episode: the value of ``final_observation`` is bootstrapped."""
    episode_return: NDArray[np.float64]
    """[n] undiscounted return of the episode so far, this decision included."""
    episode_length: NDArray[np.int64]
    """[n] environment steps of the episode so far, this decision included."""


class SingleEnvironment(Protocol):
    """One environment of a simulator, as an adapter implements it.

    An episode must depend only on the seed of its reset and on the actions since then.
    """

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed`` (0 to 2**63 - 1)."""

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One environment step under ``action`` [action_size] in [-1, 1]: (reward, terminated, truncated)."""

    def observe(self) -> Observations:
        """The observation of the present state; called once per decision, copied by the caller."""

    def render(self) -> NDArray[np.uint8]:
        """A picture of the present state [height, width, 3]; raises RenderingUnavailable where it cannot be drawn."""

    def close(self) -> None:
        """Free what the simulator holds."""


class SolvableEnvironment(SingleEnvironment, Protocol):
    """One environment that tells whether its task is solved."""

    def solved(self) -> bool:
        """Whether the environment step just taken has left the task solved."""


class LocatedEnvironment(SingleEnvironment, Protocol):
    """One environment that tells where it is, beside pictures that it observes."""

    def place(self) -> NDArray[np.float64]:
        """Coordinates ``[place_size]`` of the present state."""


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

    def solved(self) -> NDArray[np.int64]:
        """How often the last step's episodes were solved so far, [n, 2]: after environment steps, after decisions.

        An episode that the step has ended counts as a whole. Zeros where ``info.tells_success`` is false.
        """
        import numpy as np

        return np.zeros((self.n, 2), np.int64)

    def places(self) -> NDArray[np.float64]:
        """Coordinates ``[n, place_size]`` at ``final_observation`` of the last step, or at the reset."""
        import numpy as np

        return np.zeros((self.n, 0))

    def scores(self) -> Mapping[str, NDArray[np.float64]]:
        """Further scores of the last step's episodes so far, ``[n]`` by the name of their evaluation metric.

        An episode that the step has ended counts as a whole.
        """
        return {}

    @abstractmethod
    def state(self) -> dict[str, NDArray[np.generic]]:
        """The state that continues exactly: indices of the running episodes and their actions so far."""

    @abstractmethod
    def load_state(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        """Continue from ``state`` by replaying its actions; returns the present observations [n, ...].

        Raises EnvironmentFailure where the replay ends at another observation than ``state`` has (``reset`` then begins
        the next episodes), ValueError where ``state`` belongs to other environments.
        """

    @abstractmethod
    def render(self, index: int) -> NDArray[np.uint8]:
        """A picture of environment ``index`` [height, width, 3]. Raises RenderingUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Free everything; a second call does nothing."""
