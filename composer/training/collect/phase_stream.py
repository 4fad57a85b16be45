"""TaskCollector in phases: batches of the phase that each seed is in, which may end early.

Where phases last as long as planned, all follows from the count of interactions. Where they may end early, it is state:
which phase a seed is in, since when, and what it has read of the held-out loss.
Legend: S seeds. Tests: tests/environments/test_phases.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from composer.replay.transitions import Minibatch
from composer.training.collect.base import Collector
from composer.training.collect.phase_batches import HeldOutData, PhaseBatches
from composer.training.collect.task_stream import explained_share
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.labelled.phases import Phase, Phases
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner

POSITION, LOSSES = "phases/position", "phases/losses"


class PhaseCollector(Collector):
    """Batches of the present phases. ``switched`` is told, between updates, which seeds change to which phase."""

    replay: PhaseBatches

    def __init__(self, environment: Phases, learner: Learner) -> None:
        """Loads the data."""
        self._environment, self._learner, self._plan = environment, learner, environment.plan
        self.replay = PhaseBatches(environment, learner.seeds, learner.batch_size, learner.device)
        count = len(learner.seeds)
        self._next = 0
        self._position = torch.zeros(3, count, dtype=torch.int64)
        """Phase, interactions before it, and readings in a row that were no better than the best."""
        self._losses = torch.full((2, count), math.inf, dtype=torch.float64)
        """The least held-out loss of the phase, and the last one."""
        early = environment.stages_differ_by_seed
        self._held_out = (
            HeldOutData(environment, learner.seeds, learner.device, self.replay.standard) if early else None
        )

    def begin(self) -> None:
        """At the first batch of the first phase."""
        self._next = 0

    def interact(self, interactions: int) -> None:
        """Go to the next batch, and to the next phase where it is time."""
        self._next = interactions
        phases = self._position[0]
        over = self._over(interactions)
        if over.any():
            self._position[:, over] = torch.stack([phases + 1, torch.full_like(phases, interactions), 0 * phases])[
                :, over
            ]
            self._losses[0, over] = math.inf
            self._enter()
            for number in phases[over].unique().tolist():
                self.switched(over & (phases == number), number)

    def batch(self) -> Minibatch:
        """It."""
        return Minibatch(self.replay.at(self._next))

    def epochs(self, interactions: int) -> int:
        """Whole passes over what the phases held, summed; 0 where phases may end early."""
        return self._environment.epochs_by(interactions, self._learner.batch_size)

    def metrics(self) -> list[dict[str, float]]:
        """The phase of each seed, from 1, and the last held-out loss where phases wait for it."""
        rows = [{"training/phase": float(phase + 1)} for phase in self._position[0].tolist()]
        for row, loss in zip(rows, self._losses[1].tolist(), strict=True):
            if math.isfinite(loss):
                row["training/held_out_loss"] = loss
        return rows

    def save(self, checkpoints: Checkpoints) -> None:
        """Nothing."""

    def snapshot(self) -> Snapshot:
        """Where each seed is, if that does not follow from the count of interactions."""
        kept = {POSITION: self._position, LOSSES: self._losses} if self._environment.stages_differ_by_seed else {}
        return Snapshot(dict(kept), {}, ())

    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Back into the phases of a checkpoint; of a fork whose origin had none, into those that are planned."""
        done, batch = snapshot.values["interactions"], self._learner.batch_size
        number = self._environment.phase_of(max(done - 1, 0), batch)
        start = self._environment.starts(batch)[number]
        self._position.copy_(torch.tensor([[number], [start], [0]]).expand_as(self._position))
        if self._environment.stages_differ_by_seed and POSITION in snapshot.tensors:
            self._position.copy_(snapshot.tensors[POSITION])
            self._losses.copy_(snapshot.tensors[LOSSES])
            self._position[0].clamp_(max=len(self._plan) - 1)
        self._enter()

    def close(self) -> None:
        """Nothing."""

    def _enter(self) -> None:
        for seed, (number, start) in enumerate(self._position[:2].T.tolist()):
            self.replay.enter(seed, number, start)

    def _over(self, interactions: int) -> Tensor:
        """Which seeds have come to the end of their phase, ``[S]``."""
        stopped, over = self._stopped(interactions), []
        for seed, (number, start, _) in enumerate(self._position.T.tolist()):
            length = self._environment.length_of(self._plan[number], self._learner.batch_size)
            ended = length is not None and interactions - start >= length
            over.append(number + 1 < len(self._plan) and (ended or bool(stopped[seed])))
        return torch.tensor(over)

    def _stopped(self, interactions: int) -> Tensor:
        """Which seeds have waited long enough for a better held-out loss; reads it where it is time."""
        stops = [self._plan[number].early_stopping for number in self._position[0].tolist()]
        since = [interactions - start for start in self._position[1].tolist()]
        due = torch.tensor(
            [bool(stop and past and past % stop.every == 0) for stop, past in zip(stops, since, strict=True)]
        )
        if self._held_out is None or not due.any():
            return torch.zeros_like(due)
        losses = held_out_loss(self._learner, self._held_out, self._plan[0])
        better = losses < self._losses[0]
        self._losses[1] = torch.where(due, losses, self._losses[1])
        self._position[2] = torch.where(due, torch.where(better, 0, self._position[2] + 1), self._position[2])
        self._losses[0] = torch.where(due & better, losses, self._losses[0])
        patience = torch.tensor([stop.patience if stop else 0 for stop in stops])
        return due & (self._position[2] >= patience)


