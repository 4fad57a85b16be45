"""Craftax and Craftax-Classic: open worlds in JAX. Source: Matthews et al., arXiv:2402.16801; craftax 1.6.1.

An environment step is one step of the game. Tests: tests/environments/test_craftax.py holds the games to the package's
own environments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from typing_extensions import override

from composer.environments.base import Simulator
from composer.environments.interface import EnvironmentInfo, UnusableEnvironment, VectorEnvironment
from composer.environments.suites.craftax_functions import ACHIEVEMENTS, CraftaxFunctions
from composer.environments.vector.packages import missing_packages
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.spec.shape import Shape


SCORE = "evaluation/score"
"""The metric that scales returns."""


class _Game(NamedTuple):
    numbers: int
    """In an observation of numbers: the map around the player, then the inventory."""
    picture: Shape
    actions: int
    limit: int
    """Steps after which the package ends an episode."""
    achievements: int
    rewards: int
    """Sum of the rewards of all achievements."""


GAMES: Mapping[str, _Game] = {
    "full": _Game(8268, (3, 130, 110), 43, 100_000, 67, 226),
    "classic": _Game(1345, (3, 63, 63), 17, 10_000, 22, 22),
}
"""Sizes of both games."""


class Craftax(Simulator, kind="craftax"):
    """A world to explore, gather, build and fight in, observed as numbers or as pictures.

    All copies are stepped in one call of JAX. ``full`` has 67 achievements, whose rewards are 1, 3, 5 or 8 and add up
    to 226; ``classic`` has 22 with reward 1 each. A tenth of every change of health comes on top. Death, the last boss
    (``full``) and lava (``classic``) terminate; the limit truncates, where the package has one flag for both.
    """

    task_key: ClassVar[str] = "game"
    first_env_steps: ClassVar[int] = 1_000_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "craftax", "game": "classic", "copies": 16}

    game: Literal["full", "classic"] = "full"
    """Craftax, or Craftax-Classic: one floor, fewer achievements, an episode of 10,000 steps instead of 100,000."""
    pixels: bool = False
    """Observe pictures, 3 x 130 x 110 or 3 x 63 x 63, instead of 8,268 or 1,345 numbers."""
    episode_env_steps: Annotated[int, Field(ge=1, le=10**7)] | None = None
    """Steps after which an episode is truncated. Absent: 100,000 of the full game, 10,000 of the classic one."""
    optimistic_resets: Annotated[int, Field(ge=0, le=4096)] = 0
    """Copies for one new world a step (16 in the published baselines): where more of them end at once, the others begin
    in a world that one of these has, too. 0: every episode has a world of its own. Evaluations always do."""

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*GAMES,)

    @property
    @override
    def title(self) -> str:
        return "-".join(filter(None, ("craftax", self.game, "pixels" if self.pixels else "")))

    def describe(self) -> EnvironmentInfo:
        """From the table above; the package is not imported."""
        game = GAMES[self.game]
        return EnvironmentInfo(
            observation=game.picture if self.pixels else (game.numbers,),
            action_size=game.actions,
            episode_env_steps=self.episode_env_steps or game.limit,
            action_repeat=self.action_repeat,
            terminates=True,
            discrete=True,
            pictures=self.pixels,
        )

    @override
    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        game, mean = GAMES[self.game], "mean over an evaluation's episodes"
        about = f"return in percent of the {game.rewards} that all achievements give, {mean}"
        return (
            Metric(ACHIEVEMENTS, f"achievements unlocked in an episode, {mean}", "", 0, game.achievements),
            Metric(SCORE, about, "%"),
        )

    @override
    def from_pixels(self) -> Self | None:
        return None if self.pixels else self.model_copy(update={"pixels": True})

    @override
    def for_evaluation(self) -> Self:
        return self.model_copy(update={"optimistic_resets": 0})

    @override
    def libraries(self) -> tuple[str, ...]:
        return "craftax", "jax"

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        if self.workers:
            yield "environment.workers", "all copies are stepped in one call of JAX: leave this out"
        if self.optimistic_resets and self.copies % self.optimistic_resets:
            message = f"{self.copies:,} copies do not share worlds by {self.optimistic_resets}: write a divisor of them"
            yield "environment.optimistic_resets", message

    @override
    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """Raises UnusableEnvironment where JAX or the package is not installed: only running needs them."""
        if missing := missing_packages("jax", "craftax"):
            raise UnusableEnvironment("kind", f'Craftax needs {missing}: pip install "rl-composer[craftax]"')
        from composer.environments.vector.functional_vector import FunctionalVector
        from composer.environments.vector.jax_functions import JaxFunctions

        game = CraftaxFunctions(self.game, self.pixels, self.info.episode_env_steps)
        functions = JaxFunctions(game, self.info, len(seeds))
        worlds = self.copies // self.optimistic_resets if self.optimistic_resets else 0
        score = {SCORE: 100 / GAMES[self.game].rewards}
        return FunctionalVector(self.info, seeds, functions, self.copies, worlds, score)
