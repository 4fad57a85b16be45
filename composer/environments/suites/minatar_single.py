"""One MinAtar game: its episode, sticky actions and time limit. Tests: tests/environments/test_minatar.py."""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENLARGED = 24
"""Pixels of a cell's side in a film."""


class MinAtarSingle:
    """One game. The package's own ``Environment`` carries an action over a reset; this one begins with none."""

    def __init__(self, game: str, sticky: float, ramping: bool, full_actions: bool, limit: int) -> None:
        """``sticky`` is a probability; ``limit`` counts frames."""
        self._game = _rules(game).Env(ramping=ramping)
        self._random = self._game.random = np.random.RandomState(0)
        channels = self._game.state_shape()[2]
        self._actions = [*range(len(self._game.action_map))] if full_actions else self._game.minimal_action_set()
        self._sticky, self._limit = sticky, limit
        self._observation = np.zeros((channels, 10, 10), np.uint8)
        self._last, self._taken = 0, 0

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``, whose two halves seed the game's Mersenne twister."""
        self._random.seed([seed >> 32, seed & 0xFFFFFFFF])
        self._game.reset()
        self._last = self._taken = 0

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One frame. A number is drawn for stickiness in each, as in the package, even where nothing is sticky."""
        if self._random.rand() >= self._sticky:
            self._last = self._actions[int(action.argmax())]
        reward, terminated = self._game.act(self._last)
        self._taken += 1
        return float(reward), bool(terminated), self._taken >= self._limit and not terminated

    def observe(self) -> NDArray[np.uint8]:
        """The objects on the grid, [channels, 10, 10], 0 or 1."""
        self._observation[...] = self._game.state().transpose(2, 0, 1)
        return self._observation

    def render(self) -> NDArray[np.uint8]:
        """The grid in the package's colours, 240 x 240: of several objects in a cell, that of the last channel."""
        from matplotlib import colormaps

        state = self.observe()
        numbers = np.arange(1, len(state) + 1, dtype=np.uint8)[:, None, None]
        colours = colormaps["cubehelix"](np.linspace(0, 1, len(state) + 2)[:-1], bytes=True)[:, :3]
        colours[0] = 0
        picture: NDArray[np.uint8] = colours[(state * numbers).max(axis=0)]
        return picture.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)

    def close(self) -> None:
        """Nothing is held."""


def _rules(game: str) -> Any:
    """The module of a game, from its file: importing the package would import what it draws with, a second or two."""
    package = find_spec("minatar")
    assert package is not None and package.origin is not None, "the declaration asks for the package first"
    path = Path(package.origin).parent / "environments" / f"{game}.py"
    spec = spec_from_file_location(f"minatar.environments.{game}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
