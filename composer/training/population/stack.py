"""Agents side by side: the state of each is a slice of the state of one larger agent, which makes all updates.

Seeds of a program do not depend on each other, so agents in it may differ in their hyper-parameters too.
Legend: S seeds of one agent, B batch. Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from composer.replay.transitions import Minibatch, Transitions
from composer.training.learner import Learner
from composer.training.seeds_in_turn import shares


class Stack:
    """A larger learner with a place for each of several: whoever enters shares its storage from then on.

    A place that nobody has entered computes too, on the batches of another: no place reads what another one holds.
    """

    def __init__(self, whole: Learner, seeds: Sequence[int], learners: Sequence[Learner] = ()) -> None:
        """``whole`` has ``seeds`` seeds at each place, in order. ``learners`` enter the first places."""
        self._whole, self._inside = whole, dict[int, Learner]()
        self._starts = [sum(seeds[:place]) for place in range(len(seeds))]
        self._seeds = seeds
        for noise in whole.noise:
            for values in noise.values():
                values.zero_()
        for place, part in enumerate(learners):
            self.enter(place, part)

    def enter(self, place: int, part: Learner) -> None:
        """From now on ``part`` has its state at ``place`` of the larger learner, which takes its values."""
        assert len(part.seeds) == self._seeds[place]
        _move_into(self._whole, part, self._starts[place])
        self._inside[place] = part

    def learn(self, batches: Mapping[int, Sequence[Minibatch]]) -> None:
        """Make the updates of all in one call, on the batches by place: equally many for all."""
        updates = len(next(iter(batches.values())))
        for part in self._inside.values():
            if not next(iter(batches.values()))[0].in_burst:
                part.draw_noise(updates)
        by_place = [self._of(place, batches) for place in range(len(self._seeds))]
        self._whole.learn_with_noise(self._whole.noise, [self._joined(drawn) for drawn in zip(*by_place, strict=True)])

    def _of(self, place: int, batches: Mapping[int, Sequence[Minibatch]]) -> Sequence[Minibatch]:
        """The batches of a place; without any, those of another one, cut or repeated to its seeds."""
        if place in batches:
            return batches[place]
        return [_resized(batch, self._seeds[place]) for batch in next(iter(batches.values()))]

    def _joined(self, drawn: Sequence[Minibatch]) -> Minibatch:
        """The minibatches of one update of all learners as one, ``[sum of S, B, ...]``."""
        columns = zip(*(each.transitions for each in drawn), strict=True)
        extra = {name: torch.cat([each.extra[name] for each in drawn]) for name in drawn[0].extra}
        return type(drawn[0])(Transitions(*(torch.cat(column) for column in columns)), extra)


def _resized(batch: Minibatch, seeds: int) -> Minibatch:
    """``batch`` with the first of its seeds instead of all of them."""

    def first(value: torch.Tensor) -> torch.Tensor:
        return value[:1].expand(seeds, *value.shape[1:])

    return type(batch)(
        Transitions(*map(first, batch.transitions)), {name: first(value) for name, value in batch.extra.items()}
    )


@torch.no_grad()
def _move_into(whole: Learner, part: Learner, start: int) -> None:
    """Move the state of ``part`` to the seeds from ``start`` on of ``whole``, which takes its values.

    The tensors of ``part`` stay the same objects and change their storage (``Tensor.set_``): its optimizers, collector
    and checkpoints see what ``whole`` computes. Hyper-parameters are copied: updates never change them.
    """
    seeds, moved = len(part.seeds), [*shares(whole, part, start)]
    for theirs, ours in zip(whole.noise, part.noise, strict=True):
        moved += [(value, theirs[name].narrow(0, start, seeds)) for name, value in ours.items()]
    for value, share in moved:
        share.copy_(value)
        value.set_(share)  # type: ignore[call-overload]
    for number, value in zip(whole.hyperparameters.tensors, part.hyperparameters.tensors, strict=True):
        number.narrow(0, start, seeds).copy_(value)
