"""An environment of which an agent sees some entries. Tests: tests/environments/test_some_entries.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from composer.environments.interface import UnusableEnvironment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo, SingleEnvironment


class SomeEntries:
    """The environment within, whose observations are cut to some entries."""

    def __init__(self, within: Any, entries: Sequence[int]) -> None:
        """``entries`` are indices of its vector, in the order in which they are seen."""
        self._within, self._entries = within, list(entries)
        within_: SingleEnvironment = within
        self.reset, self.step, self.render, self.close = within_.reset, within_.step, within_.render, within_.close
        self.solved = within.solved

    def observe(self) -> NDArray[np.float32]:
        """The entries."""
        seen: NDArray[np.float32] = self._within.observe()[self._entries]
        return seen


def info_of_entries(info: EnvironmentInfo, entries: Sequence[int]) -> EnvironmentInfo:
    """What is known of an environment of which ``entries`` are seen. Raises UnusableEnvironment."""
    if len(info.observation) != 1:
        raise UnusableEnvironment("observed", f"entries are those of a vector; observations are {[*info.observation]}")
    if wrong := [entry for entry in entries if entry >= info.observation[0]]:
        last = info.observation[0] - 1
        raise UnusableEnvironment("observed", f"there is no entry {wrong[0]}: observations have entries 0 to {last}")
    return replace(info, observation=(len(entries),))
