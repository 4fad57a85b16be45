"""Rows of Atari games on ALE's native vector environment (docs/decisions/0013-atari-rows.md).

ALE resets a game automatically in the step after the one that ended it. That never happens: a game that ended is reset
here before the next step. A seeded reset loads the game anew, so nothing of earlier play is left, its random stream
included; that takes as long as hundreds of decisions. So a game whose log is short goes on with ALE's own reset: the
next game follows from the same seed and all actions since then.

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
RELOADED_AFTER = 5_000
"""Decisions since a game was loaded after which its next start loads it anew; as many are replayed in 1.5 seconds."""


class AtariRows(Rows):
    """n games that step together. A lost life may end an episode; the game goes on.

    The log of actions continues after a lost life, and after a game that ends within ``RELOADED_AFTER`` decisions.
    """

    def __init__(self, info: EnvironmentInfo, n: int, life_loss_ends: bool, make_games: Callable[[], Any]) -> None:
        """``make_games`` builds ALE's vector of n games. Raises RowFailure."""
        self.arrays = RowArrays.private(info, n)
        self._stack = info.stacked_frames
        self._channels = info.observation[0] // info.stacked_frames
        self._life_loss_ends = life_loss_ends
        self._lives = np.zeros(n, np.int32)
        self._frame = np.zeros(n, np.int64)
        self._seen = np.full(n, self._stack)
        self._since = np.zeros(n, np.int64)
        """Decisions since the seeded reset."""
        self._ended = np.zeros(n, np.bool_)
        self._games: Any = None
        with _blamed("building them"):
            self._games = make_games()

    def reset(self, resets: Resets) -> None:
        """Start games; the first call has to start all of them."""
        seeds = dict(resets)
        rows = np.array(sorted(seeds))
        # ALE's seeds have 31 bits: it gets the upper ones.
        self._begin(rows, np.array([seeds[row] >> 32 for row in rows.tolist()]))
        self._since[rows] = 0

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
        lives, ended = info["lives"], over | cut
        # Some games go on without a life left: their last episode lasts until the game is over.
        lost = (lives < self._lives) & (lives > 0) & ~ended & self._life_loss_ends
        self._lives[...], self._ended[...] = lives, ended
        self._since += 1
        arrays.terminated[...], arrays.truncated[...] = over | lost, cut
        arrays.continues[...] = lost | (ended & (self._since < RELOADED_AFTER))
        self._seen += 1
        if self._seen.min() < self._stack:
            self._hide_earlier_lives()

    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Make the newest frame the first one of the next life; start the games that have ended."""
        ended = self._ended[rows]
        if ended.any():
            self._begin(rows[ended], None)
        self._seen[rows[~ended]] = 1
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

    def _begin(self, rows: NDArray[np.int64], seeds: NDArray[np.int64] | None) -> None:
        """Reset the games ``rows``; without seeds, each by its own random stream."""
        chosen = np.zeros(len(self._lives), np.bool_)
        chosen[rows] = True
        with _blamed("reset"):
            observation, info = self._games.reset(seed=seeds, options={"reset_mask": chosen})
        self.arrays.observation[rows] = self._channels_first(observation)[rows]
        self._lives[rows] = info["lives"][rows]
        self._frame[rows] = info["episode_frame_number"][rows]
        self._seen[rows] = self._stack

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
