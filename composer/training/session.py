"""The whole state of a run in one place: what a checkpoint holds, and how it is put back.

Every stateful object is listed in ``Session.snapshot``: what is not there does not survive a kill, and a test fails.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from composer.training.compile.capture import Choice
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.blueprint.forecast.clock import Clock
    from composer.tracking.journal import Journal
    from composer.tracking.uploader import Uploader
    from composer.training.collect.base import Collector
    from composer.training.collect.build import Judge
    from composer.training.compile_ahead import Ahead
    from composer.training.diagnose.recorder import Recorder
    from composer.training.evaluation import Evaluator
    from composer.training.learner import Learner
    from composer.training.surgery.apply import Surgery


@dataclass
class Session:
    """Everything a run is made of. Built by ``composer.training.assemble``."""

    blueprint: Blueprint
    device: str
    learner: Learner
    collector: Collector
    evaluator: Evaluator | Judge
    clock: Clock
    journal: Journal
    timing: Journal
    uploader: Uploader
    checkpoints: Checkpoints
    diagnostics: Recorder
    title: str = ""
    """What the run is called among others that are trained beside it."""
    ahead: Ahead | None = None
    """The process that compiles the update meanwhile, while there is one."""
    surgery: Surgery = field(init=False)
    """What is done to networks while they learn."""
    returns: list[list[float]] = field(default_factory=list)
    """Returns of the last evaluation, by seed and episode."""
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
        if self.ahead is not None:
            self._go_over(self.ahead)

    def _go_over(self, ahead: Ahead) -> None:
        """To the compiled update, as soon as it has been compiled; to no other, should that have failed."""
        outcome = ahead.outcome()
        if outcome is None:
            return
        self.ahead = None
        if not outcome:
            self.learner.recapture(Choice(True, "compiled by another process"))
        told = {"failed": outcome} if outcome else {}
        self.record("event", seed=None, name="compiled", update=self.clock.updates, **told)

    def flush(self, sync: bool = False) -> None:
        """Write waiting rows, down to the device with ``sync``."""
        self.timing.flush()  # First, so that the uploader finds the time at which a row of the journal was written.
        self.journal.flush(sync=sync)

    def save(self) -> None:
        """Write a checkpoint of the present moment; only between interactions. A diverged agent is not saved."""
        self.learner.assert_finite()
        self.flush(sync=True)
        self.collector.save(self.checkpoints)
        self.checkpoints.save(self.clock.env_steps, self.snapshot())

    def snapshot(self) -> Snapshot:
        """The whole state but for what the collector has written beside it."""
        tensors = dict(self.learner.tensors())
        tensors |= {f"random/{name}": generator.get_state() for name, generator in self.learner.generators().items()}
        collected = self.collector.snapshot()
        tensors |= collected.tensors
        tensors |= self.surgery.tensors()
        measured = self.diagnostics.tensors()
        tensors |= {f"diagnostics/{name}": value for name, value in measured.items()}
        values = {
            **collected.values,
            "interactions": self.clock.interactions,
            "journal_offset": self.journal.offset,
            "returns": self.returns,
            "diagnostics": sorted(measured),
        }
        return Snapshot(tensors, values, collected.segments)

    def restore(self, snapshot: Snapshot) -> None:
        """Put a checkpoint back, in place; the journals are cut to it by whoever opened them."""
        self.surgery.restore(snapshot.tensors)
        self.learner.load(snapshot.tensors)
        for name, generator in self.learner.generators().items():
            generator.set_state(snapshot.tensors[f"random/{name}"].contiguous())
        self.collector.restore(snapshot, self.checkpoints)
        names = snapshot.values["diagnostics"]
        self.diagnostics.load({name: snapshot.tensors[f"diagnostics/{name}"] for name in names})
        self.clock.interactions = snapshot.values["interactions"]
        self.returns = snapshot.values["returns"]

    def close(self) -> None:
        """Close collector and journals."""
        if self.ahead is not None:
            self.ahead.close()
        self.collector.close()
        self.evaluator.close()
        self.journal.close()
        self.timing.close()
