"""Firings so frequent that they are counted, instead of being recorded one by one.

Legend: S seeds. Tests: tests/interventions/test_counts.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

FREQUENT = 10
"""Planned firings per row of metrics; beyond that many, an intervention has one event per row instead of one each."""


class FiringCounts:
    """What frequent firings of interventions have done since the last row of metrics, by seed."""

    def __init__(self) -> None:
        """Nothing has been fired."""
        self._sums: dict[str, dict[str, Tensor]] = {}
        """By intervention and name: the number of firings, and sums over them, ``[S]``."""
        self._last: dict[str, dict[str, Tensor]] = {}
        """By intervention and name: norms of the last firing, ``[S]``."""
        self._at: dict[str, dict[str, int]] = {}
        """By intervention: the reading of its clock at the last firing."""

    def add(
        self,
        name: str,
        seeds: Tensor,
        sums: Mapping[str, Tensor],
        last: Mapping[str, Tensor],
        at: Mapping[str, int],
    ) -> None:
        """Count one firing for the ``seeds`` of a mask; nothing is sent to the host. Values are ``[S]``, float64."""
        known, newest = self._sums.setdefault(name, {}), self._last.setdefault(name, {})
        for key, value in {"firings": torch.ones_like(seeds, dtype=torch.float64), **sums}.items():
            counted = value * seeds.to(value.device)
            known[key] = known[key] + counted if key in known else counted
        for key, value in last.items():
            newest[key] = torch.where(seeds.to(value.device), value, newest.get(key, torch.zeros_like(value)))
        self._at[name] = dict(at)

    def drain(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Indices of seeds and events, one per seed and intervention that fired; afterwards nothing is counted."""
        # Sorted, as a checkpoint's values are: the journal of a resumed run has the same bytes.
        for name, state in sorted(self.state().items()):
            for seed, firings in enumerate(state["sums"]["firings"]):
                if firings:
                    sums = {key: int(values[seed]) for key, values in sorted(state["sums"].items())}
                    last = {key: values[seed] for key, values in sorted(state["last"].items())}
                    yield seed, {"name": name, **sums, **last, "at": state["at"]}
        self._sums, self._last, self._at = {}, {}, {}

    def state(self) -> dict[str, dict[str, Any]]:
        """Everything as plain values, by intervention; empty where nothing was counted."""
        return {
            name: {
                "sums": {key: value.tolist() for key, value in sums.items()},
                "last": {key: value.tolist() for key, value in self._last[name].items()},
                "at": self._at[name],
            }
            for name, sums in self._sums.items()
        }

    def load(self, state: Mapping[str, Mapping[str, Any]], device: str) -> None:
        """Continue from what ``state`` gave."""

        def tensors(name: str, part: str) -> dict[str, Tensor]:
            values: Mapping[str, list[float]] = state[name][part]
            return {key: torch.tensor(value, dtype=torch.float64, device=device) for key, value in values.items()}

        self._sums = {name: tensors(name, "sums") for name in state}
        self._last = {name: tensors(name, "last") for name in state}
        self._at = {name: dict(each["at"]) for name, each in state.items()}
