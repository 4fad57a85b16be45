"""The family of environments: declarations that describe themselves, and make simulated environments.

A simulator implements ``SingleEnvironment``; the training loop uses ``VectorEnvironment``. Between the two, ``vector``,
``rows`` and ``worker`` implement action repeat, automatic reset, seeds of episodes, checks for NaN, exact state and
worker processes. Nothing here imports a simulator: reading a blueprint is fast.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field
from typing_extensions import override

from composer.environments.altered import Altered
from composer.environments.declared import STEPPING, Contents, Described, FromData, SmallerBatches, Staged
from composer.environments.interface import EnvironmentInfo, SingleEnvironment, UnusableEnvironment, VectorEnvironment
from composer.environments.native import NativeAction, NativePart, NativeSpaces
from composer.spec.calls import in_words, of_others
from composer.spec.errors import ComposerError
from composer.spec.family import Family, plain_value
from composer.spec.metrics import Metric
from composer.spec.quantities import shape_text
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.environments.labelled.datasets.base import Data
    from composer.environments.vector.rows import Rows


class Environment(Staged, FromData, Described, Family, family="environment"):
    """A simulator in which an agent acts, or a stream of labelled data."""

    is_simulator: ClassVar[bool] = False
    """Whether an agent acts in episodes and for rewards; otherwise it answers to labelled data."""
    task_key: ClassVar[str] = ""
    """The key that names its task, such as ``game``, which a study sets; empty where no single key does."""
    first_env_steps: ClassVar[int] = 100_000
    """Length of a first run, which ``composer new`` proposes."""

    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        """The values of ``task_key`` that can be told without importing a simulator; there may be others."""
        return ()

    def from_pixels(self) -> Environment | None:
        """The same task observed as pictures; None where it has no other view."""
        return None

    @cached_property
    def info(self) -> EnvironmentInfo:
        """The result of ``describe``, with what the blueprint adds to it, computed once.

        Raises SpacesUnknown, where ``discover`` would find it, and UnusableEnvironment, whatever ``describe`` does.
        """
        try:
            with of_others():
                return self.altered(self.describe())
        except ComposerError:
            raise
        except Exception as error:
            raise UnusableEnvironment("kind", f"{self.kind} cannot be described: {in_words(error)}") from error

    def discover(self) -> None:
        """Find what only importing and building the environment tells: commands that run it call this first.

        Raises UnusableEnvironment.
        """

    def refusal(self) -> tuple[str, str] | None:
        """A key and the reason why what it names cannot be used on this machine, found without running anything."""
        return None

    def for_video(self) -> Self:
        """This environment, ready to draw: drawing may need a display, and is asked for only where it is wanted."""
        return self

    @property
    def title(self) -> str:
        """Name in tables and plots: the task, where there is one."""
        return self.kind

    @property
    def stride(self) -> int:
        """Environment steps of one interaction."""
        return 1

    @property
    def copies_per_seed(self) -> int:
        """Environments of one seed that are stepped together."""
        return 1

    def data_sets(self) -> tuple[Data, ...]:
        """The labelled data that it reads."""
        return ()

    def libraries(self) -> tuple[str, ...]:
        """Top-level modules outside of composer on which the numbers of a run depend, beside torch and NumPy."""
        top = type(self).__module__.partition(".")[0]
        return () if top == "composer" else (top,)

    def known_libraries(self) -> tuple[str, ...]:
        """Those of ``libraries`` that are known without executing code of others, for commands that only read."""
        return self.libraries()

    @property
    def metric(self) -> str:
        """Name of the evaluation metric in the journal; higher is better."""
        return "evaluation/return"

    @property
    def metric_range(self) -> tuple[float, float]:
        """The lowest and the highest value that the evaluation metric can have; infinite where nothing bounds it."""
        return -math.inf, math.inf

    def evaluation_metric(self) -> Metric:
        """The evaluation metric, with its meaning."""
        return Metric(self.metric, "mean return of an evaluation's episodes", "return", *self.metric_range)

    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        """Metrics that each evaluation writes beside ``evaluation_metric``."""
        return ()

    def training_metrics(self) -> tuple[Metric, ...] | None:
        """What its collector reports: all of it, or None where a plug-in's kind does not say."""
        return None

    @property
    def task_interactions(self) -> int:
        """Interactions of one task, if tasks of equal length follow each other; otherwise 0."""
        return 0

    @property
    def stays_in_thread(self) -> bool:
        """Whether only the thread that has made it can step it."""
        return False

    def epoch_interactions(self, batch_size: int) -> int:
        """Interactions of one pass over the data; 0 without a data set."""
        return 0

    def epochs_by(self, interactions: int, batch_size: int) -> int:
        """Whole passes over the data in ``interactions``; 0 without a data set."""
        epoch = self.epoch_interactions(batch_size)
        return interactions // epoch if epoch else 0

    def epoch_end(self, epochs: int, batch_size: int) -> int:
        """Interactions that ``epochs`` passes over the data take."""
        return epochs * self.epoch_interactions(batch_size)

    def smaller_batches(self, batch_size: int) -> tuple[SmallerBatches, ...]:
        """Where batches have fewer than ``batch_size`` samples; empty where all are whole."""
        return ()

    def contents(self) -> Contents:
        """What an agent learns from."""
        info = self.info
        columns = {
            "observation": f"{'uint8' if info.pictures else 'float32'} {shape_text(info.observation)}",
            "action": f"one of {info.action_size}" if info.discrete else f"{info.action_size} numbers in [-1, 1]",
        }
        return Contents(self.title, columns, {}, plain_value(self))

    def branched(self, branch: int) -> Self:
        """The environment of fork number ``branch``, if the data that come next are declared instead of drawn."""
        return self

    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        """Problems of a run with this batch size, length and number of seeds: pairs of key path and message."""
        return iter(())

    def warnings(self, batch_size: int) -> Iterator[tuple[str, str]]:
        """What the environment declares and no run does: pairs of key path and message."""
        return iter(())

    @abstractmethod
    def describe(self) -> EnvironmentInfo:
        """Shapes and limits, without running an episode; callers read ``info``. Raises SpacesUnknown."""


