"""One environment of Gymnasium: its actions as vectors, its episodes by seeds, its results checked.

Tests: tests/environments/test_gymnasium.py, tests/environments/test_gymnasium_spaces.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.environments.interface import InvalidResult, RenderingUnavailable
from composer.environments.suites.gymnasium_spaces import action_layout, observation_layout
from composer.spec.calls import in_words, of_others
from composer.spec.wording import shorten

if TYPE_CHECKING:
    from gymnasium import Env
    from numpy.typing import NDArray

    from composer.environments.distractions.base import Distracted
    from composer.environments.interface import EnvironmentInfo, Observations


class GymnasiumSingle:
    """One environment; its registered wrappers, time limit included, are in place."""

    def __init__(
        self,
        environment: Env[Any, Any],
        info: EnvironmentInfo | None,
        success: str = "",
        distracted: Distracted | None = None,
    ) -> None:
        """``success`` is the key of ``info`` that tells it; empty where nothing does.

        ``distracted`` changes pictures of three colours; None leaves them as they are.

        Raises InvalidResult where the environment has other spaces than it was described with.
        """
        self._environment = environment
        observed, acted = observation_layout(environment.observation_space), action_layout(environment.action_space)
        ours = observed.shape, observed.pictures, acted.size, acted.discrete
        if info and ours != (info.observation, info.pictures, info.action_size, info.discrete):
            raise InvalidResult(
                f"an environment with observations {[*observed.shape]} and {acted.size} actions; when it was "
                f"described, it had observations {[*info.observation]} and {info.action_size} actions"
            )
        self._convert, self._choose = observed.convert, acted.choose
        self._raw: Any = None
        self._success, self._is_solved = success, False
        self._distracted = distracted

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``; the environment gets its upper 31 bits, for some take no more."""
        self._raw, _ = _parts(self._environment.reset(seed=seed >> 32), ("observation", "info"))
        if self._distracted is not None:
            self._distracted.begin(seed)

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One step. An episode that ends by itself at its time limit has terminated."""
        results = self._environment.step(self._choose(action))
        self._raw, reward, terminated, truncated, info = _parts(results, _STEP)
        if self._success:
            self._is_solved = _success(info, self._success)
        return _number(reward), _flag(terminated, "terminated"), _flag(truncated, "truncated") and not terminated

    def solved(self) -> bool:
        """Whether the step just taken has left the task solved."""
        return self._is_solved

    def observe(self) -> Observations:
        """The observation in its layout. Raises InvalidResult where it is not in its space."""
        observed: Any = self._convert(self._raw)
        if self._distracted is None:
            return observed  # type: ignore[no-any-return]
        return self._distracted.change(observed.transpose(1, 2, 0), _no_mask).transpose(2, 0, 1)

    def render(self) -> NDArray[np.uint8]:
        """The environment's own picture."""
        try:
            with of_others():
                picture: Any = self._environment.render()
        except Exception as error:
            raise RenderingUnavailable(f"this environment cannot draw here: render raised {in_words(error)}") from error
        got = shorten(" ".join(repr(picture).split()))
        if isinstance(picture, np.ndarray):
            if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size:
                return picture
            got = f"shape {[*picture.shape]} and type {picture.dtype}"
        raise RenderingUnavailable(
            f"this environment has no pictures: render returned {got}, expected uint8 [height, width, 3]"
        )

    def close(self) -> None:
        """Free what the environment holds."""
        self._environment.close()


def _no_mask() -> NDArray[np.bool_]:
    raise InvalidResult("no word of which pixels are background")  # The blueprint is refused before.


_STEP = ("observation", "reward", "terminated", "truncated", "info")


def _parts(results: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What ``reset`` or ``step`` returned, if it is as many values as Gymnasium's interface has."""
    if isinstance(results, tuple) and len(results) == len(names):
        return results
    got = f"{len(results)} values" if isinstance(results, tuple) else type(results).__name__
    raise InvalidResult(f"{got}; Gymnasium's interface has {len(names)} values: {', '.join(names)}")


def _number(reward: Any) -> float:
    """A reward as a float: any real number, as a scalar of Python or of numpy."""
    if isinstance(reward, float | int):
        return float(reward)
    if np.ndim(reward) == 0 and (value := np.asarray(reward)).dtype.kind in "fiub":
        return float(value)
    raise InvalidResult(f"the reward {_named(reward)}; it has to be one number")


def _flag(value: Any, name: str) -> bool:
    """A flag as a bool: a truth value, or one of the integers 0 and 1."""
    if value is True or value is False:
        return bool(value)
    if np.ndim(value) == 0 and (found := np.asarray(value)).dtype.kind in "biu" and found in (0, 1):
        return bool(found)
    raise InvalidResult(f"{name} = {_named(value)}; it has to be true or false")


def _success(info: Any, key: str) -> bool:
    """What a step's ``info`` says of success: a truth value or a number from 0 to 1, of which only 1 is success."""
    if not isinstance(info, Mapping) or key not in info:
        known = ", ".join(map(str, info)) if isinstance(info, Mapping) and info else "nothing"
        raise InvalidResult(f"an info without {key!r}, the key that is to tell success; it has {known}")
    value = info[key]
    if np.size(value) == 1 and (found := np.asarray(value)).dtype.kind in "biuf":
        return bool(found.item() == 1)
    raise InvalidResult(f"info[{key!r}] = {_named(value)}; it has to be true or false")


def _named(value: Any) -> str:
    where = f" of shape {[*np.shape(value)]}" if np.ndim(value) else ""
    return f"{shorten(' '.join(repr(value).split()))} ({type(value).__name__}{where})"
