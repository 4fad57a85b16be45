"""Agents side by side: the state of each is a slice of the state of one larger agent, which makes all updates.

Seeds of a program do not depend on each other, so agents in it may differ in their hyper-parameters too.
Legend: S seeds of one agent, B batch. Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from composer.replay.transitions import Minibatch, Transitions
from composer.training.learner import Learner

_SEEDS_LAST = ("signals",)
"""State whose seeds are its second axis: else they are the first."""


class Stack:
    """Learners that share the storage of one larger learner."""

    def __init__(self, whole: Learner, learners: Sequence[Learner]) -> None:
        """``whole`` has the seeds of all ``learners``, in order, and the same structure. It takes their values."""
        self._whole, self._learners = whole, learners
        start = 0
        for part in learners:
            _move_into(whole, part, start)
            start += len(part.seeds)

    def learn(self, batches: Sequence[Sequence[Minibatch]]) -> None:
        """Make the updates of all learners in one call, on the batches of each learner: equally many for all."""
        updates = len(batches[0])
        for part in self._learners:
            part.draw_noise(updates)
        self._whole.learn_with_noise(self._whole.noise, [self._joined(drawn) for drawn in zip(*batches, strict=True)])

    def _joined(self, drawn: Sequence[Minibatch]) -> Minibatch:
        """The minibatches of one update of all learners as one, ``[sum of S, B, ...]``."""
        columns = zip(*(each.transitions for each in drawn), strict=True)
        extra = {name: torch.cat([each.extra[name] for each in drawn]) for name in self._whole.program.extras}
        return Minibatch(Transitions(*(torch.cat(column) for column in columns)), extra)


@torch.no_grad()
def _move_into(whole: Learner, part: Learner, start: int) -> None:
    """Move the state of ``part`` to the seeds from ``start`` on of ``whole``, which takes its values.

    The tensors of ``part`` stay the same objects and change their storage (``Tensor.set_``): its optimizers, collector
    and checkpoints see what ``whole`` computes. Hyper-parameters are copied: updates never change them.
    """
    seeds, held = len(part.seeds), whole.tensors()
    moved = [(value, held[name], 1 if name in _SEEDS_LAST else 0) for name, value in part.tensors().items()]
    for theirs, ours in zip(whole.noise, part.noise, strict=True):
        moved += [(value, theirs[name], 0) for name, value in ours.items()]
    moved += [(value, whole.priorities[name], 0) for name, value in part.priorities.items()]
    for value, storage, axis in moved:
        share = storage.detach().narrow(axis, start, seeds)
        share.copy_(value)
        value.set_(share)  # type: ignore[call-overload]
    for number, value in zip(whole.hyperparameters.tensors, part.hyperparameters.tensors, strict=True):
        number.narrow(0, start, seeds).copy_(value)
