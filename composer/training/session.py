"""The whole state of a run: what a checkpoint holds, and how it is put back.

``Session.snapshot`` lists every stateful object: what it leaves out does not survive a kill, and a test fails.
Tests: tests/faults/test_state.py.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from composer.interventions.clocks import ClockName
from composer.spec.errors import ComposerError
from composer.training.compile.capture import Choice
from composer.training.divergence import ensure_finite, keep_batch
from composer.training.profiling import timed
from composer.training.runs.best import AGENT_ONLY, Best, agent_of, better
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.blueprint import Checkpoint, Evaluation, Training
    from composer.blueprint.forecast.clock import Clock
    from composer.replay.transitions import Minibatch
    from composer.spec.metrics import Metric
    from composer.tracking.journal import Journal
    from composer.tracking.uploader import Uploader
    from composer.training.collect.base import Collector
    from composer.training.compile_ahead import BackgroundCompiler
    from composer.training.diagnose.recorder import Recorder
    from composer.training.evaluation import Evaluator
    from composer.training.learner import Learner
    from composer.training.surgery.apply import Surgery
    from composer.training.time_left import TimeLeft


@dataclass
class Session:
    """Everything that trains one run. Made by ``composer.training.assemble``."""

    seeds: tuple[int, ...]
    metric: Metric
    """The evaluation metric."""
    training: Training
    evaluation: Evaluation
    checkpoint: Checkpoint
    updates_per_call: int
    learner: Learner
    collector: Collector
    evaluator: Evaluator
    clock: Clock
    journal: Journal
    timing: Journal
    checkpoints: Checkpoints
    diagnostics: Recorder
    upload: Callable[[], Uploader]
    """Starts the process that sends the journal to the tracking store; training never waits for it."""
    uploader: Uploader | None = None
    """That process, once started."""
    films: bool = False
    """Whether episodes are filmed at the end of the run."""
    title: str = ""
    """The name of the run among those that train beside it."""
    compiler: BackgroundCompiler | None = None
    """The process that compiles the update while the run trains eagerly, until it is done."""
    compile_problem: str | None = None
    """How compiling the update has failed, where it has."""
    say: Callable[[str], None] = lambda text: None
    """Shows a line to whoever watches the run."""
    surgery: Surgery = field(init=False)
    """The interventions on the learner."""
    time_left: TimeLeft = field(init=False)
    """Measures what training takes."""
    firings: dict[str, Counter[int]] = field(default_factory=dict)
    """How often interventions have fired, by name and seed, since people were told."""
    is_stopping: bool = False
    """Whether a signal asks the run to save itself: updates that were held back are then left for later."""
    is_evaluating: bool = False
    """Whether an evaluation has begun and not ended: one that failed is repeated by the run that continues."""
    last_batch: Minibatch | None = None
    """The batch of the last update of this process."""
    saved_failure: bool = False
    """Whether the state was saved after an environment failed."""
    returns: list[list[float]] = field(default_factory=list)
    """Returns of the last evaluation, by seed and episode."""
    best: Best | None = None
    """The best evaluation so far; the journal tells it to a run that continues."""
    _last_speed: tuple[float, int, int] | None = None
    """Seconds, updates and environment steps at the last row of speed."""

    @property
    def is_finished(self) -> bool:
        """Whether the run has taken all its environment steps, and made the updates that are due after them."""
        return self.clock.env_steps >= self.training.env_steps and not self.collector.is_behind

    def counts(self) -> dict[ClockName, int]:
        """Environment steps, interactions and updates so far, by the name of their clock."""
        clock = self.clock
        return {"env": clock.env_steps, "interaction": clock.interactions, "update": clock.updates}

    def record(self, kind: str, **row: Any) -> None:
        """Append one row at the present environment step to the journal."""
        self.journal.append({"type": kind, "env_step": self.clock.env_steps, **row})

    def record_firing(self, seed: int, event: Mapping[str, Any]) -> None:
        """Append an event of the seed with this index."""
        self.firings.setdefault(event["name"], Counter())[self.seeds[seed]] += event.get("firings", 1)
        self.record("event", seed=self.seeds[seed], **event)

    def learn(self, batches: Sequence[Minibatch]) -> None:
        """One update per batch, in one call of the learner, and of what learns beside it."""
        self.learner.learn(batches)
        self.surgery.learned(batches)

    def record_effects(self, seed: int, metrics: Mapping[str, float]) -> None:
        """Append measured effects of a firing for the seed with this index; no trigger reads them."""
        self.record("metrics", seed=self.seeds[seed], metrics=metrics)

    @timed("logging")
    def record_speed(self) -> None:
        """Append the speed since the last call to a journal of its own, so that equal runs have equal journals."""
        now, before = time.monotonic(), self._last_speed
        self._last_speed = (now, self.clock.updates, self.clock.env_steps)
        if before is not None:
            seconds = max(now - before[0], 1e-9)
            metrics = {
                "speed/updates_per_second": (self.clock.updates - before[1]) / seconds,
                "speed/env_steps_per_second": (self.clock.env_steps - before[2]) / seconds,
            }
            row = {"type": "timing", "env_step": self.clock.env_steps, "seed": None, "metrics": metrics}
            left = self.time_left.seconds()
            self.timing.append(row | ({"seconds_left": round(left, 1)} if math.isfinite(left) else {}))

    def ensure_uploading(self) -> None:
        """Start the upload again if its process has died."""
        if self.uploader is not None:
            self.uploader.ensure_running()

    def switch_to_compiled(self) -> None:
        """Go on with the compiled update once another process has compiled it; stay eager where that failed."""
        problem = None if self.compiler is None else self.compiler.problem()
        if problem is None:
            return
        self.compiler = None
        if problem:
            self.note_compile_failure(problem)
            return
        self.learner.recapture(Choice(True, "compiled by another process", falls_back=True))
        self.record("event", seed=None, name="compiled", update=self.clock.updates)

    def note_compile_failure(self, problem: str) -> None:
        """Record and say that updates are eager, because compiling them fails."""
        self.compile_problem = problem
        self.record("event", seed=None, name="compiled", update=self.clock.updates, failed=problem)
        self.say(f"the update is eager: it could not be compiled: {problem}")

    def flush(self, sync: bool = False) -> None:
        """Write waiting rows to the journals; with ``sync``, down to the disk."""
        self.timing.flush()  # First: the uploader looks up there when a row of the journal was written.
        self.journal.flush(sync=sync)

    @timed("checkpoints")
    def save(self) -> None:
        """Write a checkpoint; only between interactions. Raises Diverged, and saves nothing, for a diverged agent."""
        ensure_finite(self.learner.tensors(), self.seeds)
        self.flush(sync=True)
        self.collector.save(self.checkpoints)
        self.checkpoints.save(self.clock.env_steps, self.snapshot())

    @timed("checkpoints")
    def keep_if_best(self, values: Sequence[float]) -> None:
        """Write the agent if its evaluation, ``values`` by seed, is the best so far: before interventions answer it."""
        step = self.clock.env_steps
        if (found := better(step, values, self.best)) is None:
            return
        agent = agent_of({**self.learner.tensors(), **self.surgery.tensors()})
        about = {"interactions": self.clock.interactions, AGENT_ONLY: True}
        self.checkpoints.best.save(step, Snapshot(agent, about), self.checkpoints.steps())
        self.best = found

    def keep_last_batch(self, failure: Exception) -> None:
        """Keep the batch after which the run has diverged; the journal and the message of ``failure`` name it."""
        event = {"name": "diverged", "reason": str(failure)}
        if self.last_batch is not None:
            with suppress(ComposerError, OSError):
                event["batch"], where = keep_batch(self.checkpoints.run, self.last_batch)
                failure.args = (f"{failure}; {where}", *failure.args[1:])
        self.record("event", seed=None, **event)

    def save_failure(self) -> None:
        """Save the last whole state after an environment has failed, if there is one; the failure comes first."""
        if self.collector.can_save_failure:
            with suppress(ComposerError, OSError):
                self.save()
                self.saved_failure = True

    def snapshot(self) -> Snapshot:
        """The whole state, except what the collector writes to files of its own."""
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
        if counted := self.surgery.counts.state():
            values["firings"] = counted
        if self.clock.held:
            values["held"] = self.clock.held
        if self.is_evaluating:
            values["is_evaluating"] = True
        return Snapshot(tensors, values, collected.segments)

    def restore(self, snapshot: Snapshot) -> None:
        """Put a checkpoint back, in place; whoever opened the journals has cut them to it."""
        self.surgery.restore(snapshot.tensors)
        self.learner.load(snapshot.tensors)
        for name, generator in self.learner.generators().items():
            generator.set_state(snapshot.tensors[f"random/{name}"].contiguous())
        self.collector.restore(snapshot, self.checkpoints)
        names = snapshot.values["diagnostics"]
        self.diagnostics.load({name: snapshot.tensors[f"diagnostics/{name}"] for name in names})
        self.clock.interactions = snapshot.values["interactions"]
        self.clock.held = snapshot.values.get("held", 0) if self.collector.assessment is not None else 0
        self.returns = snapshot.values["returns"]
        self.surgery.counts.load(snapshot.values.get("firings", {}), self.learner.device)
        self.is_evaluating = snapshot.values.get("is_evaluating", False)

    def close(self) -> None:
        """Close environments and journals, each even where another one raises."""
        with ExitStack() as stack:
            for each in (self.timing, self.journal, self.evaluator, self.collector, self.compiler):
                if each is not None:
                    stack.callback(each.close)
