"""The interface of simulators that are pure functions of batches: their states are values, and nothing is hidden.

``FunctionalVector`` makes environments of them; ``jax_functions`` makes them of the functions of one environment.
Legend: n environments, r rows among them, a entries of an action. Tests: tests/environments/test_functional_vector.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.interface import Observations


class Present(NamedTuple):
    """n environments at one moment."""

    state: Any
    """Whatever the simulator computes with; never changed in place once it was returned."""
    observation: Observations
    """``[n, ...]``. Nobody writes into it."""


class Moved(NamedTuple):
    """What one decision led to, before any reset."""

    present: Present
    reward: NDArray[np.float32]
    """``[n]``, summed over the action repeat."""
    steps: NDArray[np.int64]
    """``[n]``, environment steps taken: fewer than the action repeat where an episode ended."""
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    scores: Mapping[str, NDArray[np.float64]] = MappingProxyType({})
    """Of the episodes so far, ``[n]`` by the name of their evaluation metric."""


class BatchFunctions(Protocol):
    """A simulator of n environments, without memory of its own.

    Random numbers follow from ``seeds`` and ``decisions`` alone, whatever ran before.
    """

    def start(self, seeds: NDArray[np.int64]) -> Present:
        """The first moments of the episodes ``seeds [n]``."""

    def restart(self, present: Present, rows: NDArray[np.int64], seeds: NDArray[np.int64]) -> Present:
        """``present`` with the rows ``rows [r]`` at the first moments of the episodes ``seeds [r]``, which may repeat.

        Equal seeds begin alike. The state of ``present`` may be used up.
        """

    def score_names(self) -> Sequence[str]:
        """Names of the scores that a step gives."""

    def step(
        self, state: Any, seeds: NDArray[np.int64], decisions: NDArray[np.int64], actions: NDArray[np.float32]
    ) -> Moved:
        """One decision under ``actions [n, a]``, number ``decisions [n]`` of the episodes ``seeds [n]``, from 0."""

    def packed(self, state: Any) -> NDArray[np.uint8]:
        """The bytes of a state, ``[n, b]``."""

    def unpacked(self, packed: NDArray[np.uint8]) -> Present:
        """The moment with the state that ``packed [n, b]`` holds. Raises ValueError where it cannot be such a one."""

    def render(self, state: Any, row: int) -> NDArray[np.uint8]:
        """A picture of one environment ``[height, width, 3]``. Raises RenderingUnavailable."""