@torch.no_grad()
def held_out_loss(learner: Learner, held_out: HeldOutData, phase: Phase) -> Tensor:
    """Mean cross-entropy, or squared error, of the judged model, float64 ``[S]``, on the CPU."""
    total = torch.zeros(len(learner.seeds), dtype=torch.float64)
    count = torch.zeros_like(total)
    for said, labels in _judged(learner, held_out, phase):
        if labels.is_floating_point():
            each, counted = (said[..., 0].double() - labels).square(), torch.ones_like(labels)
        else:
            each = functional.cross_entropy(said.movedim(-1, 1).double(), labels, ignore_index=-1, reduction="none")
            counted = labels >= 0
        total += each.sum(1).cpu()
        count += counted.sum(1).cpu()
    return total / count


class HeldOutEvaluator:
    """Judges a model in evaluation mode on what is held out: by the share of right answers; of numbers by R squared."""

    can_record_video = False

    def __init__(self, environment: Phases, seeds: tuple[int, ...], batch: int, device: str) -> None:
        """Data of its own, so that an examination changes nothing."""
        self._environment, self._batch = environment, batch
        self._held_out = HeldOutData(environment, seeds, device)
        self.metric = environment.metric
        """What ``returns`` are, as the journal calls them."""

    @torch.no_grad()
    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Shares ``[S, 1]``, on the classes of the phase that batch ``number`` (from 1) belonged to, in its order."""
        phase = self._environment.plan[self._environment.phase_of(max(number - 1, 0), self._batch)]
        if self._environment.regression:
            pieces = [(said[..., 0], right) for said, right in _judged(learner, self._held_out, phase)]
            said, exact = (torch.cat(column, 1).double() for column in zip(*pieces, strict=True))
            explained: NDArray[np.float64] = explained_share(said, exact)[:, None].cpu().numpy()
            return explained
        right = torch.zeros(len(learner.seeds), 1, dtype=torch.float64)
        count = torch.zeros_like(right)
        for said, labels in _judged(learner, self._held_out, phase):
            right += (said.argmax(-1) == labels).sum(1, keepdim=True).cpu()
            count += (labels >= 0).sum(1, keepdim=True).cpu()
        return (right / count).numpy()

    def close(self) -> None:
        """Nothing."""


def _judged(learner: Learner, held_out: HeldOutData, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, labels in held_out.pieces(phase):
        yield learner.act(inputs, explore=False), labels
