"""What an environment is: its declaration, what is known of it before it runs, and the two interfaces around it.

``SingleEnvironment`` is what a simulator has to offer; ``VectorEnvironment`` is what the training loop uses. Action
repeat, automatic reset, seeds of episodes, checks for NaN, exact state and worker processes lie between the two and
are written once, in ``vector``, ``rows`` and ``worker``. Nothing here imports a simulator: reading a blueprint is fast.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, Self

from pydantic import Field

from composer.environments.interface import (
    EnvironmentInfo,
    SingleEnvironment,
    VectorEnvironment,
)
from composer.spec.family import Family
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.vector.rows import Rows

    Observations = NDArray[np.float32] | NDArray[np.uint8]


class PlannedStage(NamedTuple):
    """A part of a run that its environment plans."""

    start: int
    """Interactions before it."""
    key: str
    """The key of the blueprint that says so."""
    words: str
    """What happens in it."""


class Environment(Family, family="environment"):
    """What an agent learns from: a simulator in which it acts, or a stream of labelled data."""

    is_simulator: ClassVar[bool] = False
    """Whether an agent acts in it, in episodes and for rewards; else it answers to labelled data."""

    @cached_property
    def info(self) -> EnvironmentInfo:
        """What ``describe`` says, computed once for each environment value."""
        return self.describe()

    @property
    def title(self) -> str:
        """What it is called in tables and curves: the name of its task where it has one."""
        return self.kind

    @property
    def stride(self) -> int:
        """Environment steps of one interaction."""
        return 1

    @property
    def copies_per_seed(self) -> int:
        """Environments of one seed that are stepped together."""
        return 1

    @property
    def metric(self) -> str:
        """The evaluation metric as the journal names it; higher is better."""
        return "evaluation/return"

    @property
    def task_interactions(self) -> int:
        """Interactions of one task, where tasks of equal length follow each other; else 0."""
        return 0

    @property
    def stages_differ_by_seed(self) -> bool:
        """Whether seeds may pass from one planned stage to the next at times of their own."""
        return False

    def epoch_interactions(self, batch_size: int) -> int:
        """Interactions of a pass over the data; 0 where there is no data set."""
        return 0

    def epochs_by(self, interactions: int, batch_size: int) -> int:
        """Whole passes over the data that so many interactions make; 0 where there is no data set."""
        epoch = self.epoch_interactions(batch_size)
        return interactions // epoch if epoch else 0

    def epoch_end(self, epochs: int, batch_size: int) -> int:
        """Interactions that so many passes over the data take."""
        return epochs * self.epoch_interactions(batch_size)

    def switches_by(self, interactions: int, batch_size: int) -> int:
        """How often so many interactions lead from one planned stage to the next."""
        return sum(0 < stage.start < interactions for stage in self.stages(batch_size))

    def stages(self, batch_size: int) -> tuple[PlannedStage, ...]:
        """Parts of a run that are planned, in order, the first at 0; none where a run is all of one piece."""
        return ()

    def branched(self, branch: int) -> Self:
        """The environment of fork number ``branch``, where what it gives next is declared and not drawn by a stream."""
        return self

    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        """What does not fit a run of ``env_steps`` and a number of seeds: pairs of key path and message."""
        return iter(())

    @abstractmethod
    def describe(self) -> EnvironmentInfo:
        """Compute shapes and limits without running an episode; ``info`` keeps the answer."""


class Simulator(Environment, abstract=True):
    """A declaration of simulated environments. A kind adds ``describe`` and ``rows``; the rest is shared."""

    is_simulator: ClassVar[bool] = True

    action_repeat: Annotated[int, Field(ge=1, le=100)] = 1
    """Environment steps for which one action is held; rewards are summed."""
    copies: Annotated[int, Field(ge=1, le=4096)] = 1
    """Environments of one seed that are stepped together."""
    workers: Annotated[int, Field(ge=0, le=512)] = 0
    """Processes that the environments are spread over; 0 steps them in the training process."""
    timeout_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] = 60.0
    """How long one answer of a worker may take; a hung environment is then reported (without workers, nothing can)."""

    @property
    def stride(self) -> int:
        """Action repeat times copies."""
        return self.action_repeat * self.copies

    @property
    def copies_per_seed(self) -> int:
        """As declared."""
        return self.copies

    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        """A run shorter than one interaction, and workers without an environment."""
        if env_steps < self.stride:
            message = f"{env_steps:,} is less than one interaction: {self.stride:,} environment steps (repeat x copies)"
            yield "training.env_steps", message
        total = self.copies * seeds
        if self.workers > total:
            yield "environment.workers", f"{self.workers} workers for {total} environments (copies x seeds)"

    @abstractmethod
    def rows(self, n: int) -> Rows:
        """Build n environments that step together. Raises RowFailure where they cannot be built."""

    def copy_seeds(self, seed: int) -> tuple[int, ...]:
        """Seeds of the copies that belong to one seed of a run."""
        return tuple(derive(seed, "copy", index) for index in range(self.copies))

    def for_evaluation(self) -> Simulator:
        """The environment that evaluations are made in: this one, unless its protocol says otherwise."""
        return self

    def make(self, seeds: Sequence[int], stream: str) -> VectorEnvironment:
        """One environment for each of ``seeds``; ``stream`` keeps uses apart ("training", "evaluation").

        Raises EnvironmentFailure where the simulator cannot be built.
        """
        from composer.environments.vector.vector import EpisodicVector

        return EpisodicVector(self.info, [derive(seed, stream) for seed in seeds], lambda: self.rows(len(seeds)))


class SingleSimulator(Simulator, abstract=True):
    """A declaration of environments that are stepped one by one. A kind adds ``describe`` and ``single``."""

    @abstractmethod
    def single(self) -> SingleEnvironment:
        """Build one environment; the only place where a kind imports its simulator."""

    def rows(self, n: int) -> Rows:
        """``single`` environments, one after the other in this process or spread over ``workers``."""
        from composer.environments.vector.worker import single_rows

        return single_rows(self, n)
