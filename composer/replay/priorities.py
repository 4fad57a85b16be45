"""Prioritised sampling: slots are drawn in proportion to their priorities, and their losses are weighted for it.

Source: Schaul et al., arXiv:1511.05952. Two levels of sums replace a tree: a draw reads one block.
Legend: S seeds, N slots, B batch. Tests: tests/replay/test_priorities.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

BLOCK = 1024


class Priorities:
    """Priorities ``[S, N]``, float64. A slot of priority 0 is never drawn."""

    def __init__(
        self,
        seeds: int,
        capacity: int,
        exponent: float,
        device: str = "cpu",
        correction: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """``exponent`` turns an error into a priority; ``correction`` gives the bias exponent ``[S]`` by update.

        Without a correction, losses are not weighted.
        """
        self._correction = correction
        blocks = -(-capacity // BLOCK)
        self._values = torch.zeros(seeds, blocks, BLOCK, dtype=torch.float64, device=device)
        self._flat = self._values.view(seeds, -1)
        self._sums = torch.zeros(seeds, blocks, dtype=torch.float64, device=device)
        self._largest = torch.ones(seeds, 1, dtype=torch.float64, device=device)
        self._seeds, self._capacity, self._exponent = seeds, capacity, exponent
        self._rows = torch.arange(seeds, device=device)[:, None]

    def enter(self, slots: Tensor) -> None:
        """Add new transitions at ``slots [n]``, with the largest priority that was ever reported."""
        self._write(slots.expand(self._seeds, -1), self._largest.expand(-1, slots.numel()))

    def leave(self, slots: Tensor) -> None:
        """Remove ``slots [n]`` from the draws."""
        self._write(slots.expand(self._seeds, -1), torch.zeros_like(self._largest).expand(-1, slots.numel()))

    def report(self, slots: Tensor, errors: Tensor, active: Tensor | None = None) -> None:
        """Set priorities from ``errors [S, B]``, not negative, of the transitions at ``slots [S, B]``.

        A slot that is listed twice takes one of its errors. Slots that were removed meanwhile stay removed. Seeds
        outside of the mask ``active [S]`` keep their priorities.
        """
        new, old = self._priority(errors.double()), self._flat.gather(1, slots)
        largest = torch.maximum(self._largest, new.amax(1, keepdim=True))
        new = torch.where(old > 0, new, torch.zeros_like(new))
        if active is not None:
            moves = active.to(new.device)[:, None]
            new, largest = torch.where(moves, new, old), torch.where(moves, largest, self._largest)
        self._largest.copy_(largest)
        self._write(slots, new)

    def draw(self, batch: int, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Draw slots ``[S, B]``, one from each of B equal shares of the sum (stratified), with their probabilities."""
        random = torch.stack(
            [torch.rand(batch, generator=g, device=g.device, dtype=torch.float64) for g in generators]
        ).to(self._values.device)
        shares = self._shares(random)
        ends = self._sums.cumsum(1)
        total = ends[:, -1:]
        # Rounding must not lead past the last number that is not zero.
        aims = torch.minimum(shares * total, torch.nextafter(total, torch.zeros_like(total)))
        block = torch.searchsorted(ends, aims, right=True).clamp_max(ends.shape[1] - 1)
        rest = (aims - (ends - self._sums).gather(1, block)).clamp_min(0)
        within = self._values[self._rows, block].cumsum(2)
        last = within[..., -1]
        rest = torch.minimum(rest, torch.nextafter(last, torch.zeros_like(last)))
        place = torch.searchsorted(within, rest[..., None], right=True).squeeze(-1).clamp_max(BLOCK - 1)
        slots = block * BLOCK + place
        return slots, self._flat.gather(1, slots) / total

    def weights(self, probabilities: Tensor, size: int, updates: Tensor) -> Tensor:
        """Importance weights ``[S, B]`` of draws from ``size`` transitions after ``updates [S]``."""
        if self._correction is None:
            return torch.ones_like(probabilities, dtype=torch.float32)
        return importance(probabilities, size, self._correction(updates))

    def tensors(self) -> dict[str, Tensor]:
        """The state by name."""
        return {"priorities": self._flat[:, : self._capacity].clone(), "largest": self._largest}

    def load(self, saved: Mapping[str, Tensor], added: int) -> None:
        """Load what ``tensors`` gave after ``added`` rows, of a ring of another capacity too: its newest rows.

        Rows that could no longer be drawn from the other ring are as new.
        """
        held = saved["priorities"].to(self._flat.device)
        then = held.shape[1]
        rows = torch.arange(max(added - min(then, self._capacity), 0), added, device=held.device)
        kept = held[:, rows % then]
        if then != self._capacity:
            kept = torch.where(kept > 0, kept, saved["largest"].to(kept))
        self._flat.zero_()
        self._flat[:, rows % self._capacity] = kept
        self._largest.copy_(saved["largest"])
        self._sums.copy_(self._values.sum(2))

    def _priority(self, errors: Tensor) -> Tensor:
        """Priorities of errors, ``[S, B]`` each."""
        return (errors + 1e-10) ** self._exponent

    def _shares(self, random: Tensor) -> Tensor:
        """Where in the sum to draw, as shares of it, from uniform numbers ``[S, B]``."""
        batch = random.shape[1]
        return (torch.arange(batch, device=random.device) + random) / batch

    def _write(self, slots: Tensor, values: Tensor) -> None:
        self._flat.scatter_(1, slots, values)
        blocks = slots // BLOCK
        self._sums.scatter_(1, blocks, self._values[self._rows, blocks].sum(2))


class LossAdjustedPriorities(Priorities):
    """Priorities ``max(error, minimum)^exponent``; draws are independent, and losses are not weighted for them.

    The largest priority, which new transitions get, only grows, but every ``refresh`` reports it becomes the largest of
    those that are held. Source: Fujimoto et al., arXiv:2007.06049, and the released code of TD7, arXiv:2306.02451.
    """

    def __init__(self, seeds: int, capacity: int, exponent: float, minimum: float, refresh: int, device: str) -> None:
        super().__init__(seeds, capacity, exponent, device)
        self._minimum, self._refresh = minimum, refresh
        self._reports = torch.zeros(seeds, 1, dtype=torch.int64, device=device)

    @override
    def report(self, slots: Tensor, errors: Tensor, active: Tensor | None = None) -> None:
        super().report(slots, errors, active)
        reported = torch.ones_like(self._reports) if active is None else active.to(self._reports)[:, None]
        self._reports += reported
        due = (self._reports % self._refresh == 0) & (reported > 0)
        if due.any():
            self._largest.copy_(torch.where(due, self._flat.amax(1, keepdim=True), self._largest))

    @override
    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"reports": self._reports}

    @override
    def load(self, saved: Mapping[str, Tensor], added: int) -> None:
        super().load(saved, added)
        self._reports.copy_(saved["reports"])

    @override
    def _priority(self, errors: Tensor) -> Tensor:
        return errors.clamp_min(self._minimum) ** self._exponent

    @override
    def _shares(self, random: Tensor) -> Tensor:
        return random


def importance(probabilities: Tensor, size: int, exponent: Tensor) -> Tensor:
    """Weights ``[S, B]``, float32, that correct the bias by ``exponent [S]``: 0 not at all, 1 fully.

    ``(N p)^-beta``, Sec. 3.4 of arXiv:1511.05952, divided by the batch's largest weight, as in Dopamine.
    """
    weights = (size * probabilities) ** -exponent[:, None].double()
    return (weights / weights.amax(1, keepdim=True)).float()
