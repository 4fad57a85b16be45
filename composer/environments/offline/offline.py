"""A data set of transitions as the source of learning, before a simulator or instead of it.

Nothing here reads data or steps a simulator: ``composer.training.collect.offline`` does what is declared.
Tests: tests/environments/test_offline.py, tests/training/test_offline.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.base import Environment, Simulator
from composer.environments.declared import Contents, PlannedStage, Staged
from composer.environments.interface import EnvironmentInfo, VectorEnvironment
from composer.environments.offline.data import OfflineData
from composer.environments.phased.simulator_phase import ensure_task
from composer.spec.family import Spec
from composer.spec.metrics import Metric
from composer.spec.quantities import counted

if TYPE_CHECKING:
    from composer.environments.native import NativeSpaces
    from composer.environments.vector.rows import Rows

STEPPING = ("action_repeat", "copies", "workers", "timeout_seconds")
"""Keys of the table that its task is stepped by."""


NORMALIZED_SCORE = Metric(
    "evaluation/normalized_score", "mean return of an evaluation's episodes, from 0 to 100 between the references"
)


class Rewards(Spec):
    """What rewards are before they are learned from: ``factor * (r + offset)``, of the data and of own steps alike."""

    factor: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """What rewards are multiplied by."""
    offset: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """What is added first: -1 on AntMaze in IQL's code."""
    return_range: Annotated[float | None, Field(gt=0, le=1e9)] = None
    """Distance between the smallest and the largest return of the data's episodes after a further factor that makes it
    so, 1000 for locomotion in IQL's code; None leaves that factor out."""


Return = Annotated[float, Field(ge=-1e12, le=1e12)]


