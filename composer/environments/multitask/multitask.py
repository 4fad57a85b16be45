"""Several tasks side by side, which one agent learns at once from one replay.

Tests: tests/environments/test_multitask.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import Field, model_validator
from typing_extensions import override

from composer.environments.base import Environment, Simulator
from composer.environments.interface import EnvironmentInfo, VectorEnvironment
from composer.environments.multitask.task_metric import task_metric
from composer.environments.phased.common_spaces import common_info, unlike
from composer.environments.phased.simulator_phase import ensure_task
from composer.spec.family import Items
from composer.spec.metrics import Metric

STEPPING = ("action_repeat", "copies", "workers", "timeout_seconds")


class Multitask(Simulator, kind="multitask"):
    """Several tasks that are stepped together, ``copies`` environments of each for every seed.

    Observations are those of the task, filled up with zeros to the largest, and then one entry per task: 1 for the own
    one. Actions that a task lacks are left out. One interaction is a decision in every environment, so that all tasks
    get as many; their transitions go into one replay. Episodes of an evaluation are shared out among the tasks.
    Source: as the parallel environments of BRC's code (arXiv:2505.23150).
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "multitask",
        "tasks": [{"kind": "dm_control", "task": "walker-stand"}, {"kind": "dm_control", "task": "walker-walk"}],
    }

    tasks: Annotated[Items[Environment], Field(min_length=1, max_length=1_000)]
    """The tasks, in order. Action repeat, ``copies``, ``workers`` and ``timeout_seconds`` are those of this table."""
    pad: bool = False
    """Whether tasks may differ in the sizes of observations and actions."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for task in self.tasks:
            ensure_task(task)
        if "action_repeat" not in self.model_fields_set:
            object.__setattr__(self, "action_repeat", cast(Simulator, self.tasks[0]).action_repeat)
        return self

    @cached_property
    def simulators(self) -> tuple[Simulator, ...]:
        """The tasks, stepped as this table says; workers are shared out."""
        shared = {key: getattr(self, key) for key in STEPPING} | {"workers": self.workers // len(self.tasks)}
        return tuple(cast(Simulator, task.model_copy(update=shared)) for task in self.tasks)

    @property
    @override
    def copies_per_seed(self) -> int:
        return self.copies * len(self.tasks)

    @override
    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """The task of environment i is number i modulo their number."""
        from composer.environments.multitask.side_by_side import SideBySide

        count = len(self.tasks)
        shares = zip(self.simulators, (tuple(seeds[index::count]) for index in range(count)), strict=True)
        return SideBySide(self.info, [task.vector(own) for task, own in shares if own])

    def describe(self) -> EnvironmentInfo:
        """Spaces that every task fits into, and the entries that name the task."""
        infos = [task.info for task in self.simulators]
        common, count = common_info(infos), len(infos)
        observation = (common.observation[0] + count,) if len(common.observation) == 1 else common.observation
        return replace(common, observation=observation, tasks=count, tells_success=all(i.tells_success for i in infos))

    @property
    @override
    def title(self) -> str:
        titles = [task.title for task in self.simulators]
        return "+".join(titles) if len(titles) <= 3 else f"{len(titles)}-tasks"

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        lows, highs = zip(*(task.metric_range for task in self.simulators), strict=True)
        return min(lows), max(highs)

    @override
    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        """The return of each task."""
        return tuple(
            Metric(task_metric(index), f"mean return on task {index + 1}, {task.title}", "return", *task.metric_range)
            for index, task in enumerate(self.simulators)
        )

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        first = self.simulators[0].info
        for index, task in enumerate(self.simulators):
            if len(task.info.observation) != 1:
                message = "tasks side by side are told apart by entries of a vector, which pictures have none of"
                yield f"environment.tasks[{index}]", message
            elif words := unlike(first, task.info, self.pad, "the first task"):
                yield f"environment.tasks[{index}]", words
        if self.workers % len(self.tasks):
            message = f"each of {len(self.tasks)} tasks needs as many workers: write a multiple, or 0"
            yield "environment.workers", message

    @override
    def discover(self) -> None:
        for task in self.simulators:
            task.discover()

    @override
    def refusal(self) -> tuple[str, str] | None:
        found = ((index, task.refusal()) for index, task in enumerate(self.simulators))
        return next(((f"tasks[{index}].{why[0]}", why[1]) for index, why in found if why), None)

    @override
    def for_video(self) -> Self:
        return self.model_copy(update={"tasks": tuple(task.for_video() for task in self.tasks)})

    @override
    def for_evaluation(self) -> Self:
        tasks = tuple(cast(Simulator, task).for_evaluation() for task in self.tasks)
        return self.model_copy(update={"tasks": tasks})

    @property
    @override
    def stays_in_thread(self) -> bool:
        return any(task.stays_in_thread for task in self.simulators)

    @override
    def libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.libraries()))

    @override
    def known_libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.known_libraries()))
