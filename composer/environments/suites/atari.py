"""Atari 2600 games under named protocols, stepped by ALE's native vector environment.

An environment step is one frame of the emulator; a decision lasts ``action_repeat`` of them (the frame skip). So the
100,000 decisions of Atari-100k are 400,000 environment steps. Sources: Bellemare et al., arXiv:1207.4708 (ALE);
Machado et al., arXiv:1709.06009. Tests: tests/environments/test_atari.py holds this to Gymnasium's reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import override

from composer.environments.base import Simulator
from composer.environments.interface import EnvironmentInfo
from composer.environments.native import NativeSpaces
from composer.environments.suites.task_tables import game_table, known
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.environments.vector.rows import Rows

FULL_ACTIONS = 18
"""Joystick positions times button: the actions of every game."""

PROTOCOLS: Mapping[str, Mapping[str, object]] = {
    "machado2018": {
        "sticky_actions": 0.25,
        "noop_starts": 0,
        "full_actions": True,
        "life_loss_ends": False,
    },
    "dopamine2018": {
        "sticky_actions": 0.25,
        "noop_starts": 0,
        "full_actions": False,
        "life_loss_ends": False,
    },
    "atari100k": {
        "sticky_actions": 0.0,
        "noop_starts": 30,
        "full_actions": False,
        "life_loss_ends": True,
    },
}
"""The differences between the named protocols; everything else has the default of its field, in all of them."""


class Atari(Simulator, kind="atari"):
    """An Atari 2600 game, observed as a stack of gray frames, under a named protocol.

    Keys that are left out have the values of ``protocol``. ``machado2018`` (arXiv:1709.06009): sticky actions, no
    random starts, all 18 actions, an episode is a game. ``dopamine2018`` (arXiv:1812.06110 and its code): the same with
    the game's own actions. ``atari100k`` (arXiv:1903.00374 with the customs of later agents): no sticky actions, up to
    30 no-ops at the start, the game's own actions, and in training a lost life ends an episode. Evaluations always play
    whole games for unclipped rewards.
    """

    task_key: ClassVar[str] = "game"
    first_env_steps: ClassVar[int] = 400_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "atari", "game": "pong", "protocol": "atari100k"}

    game: Annotated[str, AfterValidator(lambda name: known(name, game_table(), "Atari game"))]
    """The game as ALE names its file: ``ms_pacman``."""
    protocol: Literal["machado2018", "dopamine2018", "atari100k"] = "machado2018"
    """Values of the keys below that are left out. The defaults below are those of ``machado2018``."""
    sticky_actions: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Probability, at every frame, that the emulator holds the action of the frame before; 0 in ``atari100k``."""
    noop_starts: Annotated[int, Field(ge=0, le=1000)] = 0
    """Most frames without action at the start of a game, uniformly from 0 on; 30 in ``atari100k``."""
    full_actions: bool = True
    """All 18 actions, or only those that do something in this game; all in ``machado2018`` alone."""
    life_loss_ends: Annotated[bool, Without(False)] = False
    """Whether in training a lost life ends an episode and the next one continues the game; true in ``atari100k``."""
    clip_rewards: Annotated[bool, Without(False)] = True
    """Whether in training the sum of a decision's rewards is cut to [-1, 1] (Mnih et al., 2015); in all protocols."""
    fire_on_reset: bool = False
    """Whether a game begins with one frame of FIRE, where the game has it; not in any protocol (our choice)."""
    frame_limit: Annotated[int, Field(ge=1, le=10**7)] = 108_000
    """Frames after which a game is cut, half an hour as in ALE's own registrations; starting no-ops do not count."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 4
    """Frames for which one action is held (frame skip); rewards are summed."""
    pool_frames: bool = True
    """Whether a frame is the pixelwise maximum of a decision's last two, against flicker."""
    grayscale: bool = True
    """Gray frames of one channel, or colour frames of three."""
    height: Annotated[int, Field(ge=8, le=210)] = 84
    """Pixel rows of a frame."""
    width: Annotated[int, Field(ge=8, le=160)] = 84
    """Pixel columns of a frame."""
    stack: Annotated[int, Field(ge=1, le=64), Without(1)] = 4
    """Newest frames that make an observation; those from before the episode are black."""
    workers: Annotated[int, Field(ge=0, le=512)] = 0
    """Threads that step the games inside of the training process; 0 is one thread. There is no time-out for them."""

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, given: Any) -> Any:
        """Fill in the values of the protocol, so that a resolved blueprint names all of them."""
        if not isinstance(given, Mapping):
            return given
        name = given.get("protocol", cls.model_fields["protocol"].default)
        known = PROTOCOLS.get(name) if isinstance(name, str) else None
        return {**known, **given} if known else given

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*game_table(),)

    @property
    @override
    def title(self) -> str:
        return self.game

    def describe(self) -> EnvironmentInfo:
        """From the table of games; ALE is not imported."""
        channels = self.stack * (1 if self.grayscale else 3)
        return EnvironmentInfo(
            observation=(channels, self.height, self.width),
            action_size=FULL_ACTIONS if self.full_actions else game_table()[self.game].minimal_actions,
            episode_env_steps=self.frame_limit,
            action_repeat=self.action_repeat,
            terminates=True,
            discrete=True,
            pictures=True,
            stacked_frames=self.stack,
        )

    @override
    def libraries(self) -> tuple[str, ...]:
        return "ale_py", "gymnasium"

    def for_evaluation(self) -> Atari:
        """Whole games and the game's own score; the rest is as in training."""
        return self.model_copy(update={"clip_rewards": False, "life_loss_ends": False})

    @override
    def native_spaces(self) -> NativeSpaces:
        """Stacks of frames, as ALE's own vector makes them, and the index of an action of the game."""
        note = (
            f"observation: the newest {self.stack} frames, oldest first, {self.height} x {self.width}, "
            f"{'gray' if self.grayscale else 'of three colours'}, one every {self.action_repeat} frames"
            f"{', each the maximum of two' if self.pool_frames else ''}; black before the first"
        )
        return replace(super().native_spaces(), notes=(note,))

    def rows(self, n: int) -> Rows:
        """ALE's vector of n games."""
        from composer.environments.suites.atari_rows import AtariRows

        return AtariRows(self.info, n, self.life_loss_ends, lambda: self._games(n))

    def _games(self, n: int) -> Any:
        """ALE's vector. Every argument is given: the defaults of its constructor differ from its registered names."""
        from ale_py.vector_env import AtariVectorEnv
        from gymnasium.vector import AutoresetMode

        return AtariVectorEnv(
            self.game,
            n,
            num_threads=max(self.workers, 1),
            max_num_frames_per_episode=self.frame_limit,
            repeat_action_probability=self.sticky_actions,
            full_action_space=self.full_actions,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            img_height=self.height,
            img_width=self.width,
            grayscale=self.grayscale,
            stack_num=self.stack,
            frameskip=self.action_repeat,
            maxpool=self.pool_frames,
            # It draws less than this many, and with FIRE, which it counts as one of them, one less again.
            noop_max=self.noop_starts + 1,
            use_fire_reset=self.fire_on_reset,
            episodic_life=False,
            life_loss_info=False,
            reward_clipping=self.clip_rewards,
        )
