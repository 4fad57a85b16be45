"""MinAtar: five Atari games on a grid of 10 x 10 cells. Source: Young and Tian, arXiv:1903.03176; MinAtar 1.0.15.

An environment step is one frame of the game. Tests: tests/environments/test_minatar.py holds the games to the package's
own environment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from typing_extensions import override

from composer.environments.base import SingleSimulator
from composer.environments.interface import EnvironmentInfo, SingleEnvironment, UnusableEnvironment
from composer.environments.suites.task_tables import known, minatar_table

FULL_ACTIONS = 6
"""Nothing, left, up, right, down, fire: the actions of every game."""


class MinAtar(SingleSimulator, kind="minatar"):
    """A MinAtar game, observed as a picture of 0 and 1 with one channel for each kind of object.

    An episode begins as in a new environment of the package: there, a sticky first action may repeat the last action of
    the episode before. Freeway terminates after 2,501 frames, although time is not observed; with a smaller
    ``episode_env_steps`` it is truncated instead.
    """

    task_key: ClassVar[str] = "game"
    first_env_steps: ClassVar[int] = 300_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "minatar", "game": "breakout"}

    game: Annotated[str, AfterValidator(lambda name: known(name, minatar_table(), "MinAtar game"))]
    """The game as the package names its file: ``space_invaders``."""
    sticky_actions: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Probability, at every frame, that the action of the frame before is taken instead."""
    difficulty_ramping: bool = True
    """Whether Asterix, Seaquest and Space Invaders become faster in the course of an episode."""
    full_actions: bool = True
    """All 6 actions, as in the authors' experiments and in ids that end in ``-v0``; or only those with an effect
    (``-v1``)."""
    episode_env_steps: Annotated[int, Field(ge=1, le=10**7)] = 10_000
    """Frames after which an episode is truncated. The package has no limit; this one is ours."""

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*minatar_table(),)

    @property
    @override
    def title(self) -> str:
        return f"{self.kind}-{self.game}"

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        """No game has a negative reward."""
        return 0.0, math.inf

    def describe(self) -> EnvironmentInfo:
        """From the table of games; the package is not imported."""
        game = minatar_table()[self.game]
        return EnvironmentInfo(
            observation=(game.channels, 10, 10),
            action_size=FULL_ACTIONS if self.full_actions else game.minimal_actions,
            episode_env_steps=self.episode_env_steps,
            action_repeat=self.action_repeat,
            terminates=True,
            discrete=True,
            pictures=True,
            largest_pixel=1,
        )

    @override
    def refusal(self) -> tuple[str, str] | None:
        if find_spec("minatar") is not None:
            return super().refusal()
        return "kind", 'MinAtar is not installed: pip install "rl-composer[minatar]"'

    @override
    def discover(self) -> None:
        if problem := self.refusal():
            raise UnusableEnvironment(*problem)

    @override
    def libraries(self) -> tuple[str, ...]:
        return ("minatar",)

    def single(self) -> SingleEnvironment:
        """One game. Raises UnusableEnvironment where the package is not installed."""
        from composer.environments.suites.minatar_single import MinAtarSingle

        self.discover()
        return MinAtarSingle(
            self.game, self.sticky_actions, self.difficulty_ramping, self.full_actions, self.episode_env_steps
        )
