"""The update of a learner, one seed after the other: each by a learner of one seed, on that seed's share of the state.

The tensors of the smaller learner move to the storage of a seed (``Tensor.set_``) before its update: nothing is copied,
and one compiled program serves any number of seeds. Which learners take turns: ``composer.blueprint.forecast.in_turn``.
Legend: S seeds. Tests: tests/training/test_seeds_in_turn.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from composer.training.resting import SEEDS_LAST

if TYPE_CHECKING:
    from composer.algorithms.base import AgentDeclaration
    from composer.optim.hyperparameters import Hyperparameters
    from composer.training.compile.capture import Choice


class Stateful(Protocol):
    """What is read of a learner; ``composer.training.learner`` is the one that there is."""

    seeds: tuple[int, ...]
    device: str
    choice: Choice
    hyperparameters: Hyperparameters
    reports: dict[str, Tensor]
    interactions: Tensor
    captured: Sequence[Callable[..., object]]

    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor of the state by name."""


def shares(whole: Stateful, part: Stateful, start: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every tensor ``[S, ...]`` of ``part`` that updates change, with its seeds from ``start`` on of ``whole``."""
    seeds, held = len(part.seeds), whole.tensors()
    pairs = [(value, held[name], 1 if name in SEEDS_LAST else 0) for name, value in part.tensors().items()]
    pairs += [(value, whole.reports[name], 0) for name, value in part.reports.items()]
    pairs.append((part.interactions, whole.interactions, 0))
    for value, storage, axis in pairs:
        yield value, storage.detach().narrow(axis, start, seeds)


class SeedsInTurn:
    """The captured functions of a learner, made of those of learners of one seed."""

    def __init__(
        self, whole: Stateful, agent: AgentDeclaration, make: Callable[[AgentDeclaration, str, Choice], Stateful]
    ) -> None:
        """``agent`` is the declaration of ``whole``; ``make`` makes the smaller learners, at the first call."""
        self._whole, self._agent, self._make = whole, agent, make
        self._workers: list[Stateful] = []

    def calls(self, count: int) -> list[Callable[..., None]]:
        """The first ``count`` captured functions, each on tensors ``[S, ...]``."""
        return [partial(self._call, number) for number in range(count)]

    def _call(self, function: int, *tensors: Tensor) -> None:
        for seed in range(len(self._whole.seeds)):
            self._worker(seed).captured[function](*(value[seed : seed + 1] for value in tensors))

    def _worker(self, seed: int) -> Stateful:
        """A learner over the state of the seed at an index."""
        # A compiled program reads where its tensors are at each call; modules called eagerly keep views of them.
        place = 0 if self._whole.choice.compiled else seed
        if place == len(self._workers):
            alone = replace(self._agent, seeds=self._agent.seeds[seed : seed + 1])
            self._workers.append(self._make(alone, self._whole.device, self._whole.choice))
        worker = self._workers[place]
        with torch.no_grad():
            for value, share in shares(self._whole, worker, seed):
                value.set_(share)  # type: ignore[call-overload]
            numbers = zip(worker.hyperparameters.tensors, self._whole.hyperparameters.tensors, strict=True)
            for value, several in numbers:
                value.set_(several[seed : seed + 1])  # type: ignore[call-overload]
        return worker
