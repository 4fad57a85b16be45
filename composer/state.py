"""The whole state of a run in one place: what a checkpoint holds, and how it is put back.

Every stateful object is listed in ``Parts.snapshot``: what is not there does not survive a kill, and a test fails.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from composer.checkpoint import Checkpoints, Segment, Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.blueprint import Blueprint
    from composer.clock import Clock
    from composer.environments.base import Step, VectorEnvironment
    from composer.evaluation import Evaluator
    from composer.experience.replay import Replay
    from composer.learner import Learner
    from composer.surgery import Surgery
    from composer.tracking.journal import Journal
    from composer.tracking.uploader import Uploader


class Episodes:
    """Returns and lengths of training episodes that ended since the last row of metrics."""

    def __init__(self, seeds: int) -> None:
        """No episode has ended."""
        self.totals = np.zeros((seeds, 3))

    def count(self, step: Step) -> None:
        """Take in the episodes that ended in one decision of S × E environments."""
        ended = step.terminated | step.truncated
        if ended.any():
            each = np.stack([ended, step.episode_return * ended, step.episode_length * ended], -1)
            self.totals += each.reshape(len(self.totals), -1, 3).sum(1)

    def drain(self) -> list[dict[str, float]]:
        """Mean return and length a seed, empty where none ended; starts anew."""
        rows = [
            {"training/return": float(total / n), "training/episode_length": float(length / n)} if n else {}
            for n, total, length in self.totals
        ]
        self.totals[:] = 0
        return rows


@dataclass
class Parts:
    """Everything a run is made of. Built by ``composer.assemble``."""

    blueprint: Blueprint
    device: str
    shape: tuple[int, int]
    """(S, E): seeds, and environments of a seed."""
    learner: Learner
    environments: VectorEnvironment
    evaluator: Evaluator
    replay: Replay
    clock: Clock
    journal: Journal
    timing: Journal
    uploader: Uploader
    checkpoints: Checkpoints
    episodes: Episodes
    surgery: Surgery = field(init=False)
    """What is done to networks while they learn."""
    observation: NDArray[np.float32] = field(init=False)
    """``[S * E, d]``: what to act on next."""
    returns: list[list[float]] = field(default_factory=list)
    """Returns of the last evaluation, by seed and episode."""
    segments: list[Segment] = field(default_factory=list)
    """Replay rows already on disk."""
    _mark: tuple[float, int, int] | None = None

    def record(self, kind: str, **row: Any) -> None:
        """Append one row at the present environment step to the journal."""
        self.journal.append({"type": kind, "env_step": self.clock.env_steps, **row})

    def record_metrics(self, seed: int, metrics: dict[str, float]) -> None:
        """Append a row of metrics of one seed; interventions that wait for a metric see it."""
        self.record("metrics", seed=seed, metrics=metrics)
        clock = {"env": self.clock.env_steps, "interaction": self.clock.interactions, "update": self.clock.updates}
        self.surgery.read(self.blueprint.seeds.index(seed), metrics, clock)

    def record_timing(self) -> None:
        """Speed since the last call, in a journal of its own: equal runs have equal journals. Revives the uploader."""
        now, before = time.monotonic(), self._mark
        self._mark = (now, self.clock.updates, self.clock.env_steps)
        if before is not None:
            seconds = max(now - before[0], 1e-9)
            metrics = {
                "speed/updates_per_second": (self.clock.updates - before[1]) / seconds,
                "speed/env_steps_per_second": (self.clock.env_steps - before[2]) / seconds,
            }
            self.timing.append({"type": "timing", "env_step": self.clock.env_steps, "seed": None, "metrics": metrics})
        self.flush()
        self.uploader.revive()

    def flush(self, sync: bool = False) -> None:
        """Write waiting rows, down to the device with ``sync``."""
        self.timing.flush()  # First, so that the uploader finds the time at which a row of the journal was written.
        self.journal.flush(sync=sync)

    def save(self) -> None:
        """Write a checkpoint of the present moment; only between interactions. A diverged agent is not saved."""
        self.learner.assert_finite()
        self.flush(sync=True)
        held = self.replay.added - self.replay.size
        written = self.segments[-1].stop if self.segments else 0
        if self.replay.added > max(written, held):
            start = max(written, held)
            self.segments.append(self.checkpoints.append_rows(start, self.replay.rows(start, self.replay.added)))
        self.segments = [segment for segment in self.segments if segment.stop > held]
        self.checkpoints.save(self.clock.env_steps, self.snapshot())

    def snapshot(self) -> Snapshot:
        """The whole state but for the replay rows, which are in the segments."""
        tensors = dict(self.learner.tensors())
        tensors |= {f"random/{name}": generator.get_state() for name, generator in self.learner.generators().items()}
        tensors |= {
            f"environment/{name}": torch.from_numpy(np.array(value))
            for name, value in self.environments.state().items()
        }
        tensors |= self.surgery.tensors()
        tensors["episodes"] = torch.from_numpy(self.episodes.totals.copy())
        values = {
            "interactions": self.clock.interactions,
            "replay_added": self.replay.added,
            "replay_start": self.replay.added - self.replay.size,
            "journal_offset": self.journal.offset,
            "returns": self.returns,
        }
        return Snapshot(tensors, values, tuple(self.segments))

    def restore(self, snapshot: Snapshot) -> None:
        """Put a checkpoint back, in place; the journals are cut to it by whoever opened them."""
        self.surgery.restore(snapshot.tensors)
        self.learner.load(snapshot.tensors)
        for name, generator in self.learner.generators().items():
            generator.set_state(snapshot.tensors[f"random/{name}"].contiguous())
        prefix = "environment/"
        state = {
            name.removeprefix(prefix): t.numpy() for name, t in snapshot.tensors.items() if name.startswith(prefix)
        }
        self.observation = self.environments.load_state(state)
        self.episodes.totals[:] = snapshot.tensors["episodes"].numpy()
        for start, rows in self.checkpoints.rows(snapshot):
            skip = max(0, snapshot.values["replay_start"] - start)
            self.replay.restore(start + skip, rows[skip:])
        self.segments = list(snapshot.segments)
        self.clock.interactions = snapshot.values["interactions"]
        self.returns = snapshot.values["returns"]

    def close(self) -> None:
        """Close environments and journals."""
        self.environments.close()
        self.evaluator.close()
        self.journal.close()
        self.timing.close()
