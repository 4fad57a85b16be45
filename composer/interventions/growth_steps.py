"""Steps of growth of a network: how its tensors become those of a larger one.

Each gives the network after it, and how the tensors of the network before, or of an average of it, become those after.
Legend: S seeds, C copies. Tests: tests/interventions/test_growth.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from composer.networks.network import Network
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor


MOST_FIRINGS = 16
"""Firings of one growth that a run may have: a factor of 2 makes 65,536 units of one by then."""


class Draws(Protocol):
    """Random numbers of one firing: functions of seed, intervention, firing, copy and path, equal for averages."""

    def fresh(self, path: str, plan: ParameterPlan | BufferPlan) -> Tensor:
        """A parameter drawn by its initialiser, or a buffer before anything has been seen, ``[S, C, *shape]``."""

    def order(self, path: str, count: int) -> Tensor:
        """The numbers below ``count`` in random order, int64 ``[S, C, count]``."""

    def noise(self, path: str, shape: Shape) -> Tensor:
        """Unit-normal noise, ``[S, C, *shape]``."""


@dataclass(frozen=True)
class Step(ABC):
    """One step of growth of one network."""

    network: Network
    """The network after it."""
    before: Outline
    after: Outline
    text: str
    """What grows, for people: ``trunk.0 from 16 to 32 units``."""

    @abstractmethod
    def tensor(self, path: str, plan: ParameterPlan | BufferPlan, old: Tensor | None, draws: Draws) -> Tensor:
        """A parameter or buffer after the step, ``[S, C, *plan.shape]``; ``old`` is None where it is new.

        It is ``old`` itself where nothing of it changes.
        """

    @abstractmethod
    def moment(self, path: str, old: Tensor, draws: Draws) -> Tensor:
        """An optimizer's numbers for each entry of a parameter that was there; those of new entries are 0."""

    def plans(self) -> Mapping[str, ParameterPlan | BufferPlan]:
        """Every parameter and buffer after the step by path, in the order of the outline."""
        return {**dict(self.after.named_parameters()), **dict(self.after.named_buffers())}
