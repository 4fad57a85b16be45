"""A schedule with another value at every N-th update. Tests: tests/optim/test_periodic.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.schedules.base import Schedule, Value

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters


class Periodic(Schedule, kind="periodic"):
    """One value at every N-th update and another in between.

    As the momentum of an average, ``{ kind = "periodic", every = 8_000 }`` copies the network every 8,000 updates, as
    for DQN's target network (Mnih et al., 2015); with ``every = 2`` and ``at = 0.995`` it gives TD3's target, which
    moves with every second update (arXiv:1802.09477, algorithm 1).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "periodic", "every": 8_000, "value": 1.0, "at": 0.0}

    every: int = Field(ge=1, le=10**12)
    """N, in gradient updates."""
    first: int | None = Field(default=None, ge=1, le=10**12)
    """The first of these updates, counted from 1; absent: update number N."""
    value: Value = 1.0
    """Value at all other updates."""
    at: Value = 0.0
    """Value at every N-th update."""

    def points(self) -> tuple[tuple[int, float], ...]:
        """The first of the N-th updates, and the first update with the other value."""
        first, found = self.first or self.every, {}
        if first > 1 or self.every > 1:
            found[0 if first > 1 else 1] = self.value
        return tuple(sorted({**found, first - 1: self.at}.items()))

    @override
    def unreached(self, updates: int, unit: str = "update") -> str:
        every = f"its value at every {self.every:,}th {unit} never comes"
        return f"{every}; the run makes {updates:,} {unit}s" if self.every > updates else ""

    @property
    @override
    def copies(self) -> tuple[int, int] | None:
        return (self.first or self.every, self.every) if (self.value, self.at) == (1, 0) else None

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``at`` where ``updates + 1 - first`` is a multiple of ``every``, 0 included."""
        import torch

        value, at = map(hyperparameters.number, (self.value, self.at))
        every = hyperparameters.number(float(self.every), dtype=torch.float64)
        first = hyperparameters.number(float(self.first or self.every), dtype=torch.float64)

        def value_at(updates: Tensor) -> Tensor:
            since = updates + 1 - first
            return torch.where((since >= 0) & (torch.remainder(since, every) == 0), at, value)

        return value_at