class Simulator(Altered, Environment, abstract=True):
    """A declaration of simulated environments. A kind adds ``describe``, and ``rows`` or ``vector``."""

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
    @override
    def stride(self) -> int:
        return self.action_repeat * self.copies_per_seed

    @property
    @override
    def copies_per_seed(self) -> int:
        return self.copies

    @property
    @override
    def stays_in_thread(self) -> bool:
        return self.reward is not None and not self.workers

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        length, when = float(self.info.episode_env_steps), "where an episode ended since the last row"
        mean = "of training episodes, exploration included"
        return (
            Metric("training/return", f"mean return {mean}", "return", *self.metric_range, when),
            Metric("training/episode_length", f"mean length {mean}", "environment steps", 1, length, when),
        )

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        if env_steps < self.stride:
            message = f"{env_steps:,} is less than one interaction: {self.stride:,} environment steps (repeat x copies)"
            yield "training.env_steps", message
        if self.workers > (total := self.copies_per_seed * seeds):
            yield "environment.workers", f"{self.workers} workers for {total} environments (copies x seeds)"
        yield from self.altered_problems(self.kind, self.without_skills().info)

    def rows(self, n: int) -> Rows:
        """Build n environments that step together; not of a kind with its own ``vector``. Raises RowFailure."""
        raise NotImplementedError

    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """One environment for each of ``seeds``, which are those of a stream."""
        from composer.environments.vector.vector import EpisodicVector

        return EpisodicVector(self.info, seeds, lambda: self.rows(len(seeds)), self.judge())

    @override
    def contents(self) -> Contents:
        """The task, with its limits, whatever number of environments is stepped."""
        found, info = super().contents(), self.info
        counts = {"episode_env_steps": info.episode_env_steps, "action_repeat": info.action_repeat}
        counts["episode_decisions"] = info.episode_interactions
        settings = {key: value for key, value in found.settings.items() if key not in STEPPING}
        return Contents(found.name, {**found.columns, "reward": "float32"}, counts, settings)

    def copy_seeds(self, seed: int) -> tuple[int, ...]:
        """Seeds of the copies that belong to one seed of a run."""
        return tuple(derive(seed, "copy", index) for index in range(self.copies_per_seed))

    def native_spaces(self) -> NativeSpaces:
        """Observations and actions as the simulator itself has them; it may be built to ask it.

        By default those of ``info``: an exported policy then takes and gives what composer's own agent does.
        """
        info, size = self.info, self.info.action_size
        observed = NativePart("observation", info.observation, "uint8" if info.pictures else "float32")
        action = NativeAction((), "int64", count=size) if info.discrete else NativeAction((size,), "float32")
        return NativeSpaces((observed,), action)

    def for_evaluation(self) -> Simulator:
        """The environment for evaluations: this one, unless its protocol says otherwise."""
        return self

    def make(self, seeds: Sequence[int], stream: str) -> VectorEnvironment:
        """One environment for each of ``seeds``; ``stream`` ("training", "evaluation") separates their uses.

        Raises UnusableEnvironment and EnvironmentFailure where the simulator cannot be built.
        """
        stepped = (self.for_video() if self.reward else self).in_stream(stream)
        stepped.discover()
        own = [derive(seed, stream) for seed in seeds]
        return self.skilled(stepped.without_skills().vector(own), own)


class SingleSimulator(Simulator, abstract=True):
    """A declaration of environments that are stepped one by one. A kind adds ``describe`` and ``single``."""

    draws_decisions: ClassVar[bool] = True

    @abstractmethod
    def single(self) -> SingleEnvironment:
        """Build one environment. Only here does a kind import its simulator."""

    @override
    def rows(self, n: int) -> Rows:
        info = self.with_pictures(self.info)
        if self.workers:
            from composer.environments.vector.worker import WorkerRows

            return WorkerRows(self, info, n, self.workers, self.timeout_seconds)
        from composer.environments.vector.rows import LocalRows, RowArrays

        return LocalRows(self.single, self.action_repeat, RowArrays.private(info, n), 0, n)
