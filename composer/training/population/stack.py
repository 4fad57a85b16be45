"""Agents side by side: what each holds becomes a part of what one larger agent holds, which makes their updates.

Members of a program know nothing of each other, so that it does not matter whether they differ in their seed alone or
in numbers too. Legend: S seeds of one agent, B batch. Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer.replay.transitions import Minibatch, Transitions
from composer.training.learner import Learner

_SEEDS_LAST = ("signals",)
"""State whose seeds are its second axis: else they are the first."""


class Stack:
    """Learners whose tensors are slices of those of one learner."""

    @torch.no_grad()
    def __init__(self, whole: Learner, learners: Sequence[Learner]) -> None:
        """``whole`` has as many seeds as ``learners`` together and the same structure; its numbers become theirs.

        Each part goes on as it is: everything that holds one of its tensors sees the slice.
        """
        self._whole, self._learners = whole, learners
        start = 0
        for part in learners:
            count, held = len(part.seeds), whole.tensors()
            for name, value in part.tensors().items():
                _take(value, held[name], 1 if name in _SEEDS_LAST else 0, start, count)
            for slots, given in zip(whole.noise, part.noise, strict=True):
                for name, value in given.items():
                    _take(value, slots[name], 0, start, count)
            for name, value in part.priorities.items():
                _take(value, whole.priorities[name], 0, start, count)
            for number, value in zip(whole.hyperparameters.tensors, part.hyperparameters.tensors, strict=True):
                number.narrow(0, start, count).copy_(value)
            start += count

    def learn(self, asked: Sequence[Sequence[Minibatch]]) -> None:
        """The updates that each part asks for, in one call: as many of each."""
        updates = len(asked[0])
        for part in self._learners:
            part.draw_noise(updates)
        self._whole.learn_under(self._whole.noise, [self._joined(drawn) for drawn in zip(*asked, strict=True)])

    def _joined(self, drawn: Sequence[Minibatch]) -> Minibatch:
        """What all learn from in one update, seeds below each other."""
        columns = zip(*(each.transitions for each in drawn), strict=True)
        extra = {name: torch.cat([each.extra[name] for each in drawn]) for name in self._whole.program.extras}
        return Minibatch(Transitions(*(torch.cat(column) for column in columns)), extra)


def _take(value: Tensor, whole: Tensor, axis: int, start: int, count: int) -> None:
    """Make a tensor a slice of another one, which takes its numbers."""
    share = whole.detach().narrow(axis, start, count)
    share.copy_(value)
    value.data = share
