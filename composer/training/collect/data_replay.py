"""Draws from a data set and from an agent's own transitions: from the one, from both, or from the other.

Legend: S seeds, B batch. Tests: tests/training/test_offline.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from typing_extensions import override

from composer.replay.ring import randint
from composer.replay.transitions import Minibatch, Transitions
from composer.training.collect.base import TransitionSource, without_prefix
from composer.training.resting import unmoved

if TYPE_CHECKING:
    from composer.replay.ring import Ring
    from composer.training.collect.off_policy import ReplayMemory
    from composer.training.learner import Learner

_DATA = "data/"


class DataSource(TransitionSource):
    """The rings of a data set and of own transitions, drawn from in the share that is declared."""

    def __init__(self, data: Ring, own: Ring, online: Literal["mix", "keep", "replace"]) -> None:
        """``data`` is of one seed; ``online`` is that of ``Offline``."""
        self.data, self.own, self._online = data, own, online
        self.is_online = False
        """Whether the agent acts."""

    @override
    def sample(self, batch: int, n_step: int, discount: Tensor, generators: list[torch.Generator]) -> Transitions:
        """From both in their shares."""
        own = self.own_of(batch)
        if self._online == "keep" and self.is_online:
            own = round(batch * self.own.drawable / (self.own.drawable + self.data.drawable))
        if not own:
            return self.data.sample(batch, n_step, discount, generators)
        drawn = self.own.sample(own, n_step, discount, generators)
        return joined(drawn, self.data.sample(batch - own, n_step, discount, generators)) if own < batch else drawn

    @override
    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """Own ones; the last ones of the data while there are none."""
        if self.own.drawable:
            return self.own.newest(batch, n_step, discount)
        found = self.data.newest(batch, n_step, discount[:1])
        return Transitions(*(each.expand(len(discount), *each.shape[1:]) for each in found))

    def own_of(self, batch: int) -> int:
        """How many samples of a batch are own transitions, where their number is fixed."""
        share = {"mix": batch // 2, "replace": batch, "keep": 0}[self._online]
        return share if self.is_online and self.own.drawable >= share else 0


class DataReplay:
    """Minibatches from a data set and from own transitions, each with its own priorities where they have some."""

    def __init__(
        self, data: ReplayMemory, own: ReplayMemory, online: Literal["mix", "keep", "replace"], learner: Learner
    ) -> None:
        """``data`` draws from a ring of one seed, that is full of transitions."""
        self.source = DataSource(data.ring, own.ring, online)
        self._data, self._own, self._learner, self._online = data, own, learner, online
        self._split = 0
        """How many samples of the last batch were own ones, the first ones."""
        self.can_prefetch = data.can_prefetch
        data.enter_all()

    def draw(self) -> Minibatch:
        """The minibatch of the next update; own transitions come first."""
        batch = self._learner.batch_size
        if self._online == "keep" and self.source.is_online and self._own.ring.drawable:
            return self._draw_uniformly(batch)
        self._split = own = self.source.own_of(batch)
        if not own:
            return self._data.draw()
        if own == batch:
            return self._own.draw()
        mine, theirs = self._own.draw_some(own), self._data.draw_some(batch - own)
        extra = {name: torch.cat([value, theirs.extra[name]], 1) for name, value in mine.extra.items()}
        return Minibatch(joined(mine.transitions, theirs.transitions), extra)

    def learned(self) -> None:
        """Called after the update on the minibatch drawn last."""
        if self._split:
            self._own.report(slice(self._split))
        if self._split < self._learner.batch_size:
            self._data.report(slice(self._split, None))

    def tensors(self) -> dict[str, Tensor]:
        """The priorities of the data by name; the data themselves are read again."""
        return {f"{_DATA}{name}": value for name, value in self._data.priority_tensors().items()}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` gave."""
        self._data.load_priorities(without_prefix(_DATA, saved))

    def _draw_uniformly(self, batch: int) -> Minibatch:
        """From all transitions of both, with equal chances."""
        learner, own, count = self._learner, self._own.ring, self._data.ring.drawable
        with unmoved(learner.replay_generators, learner.active):
            numbers = randint(count + own.drawable, batch, learner.replay_generators).to(own.device)
        is_own = numbers >= count
        mine = self._own.read(own.slots(torch.where(is_own, numbers - count, 0)))
        theirs = self._data.read(torch.where(is_own, 0, numbers))
        mask = own.sent([is_own])[0]
        chosen = (_where(mask, *both) for both in zip(mine.transitions, theirs.transitions, strict=True))
        extra = {name: _where(mask, value, theirs.extra[name]) for name, value in mine.extra.items()}
        return Minibatch(Transitions(*chosen), extra)


def joined(first: Transitions, second: Transitions) -> Transitions:
    """Two batches in one, in order."""
    return Transitions(*(torch.cat(both, 1) for both in zip(first, second, strict=True)))


def _where(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(mask.view(*mask.shape, *[1] * (yes.ndim - 2)), yes, no)
