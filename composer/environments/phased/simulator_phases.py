"""Simulators in phases: games, tasks or physics one after another, or other views of one task.

Nothing here steps a simulator: ``composer.training.collect.phased`` does what is declared.
Tests: tests/environments/test_simulator_phases.py, tests/training/test_simulator_phases.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, cast

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.base import Environment, Simulator
from composer.environments.declared import PlannedStage, Staged
from composer.environments.interface import EnvironmentInfo, VectorEnvironment
from composer.environments.phased.common_spaces import common_info, space_problems
from composer.environments.phased.simulator_phase import LARGEST, SimulatorPhase, ensure_task
from composer.spec.family import Items
from composer.spec.metrics import Metric
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.environments.phased.view import View
    from composer.environments.vector.rows import Rows

MOST = 10_000
"""Most phases of a run."""


class PlannedPhase(NamedTuple):
    """A phase of the run, where cycles are counted one by one."""

    number: int
    """From 0, over all cycles."""
    declared: int
    """Its index in ``phases``."""
    phase: SimulatorPhase
    task: Simulator
    start: int
    """Environment steps before it."""


class SimulatorPhases(Simulator, kind="simulator_phases"):
    """A simulator in phases, which may come again in cycles: the tasks of continual reinforcement learning.

    At the end of a phase every running episode is truncated: its value is bootstrapped, no n-step window goes beyond
    it, and its return counts nowhere. The next phase begins with fresh episodes. Networks, optimizers and clocks go on;
    interventions on the clock ``phase`` act when the phase changes, before its first action. Evaluations play the task
    of the phase that has been trained on.
    """

    takes_skills: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = {
        "kind": "simulator_phases",
        "task": {"kind": "minatar", "game": "breakout"},
        "phases": [{"env_steps": 50_000}, {"task": {"kind": "minatar", "game": "freeway"}, "env_steps": 50_000}],
        "cycles": 1,
        "pad": True,
    }

    task: Environment
    """The simulator of all phases that name no other. Its ``copies``, ``workers`` and ``timeout_seconds`` are those of
    this table."""
    phases: Annotated[Items[SimulatorPhase], Field(min_length=1, max_length=1_000)]
    """The phases of a cycle, in order. A run that is longer than all cycles goes on in the last phase."""
    cycles: Annotated[int, Field(ge=1, le=MOST)] = 1
    """How often they come, one cycle after another."""
    replay: Literal["keep", "clear"] = "keep"
    """What becomes of the replay when a phase begins. ``clear`` empties it: updates then draw from what comes after."""
    statistics: Literal["keep", "reset"] = "keep"
    """Whether the running statistics of observations and rewards go on in the next phase, or begin anew."""
    pad: bool = False
    """Whether tasks may differ in size: observations are filled up with zeros at the end of their first axis (the
    channels of a picture), and an action that a task lacks is left out, or is its first one where actions are chosen.
    """
    evaluate_earlier: bool = False
    """Whether evaluations also play the other tasks of the last cycle, each as it was seen then."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        ensure_task(self.task)
        for index, phase in enumerate(self.phases):
            if phase.env_steps is None and (index + 1 < len(self.phases) or self.cycles > 1):
                raise PydanticCustomError(
                    "phase_endless",
                    "phase {at} has no length, and is not the last one of the run; give 'env_steps'",
                    {"at": index + 1},
                )
        if len(self.phases) * self.cycles > MOST:
            raise PydanticCustomError("phase_count", "a run has at most {most} phases", {"most": f"{MOST:,}"})
        if "action_repeat" not in self.model_fields_set:
            object.__setattr__(self, "action_repeat", cast(Simulator, self.task).action_repeat)
        return self

    @cached_property
    def plan(self) -> tuple[PlannedPhase, ...]:
        """Every phase of the run."""
        each = [*enumerate(self.phases)] * self.cycles
        starts = [0, *accumulate(phase.env_steps or 0 for _, phase in each)]
        return tuple(
            PlannedPhase(number, index, phase, self._stepped(phase.task or self.task), start)
            for number, ((index, phase), start) in enumerate(zip(each, starts, strict=False))
        )

    @property
    def tasks(self) -> tuple[Simulator, ...]:
        """The tasks of one cycle."""
        return tuple(planned.task for planned in self.plan[: len(self.phases)])

    def phase_of(self, interactions: int) -> int:
        """The phase, from 0, of interaction number ``interactions`` (from 0)."""
        return sum(planned.start <= interactions * self.stride for planned in self.plan) - 1

    def make_phase(
        self, number: int, seeds: Sequence[int], streams: Sequence[int], stream: str, is_evaluation: bool = False
    ) -> VectorEnvironment:
        """The environments of phase ``number`` as agents see them.

        There is one for each of ``streams``, in equal shares of ``seeds``, those of the run. Orders and shifts follow
        from the seed, so that training and evaluation see the same ones. Raises UnusableEnvironment and
        EnvironmentFailure.
        """
        from composer.environments.phased.view import viewed

        planned = self.plan[number]
        task = planned.task.for_evaluation() if is_evaluation else planned.task
        made = task.make(streams, stream)
        each = len(streams) // len(seeds)
        return viewed(made, self.info, [self.view(number, seed) for seed in seeds for _ in range(each)])

    def view(self, number: int, seed: int) -> View:
        """How phase ``number`` shows observations to the agent of a seed of the run."""
        from composer.environments.phased.view import View

        phase = self.plan[number].phase
        order = LARGEST + 1 + number if phase.fresh else phase.permutation
        permutation = derive(seed, "permutation", order) if order else None
        return View(permutation, phase.offset, derive(seed, "offset", order))

    @override
    def make(self, seeds: Sequence[int], stream: str) -> VectorEnvironment:
        """The environments of the first phase; each seed is one of a run."""
        self.discover()
        return self.make_phase(0, seeds, seeds, stream)

    @override
    def rows(self, n: int) -> Rows:
        return self.plan[0].task.rows(n)

    def describe(self) -> EnvironmentInfo:
        """Spaces that every task fits into."""
        return common_info([task.info for task in self.tasks])

    @property
    @override
    def title(self) -> str:
        return f"{self.task.title}-phases"

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        lows, highs = zip(*(task.metric_range for task in self.tasks), strict=True)
        return min(lows), max(highs)

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        own = [Metric("training/phase", "the phase, from 1", low=1, high=len(self.plan))]
        if self.evaluate_earlier:
            when, meaning = (
                "once it has begun, while another phase of the cycle runs",
                "mean return on the task of phase",
            )
            own += [
                Metric(earlier_metric(index), f"{meaning} {index + 1}", "return", *task.metric_range, when)
                for index, task in enumerate(self.tasks)
            ]
        return (*super().training_metrics(), *own)

    @override
    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        count = len(self.plan)
        return tuple(
            PlannedStage(
                planned.start // self.stride,
                f"environment.phases[{planned.declared}]",
                f"phase {planned.number + 1} of {count}: {self._words(planned)}",
            )
            for planned in self.plan
        )

    @property
    @override
    def clears_replay(self) -> bool:
        return self.replay == "clear"

    @property
    @override
    def stages_per_cycle(self) -> int:
        return len(self.phases)

    @override
    def continues(self, other: Staged, interactions: int) -> bool:
        """Where only phases differ that a run has not reached."""
        if not isinstance(other, SimulatorPhases):
            return False
        met = other.phase_of(max(interactions - 1, 0)) + 1
        free = ("phases", "cycles", "workers", "timeout_seconds")
        alike = other.model_copy(update={key: getattr(self, key) for key in free}) == self
        return alike and [each[2:] for each in other.plan[:met]] == [each[2:] for each in self.plan[:met]]

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        yield from space_problems([task.info for task in self.tasks], self.phases, self.pad)
        repeats = {task.action_repeat for task in (self.task, *(phase.task for phase in self.phases)) if task}  # type: ignore[attr-defined]
        if "action_repeat" not in self.model_fields_set and len(repeats) > 1:
            yield "environment.action_repeat", f"the tasks hold actions for {sorted(repeats)} steps: set it for all"
        for index, phase in enumerate(self.phases):
            if (phase.env_steps or 0) % self.stride:
                message = f"{phase.env_steps:,} is not a multiple of one interaction, {self.stride:,} environment steps"
                yield f"environment.phases[{index}].env_steps", message

    @override
    def discover(self) -> None:
        for task in self.tasks:
            task.discover()

    @override
    def refusal(self) -> tuple[str, str] | None:
        found = (task.refusal() for task in self.tasks)
        return next(((f"task.{key}", reason) for key, reason in filter(None, found)), None)

    @override
    def for_video(self) -> Self:
        return self.model_copy(
            update={
                "task": self.task.for_video(),
                "phases": tuple(
                    phase.model_copy(update={"task": phase.task and phase.task.for_video()}) for phase in self.phases
                ),
            }
        )

    @property
    @override
    def stays_in_thread(self) -> bool:
        return any(task.stays_in_thread for task in self.tasks)

    @override
    def libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.libraries()))

    @override
    def known_libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.known_libraries()))

    def _stepped(self, task: Environment) -> Simulator:
        """A task, stepped as this table says."""
        keys = ("action_repeat", "copies", "workers", "timeout_seconds")
        return cast(Simulator, task.model_copy(update={key: getattr(self, key) for key in keys}))

    def _words(self, planned: PlannedPhase) -> str:
        words = [planned.task.title]
        if planned.phase.fresh:
            words.append("observations in an order of its own")
        elif planned.phase.permutation:
            words.append(f"observations in order {planned.phase.permutation}")
        if planned.phase.offset:
            words.append(f"shifted by up to {planned.phase.offset:g}")
        return ", ".join(words)


def earlier_metric(declared: int) -> str:
    """The metric of an evaluation on the task of an earlier phase, by its index in ``phases``."""
    return f"evaluation/return_of_phase_{declared + 1}"