class Offline(Simulator, kind="offline"):
    """Transitions of a data set, learned from without acting: ``task`` serves evaluations, and what comes after.

    An interaction of the offline part makes the updates that one with the environment would make
    (``update_to_data``), and counts as many environment steps on every clock, though none is made; there is no warm-up.
    With ``offline_env_steps`` the agent then acts in ``task``. Interventions on the clock ``phase`` act between the two
    parts.
    """

    takes_skills: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = {
        "kind": "offline",
        "task": {"kind": "gymnasium", "id": "Pendulum-v1"},
        "data": {"kind": "file", "path": "data/pendulum-medium.parquet"},
    }

    task: Environment
    """The simulator that the data are from. Its ``copies``, ``workers`` and ``timeout_seconds`` are those of this
    table."""
    data: OfflineData
    """The data set."""
    offline_env_steps: Annotated[int, Field(ge=0, le=10**12)] | None = None
    """Length of the offline part, in environment steps of the clock; the run then goes on online. None: the whole run;
    0: online from the beginning, beside the data."""
    online: Literal["mix", "keep", "replace"] = "mix"
    """What updates draw from once the agent acts: half of each batch from the data and half from its own transitions,
    as in RLPD (arXiv:2302.02948); all of both uniformly; or its own alone. Until the agent has made as many
    transitions as are drawn of its own, ``mix`` and ``replace`` draw from the data."""
    rewards: Rewards = Rewards()
    """What is done to rewards. Evaluations report them as they are."""
    score_references: Annotated[tuple[Return, Return], Strict(False)] | None = None
    """Returns that count as 0 and as 100 in ``evaluation/normalized_score``, as D4RL has it: those of random actions
    and of an expert. ``composer record`` and Minari's data sets tell theirs; None leaves the score out."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        ensure_task(self.task)
        if self.score_references is not None and self.score_references[0] >= self.score_references[1]:
            raise PydanticCustomError("score_references", "'score_references' are the lower return and the higher one")
        if "action_repeat" not in self.model_fields_set:
            object.__setattr__(self, "action_repeat", cast(Simulator, self.task).action_repeat)
        return self

    @cached_property
    def simulator(self) -> Simulator:
        """The task, stepped as this table says."""
        stepped = {key: getattr(self, key) for key in STEPPING}
        return cast(Simulator, self.task.model_copy(update=stepped))

    @property
    def offline_interactions(self) -> int | None:
        """Interactions before the agent acts; None where it never does."""
        return None if self.offline_env_steps is None else self.offline_env_steps // self.stride

    @property
    @override
    def learns_from_data(self) -> bool:
        return True

    @property
    @override
    def draws_uniformly(self) -> bool:
        return self.online == "keep"

    @override
    def own_interactions(self, interactions: int) -> int:
        offline = self.offline_interactions
        return 0 if offline is None else max(interactions - offline, 0)

    @override
    def data_size(self) -> int | None:
        return self.data.size()

    @override
    def data_digests(self) -> Mapping[str, str]:
        return {"data": self.data.digest()}

    def describe(self) -> EnvironmentInfo:
        """That of the task."""
        return self.simulator.info

    @property
    @override
    def title(self) -> str:
        """That of the task, which agents that learned in other ways are compared on."""
        return self.task.title

    @property
    @override
    def metric(self) -> str:
        return self.task.metric

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        return self.task.metric_range

    @override
    def evaluation_metric(self) -> Metric:
        return self.task.evaluation_metric()

    @override
    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        own = (NORMALIZED_SCORE,) if self.score_references else ()
        return (*self.task.further_evaluation_metrics(), *own)

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        if self.offline_env_steps is None:
            return ()
        phase = Metric("training/phase", "1 while offline, then 2", low=1, high=2)
        return (*super().training_metrics(), phase)

    @override
    def contents(self) -> Contents:
        found, size = super().contents(), self.data_size()
        return found._replace(counts={**found.counts, **({} if size is None else {"transitions": size})})

    @override
    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        if not self.offline_interactions:
            return ()
        size = self.data_size()
        from_data = self.data.title if size is None else f"{counted(size, 'transition')} of {self.data.title}"
        draws = {"mix": "half of each batch from the data", "keep": "from the data too", "replace": "without the data"}
        return (
            PlannedStage(0, "environment.data", f"offline: {from_data}"),
            PlannedStage(
                self.offline_interactions,
                "environment.offline_env_steps",
                f"online: {self.task.title}, {draws[self.online]}",
            ),
        )

    @override
    def continues(self, other: Staged, interactions: int) -> bool:
        """Where only the length of the offline part differs, and neither run has left it."""
        if not isinstance(other, Offline):
            return False
        lengths = (self.offline_interactions, other.offline_interactions)
        free = {"offline_env_steps": other.offline_env_steps, "online": other.online}
        return self.model_copy(update=free) == other and all(
            length is None or interactions <= length for length in lengths
        )

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        if (self.offline_env_steps or 0) % self.stride:
            yield (
                "environment.offline_env_steps",
                f"{self.offline_env_steps:,} is not a multiple of one interaction, {self.stride:,} environment steps",
            )

    @override
    def make(self, seeds: Sequence[int], stream: str) -> VectorEnvironment:
        return self.simulator.make(seeds, stream)

    @override
    def rows(self, n: int) -> Rows:
        return self.simulator.rows(n)

    @override
    def for_evaluation(self) -> Simulator:
        return self.simulator.for_evaluation()

    @override
    def native_spaces(self) -> NativeSpaces:
        return self.simulator.native_spaces()

    @override
    def discover(self) -> None:
        self.simulator.discover()

    @override
    def refusal(self) -> tuple[str, str] | None:
        found = self.task.refusal()
        return None if found is None else (f"task.{found[0]}", found[1])

    @override
    def for_video(self) -> Self:
        return self.model_copy(update={"task": self.task.for_video()})

    @property
    @override
    def stays_in_thread(self) -> bool:
        return self.task.stays_in_thread

    @override
    def libraries(self) -> tuple[str, ...]:
        return self.task.libraries()

    @override
    def known_libraries(self) -> tuple[str, ...]:
        return self.task.known_libraries()
