"""Training and evaluating in phases: batches of the phase that each seed is in, which may end early.

Where phases last as long as planned, the count of interactions decides everything. Where they may end early, the phase
of each seed, its start and the held-out losses of the phase are state.
Legend: S seeds, B batch, K classes. Tests: tests/environments/test_phases.py.
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
from typing_extensions import override

from composer.training.collect.labelled import LabelledCollector, r_squared
from composer.training.collect.phase_batches import HeldOutData, PhaseBatches
from composer.training.evaluation import Evaluator
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.labelled.phase import Phase
    from composer.environments.labelled.phases import Phases
    from composer.training.evaluation import Watch
    from composer.training.learner import Learner

POSITION, LOSSES = "phases/position", "phases/losses"


class PhaseCollector(LabelledCollector):
    """Batches of the present phases."""

    replay: PhaseBatches

    def __init__(self, environment: Phases, learner: Learner) -> None:
        """Loads the data; held-out data only where phases may end early."""
        batches = PhaseBatches(environment, learner.seeds, learner.batch_size, learner.device)
        super().__init__(batches, count := len(learner.seeds))
        self._environment, self._learner, self._plan = environment, learner, environment.plan
        self._position = torch.zeros(3, count, dtype=torch.int64)
        """Phase, interactions before it, and consecutive readings without a better loss, ``[3, S]``."""
        self._losses = torch.full((2, count), math.inf, dtype=torch.float64)
        """The smallest held-out loss of the phase, and the last one, ``[2, S]``."""
        self._held_out = None
        if environment.stages_differ_by_seed:
            self._held_out = HeldOutData(environment, learner.seeds, learner.device, self.replay.standardizer)

    @override
    def interact(self, interactions: int) -> None:
        super().interact(interactions)
        phases = self._position[0]
        over = self._over(interactions)
        if over.any():
            following = torch.stack([phases + 1, torch.full_like(phases, interactions), torch.zeros_like(phases)])
            self._position[:, over] = following[:, over]
            self._losses[0, over] = math.inf
            self._enter()
            for number in phases[over].unique().tolist():
                self.switched(over & (phases == number), number)

    @override
    def epochs(self, interactions: int) -> int:
        return self._environment.epochs_by(interactions, self._learner.batch_size)

    @override
    def metrics(self) -> list[dict[str, float]]:
        """The phase of each seed, from 1, and the last held-out loss where phases depend on it."""
        rows = [{"training/phase": float(phase + 1)} for phase in self._position[0].tolist()]
        for row, loss in zip(rows, self._losses[1].tolist(), strict=True):
            if math.isfinite(loss):
                row["training/held_out_loss"] = loss
        return rows

    @override
    def snapshot(self) -> Snapshot:
        kept = {POSITION: self._position, LOSSES: self._losses} if self._environment.stages_differ_by_seed else {}
        return Snapshot(dict(kept), {}, ())

    @override
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Continue in the phases of a checkpoint; a fork of a run without early stopping starts in the planned ones."""
        done, batch = snapshot.values["interactions"], self._learner.batch_size
        number = self._environment.phase_of(max(done - 1, 0), batch)
        start = self._environment.starts(batch)[number]
        self._position.copy_(torch.tensor([[number], [start], [0]]).expand_as(self._position))
        if self._environment.stages_differ_by_seed and POSITION in snapshot.tensors:
            self._position.copy_(snapshot.tensors[POSITION])
            self._losses.copy_(snapshot.tensors[LOSSES])
            self._position[0].clamp_(max=len(self._plan) - 1)
        self._enter()

    def _enter(self) -> None:
        for seed, (number, start) in enumerate(self._position[:2].T.tolist()):
            self.replay.enter(seed, number, start)

    def _over(self, interactions: int) -> Tensor:
        """Which seeds have reached the end of their phase, ``[S]``."""
        stopped, over = self._stopped(interactions), []
        for seed, (number, start, _) in enumerate(self._position.T.tolist()):
            length = self._environment.length_of(self._plan[number], self._learner.batch_size)
            ended = length is not None and interactions - start >= length
            over.append(number + 1 < len(self._plan) and (ended or bool(stopped[seed])))
        return torch.tensor(over)

    def _stopped(self, interactions: int) -> Tensor:
        """Which seeds have run out of patience, ``[S]``; reads the held-out loss of the seeds that are due."""
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
    """Mean cross-entropy, or squared error, of the evaluated model, float64 ``[S]``, on the CPU."""
    total = torch.zeros(len(learner.seeds), dtype=torch.float64)
    count = torch.zeros_like(total)
    for outputs, labels in _predictions(learner, held_out, phase):
        if labels.is_floating_point():
            each, counted = (outputs[..., 0].double() - labels).square(), torch.ones_like(labels)
        else:
            logits = outputs.movedim(-1, 1).double()
            each = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
            counted = labels >= 0
        total += each.sum(1).cpu()
        count += counted.sum(1).cpu()
    return total / count


class HeldOutEvaluator(Evaluator):
    """Evaluates a model on held-out data: accuracy, or R squared of a regression."""

    can_record_video = False

    def __init__(self, environment: Phases, seeds: tuple[int, ...], batch: int, device: str) -> None:
        """Loads data of its own, so that an evaluation changes no training batch."""
        self._environment, self._batch, self.metric = environment, batch, environment.metric
        self._held_out = HeldOutData(environment, seeds, device)

    @torch.no_grad()
    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Scores ``[S, 1]`` on the classes and in the input order of the phase of batch ``number`` (from 1)."""
        phase = self._environment.plan[self._environment.phase_of(max(number - 1, 0), self._batch)]
        if self._environment.regression:
            pieces = [(outputs[..., 0], labels) for outputs, labels in _predictions(learner, self._held_out, phase)]
            predicted, target = (torch.cat(column, 1).double() for column in zip(*pieces, strict=True))
            scores: NDArray[np.float64] = r_squared(predicted, target)[:, None].cpu().numpy()
            return scores
        right = torch.zeros(len(learner.seeds), 1, dtype=torch.float64)
        count = torch.zeros_like(right)
        for outputs, labels in _predictions(learner, self._held_out, phase):
            right += (outputs.argmax(-1) == labels).sum(1, keepdim=True).cpu()
            count += (labels >= 0).sum(1, keepdim=True).cpu()
        return (right / count).numpy()

    def close(self) -> None:
        """Nothing is open."""


def _predictions(learner: Learner, held_out: HeldOutData, phase: Phase) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs ``[S, b, K]`` and labels ``[S, b]`` of held-out samples, in pieces."""
    for inputs, labels in held_out.pieces(phase):
        yield learner.act(inputs, explore=False), labels
