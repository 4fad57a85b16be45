"""Rows of Atari games on ALE's native vector environment (docs/decisions/0013-atari-rows.md).

ALE resets a game automatically in the step after the one that ended it. That never happens: a game that ended is reset
here, with a seed of its own, before the next step. A seeded reset loads the game anew, so nothing of earlier play is
left, its random stream included.

Legend: n games. Tests: tests/environments/test_atari.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.environments.vector.rows import Resets, RowArrays, RowFailure, Rows
from composer.spec.calls import in_words, of_others

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo

ENLARGED = 4
"""Factor by which pictures are larger than the agent's frames."""


class AtariRows(Rows):
    """n games that step together. A lost life may end an episode; the game and its log of actions continue."""

    def __init__(self, info: EnvironmentInfo, n: int, life_loss_ends: bool, make_games: Callable[[], Any]) -> None:
        """``make_games`` builds ALE's vector of n games. Raises RowFailure."""
        self.arrays = RowArrays.private(info, n)
        self._stack = info.stacked_frames
        self._channels = info.observation[0] // info.stacked_frames
        self._life_loss_ends = life_loss_ends
        self._lives = np.zeros(n, np.int32)
        self._frame = np.zeros(n, np.int64)
        self._seen = np.full(n, self._stack)
        self._games: Any = None
        with _blamed("building them"):
            self._games = make_games()

    def reset(self, resets: Resets) -> None:
        """Start games; the first call has to start all of them."""
        seeds = dict(resets)
        chosen = np.zeros(len(self._lives), np.bool_)
        chosen[list(seeds)] = True
        rows = chosen.nonzero()[0]
        # ALE's seeds have 31 bits: it gets the upper ones.
        numbers = np.array([seeds[int(row)] >> 32 for row in rows])
        with _blamed("reset"):
            observation, info = self._games.reset(seed=numbers, options={"reset_mask": chosen})
        self.arrays.observation[rows] = self._channels_first(observation)[rows]
        self._lives[rows] = info["lives"][rows]
        self._frame[rows] = info["episode_frame_number"][rows]
        self._seen[rows] = self._stack

    def step(self) -> None:
        """One decision of every game."""
        arrays = self.arrays
        choices = arrays.actions.argmax(axis=1)
        with _blamed("step"):
            observation, reward, over, cut, info = self._games.step(choices)
        arrays.observation[...] = self._channels_first(observation)
        arrays.reward[...] = reward
        arrays.steps[...] = info["episode_frame_number"] - self._frame
        self._frame[...] = info["episode_frame_number"]
        lives = info["lives"]
        if self._life_loss_ends:
            # Some games go on without a life left: their last episode lasts until the game is over.
            arrays.continues[...] = (lives < self._lives) & (lives > 0) & ~over & ~cut
        self._lives[...] = lives
        arrays.terminated[...] = over | arrays.continues
        arrays.truncated[...] = cut
        self._seen += 1
        if self._seen.min() < self._stack:
            self._hide_earlier_lives()

    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Make the newest frame the first one of the next life."""
        self._seen[rows] = 1
        self._hide_earlier_lives()

    def replay(self, resets: Resets, actions: Sequence[NDArray[np.float32]]) -> None:
        """Play all games together; shorter ones start later, so that all end at the same step."""
        arrays, seeds = self.arrays, dict(resets)
        taken = {row: played for (row, _), played in zip(resets, actions, strict=True)}
        total = max(len(played) for played in taken.values())
        wait = np.array([total - len(taken[row]) for row in range(len(taken))])
        reward, steps = np.zeros_like(arrays.reward), np.zeros_like(arrays.steps)
        self.reset(resets)
        for moment in range(total):
            self._start(np.flatnonzero(wait == moment), seeds)
            for row, played in taken.items():
                arrays.actions[row] = played[max(moment - wait[row], 0)] if len(played) else 0.0
            self.step()
            reward += arrays.reward * (wait <= moment)
            steps += arrays.steps * (wait <= moment)
            onward = arrays.continues.nonzero()[0]
            reward[onward] = steps[onward] = 0
            self.continue_episodes(onward)
        self._start(np.flatnonzero(wait == total), seeds)
        arrays.reward[...], arrays.steps[...] = reward, steps

    def render(self, row: int) -> NDArray[np.uint8]:
        """The agent's newest frame, enlarged; ALE's vector renders nothing else."""
        newest = self.arrays.observation[row, -self._channels :].transpose(1, 2, 0)
        picture: NDArray[np.uint8] = np.broadcast_to(newest, (*newest.shape[:2], 3))
        return picture.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)

    def close(self) -> None:
        """Free the games and their threads."""
        self._games = None

    def _start(self, rows: NDArray[np.int64], seeds: dict[int, int]) -> None:
        if rows.size:
            self.reset([(row, seeds[row]) for row in rows.tolist()])

    def _hide_earlier_lives(self) -> None:
        """Set the frames from before the episode to 0, as ALE does at a reset."""
        for row in (self._seen < self._stack).nonzero()[0]:
            self.arrays.observation[row, : -self._channels * self._seen[row]] = 0

    def _channels_first(self, observation: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """[n, frames, h, w] or [n, frames, h, w, 3] as [n, channels, h, w]."""
        if self._channels == 1:
            return observation
        return np.moveaxis(observation, -1, 2).reshape(self.arrays.observation.shape)


@contextmanager
def _blamed(call: str) -> Iterator[None]:
    """Whatever ALE raises is the failure of its first game: it does not say which one it was."""
    try:
        with of_others():
            yield
    except Exception as error:
        raise RowFailure(0, f"{call} raised {in_words(error)}") from error
