"""Data in phases: what each phase holds, in which order it comes, and what is held out.

All of it is a function of seed, phase and count of batches. Every seed may be in a phase of its own.
Legend: S seeds, B batch, K classes, N samples of the data. Tests: tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from composer.replay.transitions import Transitions
from composer.spec.random_streams import derive
from composer.training.collect.pictures import Standardizer, changed, drawn
from composer.training.collect.task_batches import answered, answers_to

if TYPE_CHECKING:
    from composer.environments.labelled.datasets import Data, Samples
    from composer.environments.labelled.phases import Phase, Phases

AT_ONCE = 500
"""Samples that are judged in one pass, which bounds the memory of activations."""


def loaded(data: Data, seeds: Sequence[int], device: str, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """Inputs ``[S, N, ...]`` and classes or numbers ``[S, N]``; what all seeds share lies on the device once."""
    load = data.load_held_out if held_out else data.load
    sets: list[Samples] = [load(seed) for seed in (seeds if data.varies else seeds[:1])]
    inputs = torch.stack([torch.from_numpy(np.ascontiguousarray(each.inputs)) for each in sets]).to(device)
    labels = torch.stack([torch.from_numpy(each.labels) for each in sets]).to(device)
    return inputs.expand(len(seeds), *inputs.shape[1:]), labels.expand(len(seeds), -1)


@dataclass
class _Held:
    """What the phase of one seed holds."""

    number: int
    start: int
    """Batches before it."""
    indices: Tensor
    """``[n]``: which samples."""
    labels: Tensor
    """``[n]``: their classes or numbers, right or wrong."""
    places: Tensor | None
    """``[d]``: in which order the entries of an input come."""
    epoch: int = -1
    order: Tensor | None = None
    """``[n]``: in which order samples come in the present epoch."""


class PhaseBatches:
    """The data of S seeds; ``at`` chooses the batch, of the phase that each seed has entered."""

    def __init__(self, declared: Phases, seeds: Sequence[int], batch: int, device: str) -> None:
        """Loads the data, and enters the first phase."""
        self._declared, self._batch, self._device = declared, batch, device
        self._plan = declared.plan
        self._seeds = tuple(declared.stream(seed) for seed in seeds)
        self._inputs, self._labels = loaded(declared.data, seeds, device)
        self.standard = Standardizer(self._inputs)
        self._rows = torch.arange(len(seeds), device=device)[:, None]
        self._held = [self._entered(index, 0, 0) for index in range(len(seeds))]

    def enter(self, seed: int, number: int, start: int) -> None:
        """Bring a seed (its index) into phase ``number``, which begins after ``start`` batches."""
        held = self._held[seed]
        if held.number != number:
            self._held[seed] = self._entered(seed, number, start)
        held = self._held[seed]
        held.start = start

    def at(self, interactions: int) -> Transitions:
        """Batch number ``interactions``, from 0."""
        indices = torch.stack([self._next(index, interactions) for index in range(len(self._seeds))])
        inputs, labels = self._taken(indices)
        change = self._declared.augmentation
        if change is not None:
            streams = [derive(seed, "augmentation", interactions) for seed in self._seeds]
            inputs = changed(inputs, change.crop, drawn(streams, self._batch, change.crop, change.flip))
        return self._told(inputs, labels)

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: Sequence[torch.Generator]) -> Transitions:
        """``batch`` samples of each seed's phase, with replacement, unchanged."""
        indices = [
            torch.randint(len(held.indices), (batch,), generator=g, device=g.device).to(self._device)
            for held, g in zip(self._held, generators, strict=True)
        ]
        return self._told(*self._taken(torch.stack(indices)))

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The first ``batch`` samples of each seed's phase, unchanged; the same again where there are fewer."""
        line = torch.arange(batch, device=self._device)
        return self._told(*self._taken(torch.stack([line % len(held.indices) for held in self._held])))

    def _next(self, index: int, interactions: int) -> Tensor:
        """Which samples of its phase come in a batch of a seed, ``[B]``."""
        held = self._held[index]
        per_epoch = self._declared.epoch_of(self._plan[held.number], self._batch)
        epoch, batch = divmod(interactions - held.start, per_epoch)
        if epoch != held.epoch:
            stream = derive(self._seeds[index], "order", held.number, epoch)
            held.epoch, held.order = epoch, _shuffled(len(held.indices), stream).to(self._device)
        assert held.order is not None
        line = torch.arange(batch * self._batch, (batch + 1) * self._batch, device=self._device)
        return held.order[line % len(held.indices)]

    def _taken(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Raw inputs and classes of samples ``[S, B]``, numbered within the phases."""
        chosen = torch.stack([held.indices[row] for held, row in zip(self._held, indices, strict=True)])
        labels = torch.stack([held.labels[row] for held, row in zip(self._held, indices, strict=True)])
        return self._inputs[self._rows, chosen], labels

    def _told(self, raw: Tensor, labels: Tensor) -> Transitions:
        inputs = ordered(self.standard(raw), [held.places for held in self._held])
        return answered(inputs, answers_to(labels, self._declared.data.info.classes))

    def _entered(self, index: int, number: int, start: int) -> _Held:
        phase, seed, right = self._plan[number], self._seeds[index], self._labels[index].cpu()
        everything = _shuffled(len(right), derive(seed, "subset"))
        if phase.classes:
            everything = everything[torch.isin(right[everything], torch.tensor(phase.classes))]
        indices = everything[: max(round(phase.subset * len(everything)), 1)]
        labels = _noisy(right[indices], phase, self._declared.data.info.classes, derive(seed, "noise", number))
        places = places_of(phase, seed, self._inputs[0, 0].numel(), self._device)
        return _Held(number, start, indices.to(self._device), labels.to(self._device), places)


class HeldOutData:
    """What the data hold out, as the networks read it, in pieces."""

    def __init__(
        self, declared: Phases, seeds: Sequence[int], device: str, standard: Standardizer | None = None
    ) -> None:
        """``standard`` is that of the samples that are learned from; they are loaded for it where it is None."""
        self._declared, self._device = declared, device
        self._streams = [declared.stream(seed) for seed in seeds]
        self._inputs, self._labels = loaded(declared.data, seeds, device, held_out=True)
        self._standard = standard or Standardizer(loaded(declared.data, seeds, device)[0])

    def pieces(self, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs ``[S, b, ...]`` and classes ``[S, b]`` of a phase; those of no class of it have the class -1.

        Where answers are numbers, all of them.
        """
        size = self._inputs[0, 0].numel()
        places = [places_of(phase, seed, size, self._device) for seed in self._streams]
        known = torch.tensor(phase.classes or range(self._declared.data.info.classes), device=self._device)
        for inputs, labels in zip(self._inputs.split(AT_ONCE, 1), self._labels.split(AT_ONCE, 1), strict=True):
            judged = labels if labels.is_floating_point() else torch.where(torch.isin(labels, known), labels, -1)
            yield ordered(self._standard(inputs), places), judged


def places_of(phase: Phase, seed: int, size: int, device: str) -> Tensor | None:
    """In which order the entries of an input come, ``[size]``; None for as they are."""
    if not phase.permutation:
        return None
    return _shuffled(size, derive(seed, "permutation", phase.permutation)).to(device)


def ordered(inputs: Tensor, places: Sequence[Tensor | None]) -> Tensor:
    """Inputs ``[S, B, ...]`` with their entries in the order of each seed."""
    if all(order is None for order in places):
        return inputs
    rows = [
        row if order is None else row.flatten(1)[:, order].view(row.shape)
        for row, order in zip(inputs, places, strict=True)
    ]
    return torch.stack(rows)


def _noisy(right: Tensor, phase: Phase, classes: int, stream: int) -> Tensor:
    """Labels ``[n]`` of which a share, rounded, are wrong ones: each other class of the phase is as likely.

    Of numbers, that share takes the number of any sample.
    """
    labels, wrong = right.clone(), round(phase.noise(0) * len(right))
    known = torch.tensor(sorted(phase.classes) or range(classes))
    is_number = right.is_floating_point()
    if not wrong or (len(known) < 2 and not is_number):
        return labels
    generator = torch.Generator().manual_seed(stream)
    chosen = torch.randperm(len(right), generator=generator)[:wrong]
    if is_number:
        labels[chosen] = right[torch.randint(len(right), (wrong,), generator=generator)]
        return labels
    moved = torch.randint(1, len(known), (wrong,), generator=generator)
    labels[chosen] = known[(torch.searchsorted(known, right[chosen]) + moved) % len(known)]
    return labels


def _shuffled(count: int, stream: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(stream))
