"""Sequences of consecutive observations of one environment, across the ends of episodes; and what is kept for each.

A ring holds transitions. A sequence has the observation before each of them, and the last one of an episode as an
observation of its own, with the reward that came with it. Legend: S seeds, B batch, L observations of a sequence,
E environments of a seed, N slots. Tests: tests/replay/test_sequences.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.replay.ring import Ring


class Drawn(NamedTuple):
    """Sequences from a ring."""

    named: dict[str, Tensor]
    """By their names in ``Program.extras``: ``sequence/observation [S, B, L, ...]``; ``sequence/action [S, B, L, a]``,
    the one chosen there, 0 at a last observation; and ``[S, B, L]`` each, ``sequence/reward`` that came with the
    observation (0 with a first one), ``sequence/first``, ``sequence/last``, and ``sequence/terminal`` where the last
    one terminated its episode."""
    slots: Tensor
    """``[S, B, L]``: the slot of the transition from each observation; N where there is none."""


def sequences(ring: Ring, starts: Tensor, length: int) -> Drawn:
    """Sequences of ``length`` observations from the transitions at slots ``starts [S, B]``; the first counts as first.

    Where an environment has too few transitions, its newest is repeated, each time as the first of an episode.
    """
    rows, repeats, stored = ring.stream(starts, length)
    shape, step = rows.shape, torch.arange(length, device=rows.device)
    reward, terminated, ended = (part.view(shape) for part in stored.numbers[..., -3:].unbind(-1))
    # Each ended transition is two observations long; ``source`` is the transition of an observation.
    position = step + ended.long().cumsum(-1) - ended.long()
    source = torch.searchsorted(position, step.expand(shape).contiguous(), right=True) - 1
    is_final = step > position.gather(-1, source)

    seeds, samples = (torch.arange(count, device=rows.device) for count in shape[:2])

    def of_source(values: Tensor) -> Tensor:
        return values[seeds[:, None, None], samples[:, None], source]

    action, seen, following = (
        part.unflatten(1, shape[1:]) for part in (stored.action, stored.observation, stored.next_observation)
    )

    repeated = of_source(repeats)
    first = ~is_final & (repeated | (of_source(_before(ended, 1.0)) > 0))
    reward = torch.where(is_final, of_source(reward), of_source(_before(reward, 0.0)))
    named = {
        "observation": torch.where(
            is_final.view(*shape, *[1] * (seen.ndim - 3)), of_source(following), of_source(seen)
        ),
        "action": torch.where(is_final[..., None], 0.0, of_source(action)),
        "reward": torch.where(first, 0.0, reward),
        "first": first.float(),
        "last": is_final.float(),
        "terminal": is_final * of_source(terminated),
    }
    slots = torch.where(is_final | repeated, ring.capacity, of_source(rows))
    return Drawn({f"sequence/{name}": value for name, value in named.items()}, slots)


def _before(values: Tensor, start: float) -> Tensor:
    """The value one step earlier, ``start`` for the first: ``[S, B, L]``."""
    return torch.cat([torch.full_like(values[..., :1], start), values[..., :-1]], -1)


class Remembered:
    """What acting remembered after the observation of each transition, ``[S, N, ...]`` by name."""

    def __init__(self, shapes: Mapping[str, Shape], seeds: int, capacity: int, device: str) -> None:
        """All zeros; one more row takes what belongs to no transition."""
        self._values = {name: torch.zeros(seeds, capacity + 1, *shape, device=device) for name, shape in shapes.items()}
        self._seeds, self._capacity = torch.arange(seeds, device=device)[:, None], capacity

    def at(self, slots: Tensor) -> dict[str, Tensor]:
        """``[S, B, ...]`` by name, at slots ``[S, B]``."""
        return {name: values[self._seeds, slots] for name, values in self._values.items()}

    def write(self, slots: Tensor, found: Mapping[str, Tensor], active: Tensor | None = None) -> None:
        """Keep ``found [S, B, L, ...]`` at slots ``[S, B, L]``; of two of a slot, that of the later sequence.

        Seeds outside of the mask ``active [S]`` keep what they have.
        """
        if active is not None:
            slots = torch.where(active.to(slots.device)[:, None, None], slots, self._capacity)
        for name, values in found.items():
            # One sequence after another, whose own slots differ: else the order of writing would not be fixed.
            for there, value in zip(slots.unbind(1), values.to(self._seeds.device).unbind(1), strict=True):
                self._values[name][self._seeds, there] = value

    def store(self, slots: Tensor, found: Mapping[str, Tensor]) -> None:
        """Keep ``found [S, E, ...]``, or zeros where it is empty, at the new transitions' slots ``[E]``."""
        for name, values in self._values.items():
            values[:, slots] = found[name].to(values.device) if name in found else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """By name."""
        return {name: values[:, : self._capacity].clone() for name, values in self._values.items()}

    def load(self, saved: Mapping[str, Tensor], added: int) -> None:
        """Load what ``tensors`` gave after ``added`` transitions, of a ring of another capacity too: its newest.

        A fork may keep numbers of other shapes: these begin as zeros.
        """
        for name, values in self._values.items():
            held = saved.get(name)
            if held is not None and held.shape[2:] == values.shape[2:]:
                rows = torch.arange(max(added - min(held.shape[1], self._capacity), 0), added)
                values[:, rows % self._capacity] = held[:, rows % held.shape[1]].to(values.device)
