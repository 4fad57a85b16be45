"""Batches of data in phases, and held-out data. Every seed may be in a phase of its own.

Seed, phase and number of a batch decide its samples, their order and their labels.
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
from composer.training.collect.labelled import as_transitions
from composer.training.collect.pictures import Standardizer, cropped, random_crops

if TYPE_CHECKING:
    from composer.environments.labelled.datasets import Data, Samples
    from composer.environments.labelled.phase import Phase
    from composer.environments.labelled.phases import Phases

PIECE = 500
"""Samples of one forward pass in an evaluation, which bounds the memory of activations."""


def loaded(data: Data, seeds: Sequence[int], device: str, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """Inputs ``[S, N, ...]`` and classes or numbers ``[S, N]``; data that all seeds share are on the device once."""
    load = data.load_held_out if held_out else data.load
    sets: list[Samples] = [load(seed) for seed in (seeds if data.varies else seeds[:1])]
    inputs = torch.stack([torch.from_numpy(np.ascontiguousarray(each.inputs)) for each in sets]).to(device)
    labels = torch.stack([torch.from_numpy(each.labels) for each in sets]).to(device)
    return inputs.expand(len(seeds), *inputs.shape[1:]), labels.expand(len(seeds), -1)


@dataclass
class _SeedPhase:
    """The phase that one seed is in."""

    number: int
    start: int
    """Batches before it."""
    indices: Tensor
    """``[n]``: its samples."""
    labels: Tensor
    """``[n]``: their classes or numbers, right or wrong."""
    permutation: Tensor | None
    """``[d]``: the order of the entries of an input."""
    epoch: int = -1
    order: Tensor | None = None
    """``[n]``: the order of samples in the present epoch."""


class PhaseBatches:
    """The data of S seeds, each in the phase that it has entered."""

    def __init__(self, environment: Phases, seeds: Sequence[int], batch: int, device: str) -> None:
        """Loads the data, and enters the first phase."""
        self._environment, self._batch, self._device = environment, batch, device
        self._plan = environment.plan
        self._seeds = tuple(environment.stream(seed) for seed in seeds)
        self._inputs, self._labels = loaded(environment.data, seeds, device)
        self.standardizer = standardizer_of(environment, self._inputs)
        self._rows = torch.arange(len(seeds), device=device)[:, None]
        self._phases = [self._seed_phase(index, 0, 0) for index in range(len(seeds))]

    def loaded(self) -> Iterator[Tensor]:
        """Inputs and labels, of each seed where seeds have data of their own."""
        for seed in range(len(self._seeds) if self._environment.data.varies else 1):
            yield self._inputs[seed]
            yield self._labels[seed]

    def enter(self, seed: int, number: int, start: int) -> None:
        """Bring a seed (its index) into phase ``number``, which begins after ``start`` batches."""
        if self._phases[seed].number != number:
            self._phases[seed] = self._seed_phase(seed, number, start)
        self._phases[seed].start = start

    def at(self, interactions: int) -> Transitions:
        """Batch number ``interactions``, from 0."""
        indices = torch.stack([self._next(index, interactions) for index in range(len(self._seeds))])
        inputs, labels = self._select(indices)
        augmentation = self._environment.augmentation
        if augmentation is not None:
            crop, flip = augmentation.crop, augmentation.flip
            streams = [derive(seed, "augmentation", interactions) for seed in self._seeds]
            inputs = cropped(inputs, crop, random_crops(streams, inputs.shape[1], crop, flip))
        return self._transitions(inputs, labels)

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: Sequence[torch.Generator]) -> Transitions:
        """Draw ``batch`` samples of each seed's phase, with replacement and without augmentation."""
        indices = [
            torch.randint(len(held.indices), (batch,), generator=g, device=g.device).to(self._device)
            for held, g in zip(self._phases, generators, strict=True)
        ]
        return self._transitions(*self._select(torch.stack(indices)))

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The first ``batch`` samples of each seed's phase, without augmentation; too few are repeated."""
        line = torch.arange(batch, device=self._device)
        return self._transitions(*self._select(torch.stack([line % len(held.indices) for held in self._phases])))

    def _next(self, index: int, interactions: int) -> Tensor:
        """The samples of a seed's batch, ``[B]``, numbered within its phase; the last of an epoch may be smaller."""
        held = self._phases[index]
        phase = self._plan[held.number]
        per_epoch = self._environment.epoch_of(phase, self._batch)
        epoch, batch = divmod(interactions - held.start, per_epoch)
        rest = self._environment.rest_of(self._environment.samples_in(phase), self._batch)
        size = rest if rest and batch == per_epoch - 1 else self._batch
        if epoch != held.epoch:
            stream = derive(self._seeds[index], "order", held.number, epoch)
            held.epoch, held.order = epoch, _shuffled(len(held.indices), stream).to(self._device)
        assert held.order is not None
        line = torch.arange(batch * self._batch, batch * self._batch + size, device=self._device)
        return held.order[line % len(held.indices)]

    def _select(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Raw inputs and labels of the samples at ``indices [S, B]``, numbered within the phases."""
        chosen = torch.stack([held.indices[row] for held, row in zip(self._phases, indices, strict=True)])
        labels = torch.stack([held.labels[row] for held, row in zip(self._phases, indices, strict=True)])
        return self._inputs[self._rows, chosen], labels

    def _transitions(self, raw: Tensor, labels: Tensor) -> Transitions:
        inputs = permuted(self.standardizer(raw), [held.permutation for held in self._phases])
        return as_transitions(inputs, labels, self._environment.data.info.classes)

    def _seed_phase(self, index: int, number: int, start: int) -> _SeedPhase:
        phase, seed, right = self._plan[number], self._seeds[index], self._labels[index].cpu()
        everything = _shuffled(len(right), derive(seed, "subset"))
        if phase.classes:
            everything = everything[torch.isin(right[everything], torch.tensor(phase.classes))]
        indices = everything[: max(round(phase.subset * len(everything)), 1)]
        labels = _noisy(right[indices], phase, self._environment.data.info.classes, derive(seed, "noise", number))
        permutation = permutation_of(phase, seed, self._inputs[0, 0].numel(), self._device)
        return _SeedPhase(number, start, indices.to(self._device), labels.to(self._device), permutation)


class HeldOutData:
    """Held-out samples as the networks read them, in pieces."""

    def __init__(
        self, environment: Phases, seeds: Sequence[int], device: str, standardizer: Standardizer | None = None
    ) -> None:
        """``standardizer`` has the moments of the training samples; without it they are loaded to measure them."""
        self._environment, self._device = environment, device
        self._streams = [environment.stream(seed) for seed in seeds]
        self._inputs, self._labels = loaded(environment.data, seeds, device, held_out=True)
        self._standardizer = standardizer or standardizer_of(environment, loaded(environment.data, seeds, device)[0])

    def pieces(self, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs ``[S, b, ...]`` and labels ``[S, b]``; classes that the phase leaves out are labelled -1."""
        size = self._inputs[0, 0].numel()
        permutations = [permutation_of(phase, seed, size, self._device) for seed in self._streams]
        known = torch.tensor(phase.classes or range(self._environment.data.info.classes), device=self._device)
        for inputs, labels in zip(self._inputs.split(PIECE, 1), self._labels.split(PIECE, 1), strict=True):
            kept = labels if labels.is_floating_point() else torch.where(torch.isin(labels, known), labels, -1)
            yield permuted(self._standardizer(inputs), permutations), kept


def standardizer_of(environment: Phases, inputs: Tensor) -> Standardizer:
    """By declared moments, or by those of the training samples ``[S, N, ...]``."""
    given = environment.standardization
    return Standardizer(inputs, (given.mean, given.deviation) if given else None)


def permutation_of(phase: Phase, seed: int, size: int, device: str) -> Tensor | None:
    """The order of the entries of an input, ``[size]``; None leaves them as they are."""
    if not phase.permutation:
        return None
    return _shuffled(size, derive(seed, "permutation", phase.permutation)).to(device)


def permuted(inputs: Tensor, permutations: Sequence[Tensor | None]) -> Tensor:
    """Inputs ``[S, B, ...]`` with their entries in the order of each seed."""
    if all(order is None for order in permutations):
        return inputs
    rows = [
        row if order is None else row.flatten(1)[:, order].view(row.shape)
        for row, order in zip(inputs, permutations, strict=True)
    ]
    return torch.stack(rows)


def _noisy(right: Tensor, phase: Phase, classes: int, stream: int) -> Tensor:
    """Labels ``[n]``, a share of them wrong: another class of the phase, each as likely, or any sample's number."""
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
