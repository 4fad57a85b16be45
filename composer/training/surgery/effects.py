"""Measures the effect of a firing: the learner makes the same updates without it and with it, and is put back.

All that the forks draw comes from streams of their own; every tensor of the learner is restored in place, so that the
run goes on as if nothing had been measured. Legend: S seeds, B batch. Tests: tests/interventions/test_effects.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.interventions.base import Intervention
from composer.interventions.effects import BLOCKS, BOUNDS, EffectMeasure, effect_name
from composer.replay.transitions import Minibatch
from composer.spec.interval import mean_interval
from composer.spec.random_streams import derive
from composer.training.profiling import timed

if TYPE_CHECKING:
    from composer.training.collect.base import TransitionSource
    from composer.training.learner import Learner

Record = Callable[[int, Mapping[str, float]], None]
"""Takes the index of a seed, and a row of its metrics."""
Rows = Sequence[Sequence[Mapping[str, float]]]
"""Means of signals by part of the horizon and by seed."""


class Effects:
    """The effects of a run that are measured."""

    def __init__(
        self,
        interventions: Mapping[str, Intervention],
        learner: Learner,
        samples: TransitionSource | None,
        record: Record,
    ) -> None:
        """``samples`` are the run's data; None where nothing will be fired."""
        self._learner, self._samples, self._record = learner, samples, record
        self._declared = {name: each.measure for name, each in interventions.items() if each.measure is not None}

    @contextmanager
    def measured(self, name: str, fired: Tensor, seeds: Tensor) -> Iterator[None]:
        """Measure what the block does, a firing for the ``seeds`` of a mask after ``fired [S]`` others."""
        measure = self._declared.get(name)
        wanted = seeds & (fired < (measure.firings if measure else 0))
        if measure is None or not wanted.any():
            yield
            return
        streams = [("effect", name, int(count)) for count in fired.tolist()]
        without = self._fork(measure, streams)
        yield
        self._write(name, measure, wanted, without, self._fork(measure, streams))

    @timed("effects of interventions")
    def _fork(self, measure: EffectMeasure, streams: Sequence[tuple[str | int, ...]]) -> Rows:
        """Means of signals in each part of the horizon, from the present state, which is put back."""
        learner = self._learner
        with torch.enable_grad(), _put_back(learner):
            drawn, noisy = (self._generators(streams, of) for of in ("data", "noise"))
            learner.drain_signals()
            rows = []
            for part in range(BLOCKS):
                for _ in range(measure.updates * part // BLOCKS, measure.updates * (part + 1) // BLOCKS):
                    self._update(drawn, noisy)
                rows.append(learner.drain_signals())
            return rows

    def _update(self, drawn: list[torch.Generator], noisy: Sequence[torch.Generator]) -> None:
        learner = self._learner
        assert self._samples is not None, "nothing is fired where there are no data"
        transitions = self._samples.sample(learner.batch_size, learner.n_step, learner.discount, drawn)
        noise = {
            name: torch.stack([torch.randn(value.shape[1:], generator=g, device=g.device) for g in noisy])
            for name, value in learner.noise[0].items()
        }
        with torch.no_grad():
            extra = learner.default_extras(transitions)
        learner.learn_with_noise([noise], [Minibatch(transitions, extra)])

    def _generators(self, streams: Sequence[tuple[str | int, ...]], of: str) -> list[torch.Generator]:
        """One per seed, where the run's own draw: batches where the data are, noise where the learner is."""
        own = self._learner.replay_generators if of == "data" else [None] * len(streams)
        seeds = zip(self._learner.seeds, streams, own, strict=True)
        return [
            torch.Generator(each.device if each is not None else self._learner.device).manual_seed(
                derive(seed, *stream, of)
            )
            for seed, stream, each in seeds
        ]

    def _write(self, name: str, measure: EffectMeasure, seeds: Tensor, without: Rows, with_it: Rows) -> None:
        """A row of metrics for each seed that fired: per signal its effect, and the interval over parts."""
        for seed in torch.nonzero(seeds).flatten().tolist():
            row: dict[str, float] = {}
            for signal in measure.chosen([*without[0][seed]]):
                differences = [new[seed][signal] - old[seed][signal] for old, new in zip(without, with_it, strict=True)]
                row[effect_name(name, signal)] = sum(differences) / BLOCKS
                ends = zip(BOUNDS, mean_interval(differences), strict=True)
                row |= {effect_name(name, signal, bound): end for bound, end in ends}
            self._record(seed, row)


@contextmanager
def _put_back(learner: Learner) -> Iterator[None]:
    """Every tensor of the learner, and torch's own random stream, is as before after the block."""
    state = {**learner.tensors(), **{f"priorities/{name}": value for name, value in learner.reports.items()}}
    before = {name: value.detach().clone() for name, value in state.items()}
    random = torch.get_rng_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in state.items():
                value.copy_(before[name])
        torch.set_rng_state(random)
