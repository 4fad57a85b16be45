"""The replay memory: a ring of transitions, drawn uniformly or by priorities.

A batch is finished on the device of the ring. Where that is the host and updates run on a GPU, uniform draws never wait
for the GPU, unless discount or window length follow a schedule. Priorities live on the host too: each update then costs
one transfer from the GPU, and one wait for it.
Legend: S seeds, B batch. Tests: tests/replay/test_sending.py, tests/training/test_loop.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from composer.replay.sequences import Remembered, sequences
from composer.replay.transitions import BURST, BurstMinibatch, Minibatch, Transitions
from composer.training.collect.base import TransitionMemory, without_prefix
from composer.training.profiling import timed
from composer.training.resting import unmoved

if TYPE_CHECKING:
    from composer.algorithms.declared import Bursts
    from composer.replay.priorities import Priorities
    from composer.replay.ring import Ring
    from composer.replay.sampling import Sampling
    from composer.training.learner import Learner

_REMEMBERED, _KEPT, _REFRESHED = "acting/", "kept/", "refreshed/"


class ReplayMemory(TransitionMemory):
    """Transitions that are drawn again and again until they are overwritten."""

    def __init__(
        self,
        ring: Ring,
        sampling: Sampling,
        future: int,
        learner: Learner,
        bursts: Bursts | None = None,
        sequence: int = 0,
    ) -> None:
        """Each sampled transition comes with the ``future`` transitions after it; with ``bursts``, only in these.

        Or, with ``sequence``, with so many observations of its environment that begin there.
        """
        super().__init__(ring, learner)
        learner.draw_on(ring.device)
        self._future, self._sequence = future, sequence
        self._kept = self._build_kept()
        """What acting remembered after each transition's observation; None where the algorithm reads nothing of it."""
        self._build_priorities = partial(sampling.build, len(learner.seeds), ring.capacity, ring.device, learner.device)
        self._priorities = self._build_priorities()
        self.can_prefetch = self._priorities is None and bursts is None and self._kept is None
        self._slots, self._bursts = torch.zeros(0), bursts
        self._remembered: Mapping[str, Tensor] = {}
        """What acting remembers after the newest transition, ``[S, E, ...]`` by name; empty where it remembers none."""
        self._discount = learner.discount.to(ring.device)

    @override
    def act(self, observation: Tensor) -> Tensor:
        learner = self._learner
        return self._act_from_memory(observation) if learner.program.acting_memory else learner.act(observation)

    @timed("policy: choosing actions")
    @torch.no_grad()
    def _act_from_memory(self, observation: Tensor) -> Tensor:
        learner, starts = self._learner, self.ring.begins().to(self._learner.device)
        held = self._remembered or learner.policy.empty_memory(observation.shape[1])
        action, after = learner.policy.explore_from_memory(learner.normalised(observation), starts, held)
        self.acted = {_REMEMBERED + name: value for name, value in after.items()}
        return action

    @override
    def add(self, *transition: Tensor) -> None:
        before, ring = self.ring.added, self.ring
        ring.add(*transition)
        # A random action leaves nothing in ``acted``: nothing is remembered after it.
        self._remembered, self.acted = without_prefix(_REMEMBERED, self.acted), {}
        arrived = torch.arange(before, ring.added, device=ring.device) % ring.capacity
        if self._kept is not None:
            self._kept.store(arrived, self._remembered)
        if self._priorities is not None:
            self._priorities.enter(arrived)
            self._leave_stale(self._priorities)

    @override
    def clear(self) -> None:
        super().clear()
        self._priorities, self._kept, self._remembered = self._build_priorities(), self._build_kept(), {}

    @override
    def draw(self) -> Minibatch:
        return self.draw_some(self._learner.batch_size)

    @override
    def burst(self, update: int) -> Iterator[Minibatch]:
        if self._bursts is None or update % self._bursts.every:
            return
        learner, names = self._learner, self._learner.program.burst_extras
        facts = self.ring.sent(self.ring.rewards_held())
        with torch.no_grad():
            learner.program.begin_burst(*facts)
        for number in range(self._bursts.updates):
            slots, *_ = self._draw(learner.batch_size)
            first, future = self.ring.windows(slots, 1, self._discount), self.ring.future(slots, self._future)
            sent = self.ring.sent([*first, *(future[name] for name in names)])
            extra = dict(zip(names, sent[len(first) :], strict=True))
            extra |= {} if number else dict(zip(BURST, facts, strict=True))
            yield BurstMinibatch(Transitions(*sent[: len(first)]), extra)

    def draw_some(self, count: int) -> Minibatch:
        """``count`` transitions of each seed."""
        return self.read(*self._draw(count))

    def _draw(self, count: int) -> tuple[Tensor, ...]:
        """Slots ``[S, count]``, and the probabilities that they were drawn with where there are priorities."""
        learner, generators = self._learner, self._learner.replay_generators
        with unmoved(generators, learner.active):
            if self._sequence:
                return (self.ring.indices_before(self._sequence, count, generators),)
            if self._priorities is None:
                return (self.ring.indices(count, generators),)
            return self._priorities.draw(count, generators)

    def read(self, slots: Tensor, drawn_with: Tensor | None = None) -> Minibatch:
        """The transitions at ``slots [S, B]``, which were drawn with probabilities ``drawn_with [S, B]``."""
        self._slots = slots
        learner, ring = self._learner, self.ring
        probabilities = [] if drawn_with is None else [drawn_with]
        future = ring.future(slots, self._future) if self._future and self._bursts is None else {}
        future = {name: value for name, value in future.items() if name in learner.program.extras}
        if self._sequence:
            future, self._slots = sequences(ring, slots, self._sequence)
        if self._kept is not None:
            future |= {f"remembered/{name}": value for name, value in self._kept.at(slots).items()}
        discount = learner.discount if learner.horizon.changes else self._discount
        drawn = ring.windows(slots, learner.n_step, discount, learner.horizon.lengths)
        sent = iter(ring.sent([*drawn, *future.values(), *probabilities]))
        transitions = Transitions(*islice(sent, len(drawn)))
        extra = dict(zip(future, islice(sent, len(future)), strict=True))
        if self._priorities is not None:
            extra["weight"] = self._priorities.weights(next(sent), ring.size, learner.updates)
        elif "weight" in learner.program.extras:
            extra["weight"] = torch.ones(slots.shape, device=learner.device)
        return Minibatch(transitions, extra)

    def enter_all(self) -> None:
        """Give every transition of a ring that was filled at once the priority of a new one."""
        if self._priorities is not None:
            self._priorities.enter(torch.arange(self.ring.size, device=self.ring.device))

    @override
    def learned(self) -> None:
        self.report(slice(None))
        if self._kept is not None:
            found = without_prefix(_REFRESHED, self._learner.reports)
            self._kept.write(self._slots[..., 1:], found, self._learner.active)

    def report(self, samples: slice) -> None:
        """Set the priorities of what was drawn last, which is these ``samples`` of the batch of the last update."""
        if self._priorities is not None:
            errors = self._learner.reports["priority"][:, samples].to(self.ring.device)
            self._priorities.report(self._slots, errors, self._learner.active)

    @override
    def tensors(self) -> dict[str, Tensor]:
        remembered = {_REMEMBERED + name: value for name, value in self._remembered.items()}
        kept = {} if self._kept is None else self._kept.tensors()
        return super().tensors() | self.priority_tensors() | remembered | {_KEPT + name: kept[name] for name in kept}

    @override
    def load(self, saved: Mapping[str, Tensor]) -> None:
        super().load(saved)
        self.load_priorities(saved)
        if self._kept is not None:
            self._kept.load(without_prefix(_KEPT, saved), self.ring.added)
        remembered, declared = without_prefix(_REMEMBERED, saved), self._learner.program.acting_memory
        # A fork may remember other things, or nothing: it begins with nothing.
        if {name: (*value.shape[2:],) for name, value in remembered.items()} == dict(declared):
            self._remembered = {name: value.to(self._learner.device, copy=True) for name, value in remembered.items()}

    def priority_tensors(self) -> dict[str, Tensor]:
        """The priorities by name; empty where there are none."""
        return {} if self._priorities is None else self._priorities.tensors()

    def load_priorities(self, saved: Mapping[str, Tensor]) -> None:
        """Load what ``priority_tensors`` gave."""
        if self._priorities is not None:
            self._priorities.load(saved, self.ring.added)
            self._leave_stale(self._priorities)

    def _build_kept(self) -> Remembered | None:
        refreshed, learner, ring = self._learner.program.refreshed, self._learner, self.ring
        shapes = {name.removeprefix(_REFRESHED): shape[1:] for name, shape in refreshed.items()}
        return Remembered(shapes, len(learner.seeds), ring.capacity, ring.device) if shapes else None

    def _leave_stale(self, priorities: Priorities) -> None:
        """Remove the oldest transitions of a full ring that can no longer be drawn."""
        ring = self.ring
        if ring.stale and ring.added >= ring.capacity:
            gone = torch.arange(ring.added, ring.added + ring.stale, device=ring.device)
            priorities.leave(gone % ring.capacity)
