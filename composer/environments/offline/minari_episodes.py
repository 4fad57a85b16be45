"""Reading episodes by Minari's own library. Tests: tests/environments/test_offline_data.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import WHOLE, Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read(folder: Path) -> Steps:
    """All steps of the data set whose ``metadata.json`` is in ``folder``. Raises DataUnusable."""
    try:
        from minari import MinariDataset
    except ImportError:
        raise DataUnusable("data sets of Minari need its library: install rl-composer[minari]") from None
    try:
        episodes = list(MinariDataset(folder).iterate_episodes())
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DataUnusable(f"{folder} cannot be read by Minari: {error}") from error
    if not episodes:
        raise DataUnusable(f"{folder} has no episodes")
    return _steps(episodes)


def _steps(episodes: list[Any]) -> Steps:
    seen = [dict(_leaves(each.observations, "")) for each in episodes]
    joined = {name: np.concatenate([each[name][:-1] for each in seen]) for name in seen[0]}
    following = {name: np.concatenate([each[name][1:] for each in seen]) for name in seen[0]}
    ends = np.zeros(sum(len(each.rewards) for each in episodes), bool)
    ends[np.cumsum([len(each.rewards) for each in episodes]) - 1] = True
    action, reward, terminated, truncated = (
        np.concatenate([np.asarray(getattr(each, name)) for each in episodes])
        for name in ("actions", "rewards", "terminations", "truncations")
    )
    terminated = terminated.astype(bool)
    return Steps(joined, action, reward, terminated, (truncated.astype(bool) | ends) & ~terminated, following)


def _leaves(observation: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays of an observation, ``[T + 1, ...]``; names of nested ones are joined by dots."""
    if isinstance(observation, Mapping | tuple):
        inner = observation.items() if isinstance(observation, Mapping) else enumerate(observation)
        for key, each in inner:
            yield from _leaves(each, f"{name}.{key}" if name else str(key))
    else:
        yield name or WHOLE, np.asarray(observation)
