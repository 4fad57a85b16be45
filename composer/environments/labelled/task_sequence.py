"""Labelled data as environments: an interaction is one batch, and an action is the answer to an input.

Nothing here loads data; ``composer.training.collect.task_stream`` makes the tasks.
Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field
from typing_extensions import override

from composer.environments.base import Environment
from composer.environments.declared import Contents, SmallerBatches
from composer.environments.interface import EnvironmentInfo
from composer.environments.labelled.datasets import Data, Samples
from composer.spec.family import plain_value
from composer.spec.metrics import Metric
from composer.spec.quantities import shape_text
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np


class Labelled(Environment, abstract=True):
    """Labelled data, read in batches."""

    first_env_steps: ClassVar[int] = 5_000

    data: Data
    """The data set of inputs and labels."""
    sequence: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Number of the sequence: another number gives other tasks and orders of samples from the same data."""
    last_batch: Literal["drop", "keep"] = "drop"
    """The samples of an epoch that fill no whole batch: left out, or a smaller last batch, as torch's loaders do."""

    @override
    def libraries(self) -> tuple[str, ...]:
        return self.data.libraries

    @override
    def data_sets(self) -> tuple[Data, ...]:
        return (self.data,)

    @property
    def regression(self) -> bool:
        """Whether labels are numbers instead of classes."""
        return self.data.info.classes == 1

    @property
    @override
    def metric(self) -> str:
        return "evaluation/r_squared" if self.regression else "evaluation/accuracy"

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        return (-math.inf, 1.0) if self.regression else (0.0, 1.0)

    @override
    def evaluation_metric(self) -> Metric:
        what, unit = ("R squared", "") if self.regression else ("accuracy", "share")
        return Metric(self.metric, f"{what} on the data of the present task or phase", unit, *self.metric_range)

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        return ()

    @override
    def contents(self) -> Contents:
        """The data set; tasks and phases are what is made of it."""
        data = self.data.info
        label = "number" if self.regression else f"one of {data.classes} classes"
        counts = {"samples": data.size, "held_out_samples": data.held_out}
        settings = {key: value for key, value in plain_value(self.data).items() if key != "folder"}
        columns = {"input": f"float32 {shape_text(data.shape)}", "label": label}
        return Contents(self.data.kind, columns, counts, settings)

    def batches_of(self, samples: int, batch_size: int) -> int:
        """Batches of one pass over so many samples; at least one."""
        whole, rest = divmod(samples, batch_size)
        return max(whole + (self.last_batch == "keep" and rest > 0), 1)

    def rest_of(self, samples: int, batch_size: int) -> int:
        """Samples of the smaller last batch of a pass; 0 where all batches are whole."""
        return samples % batch_size if self.last_batch == "keep" else 0

    def stream(self, seed: int) -> int:
        """The seed of tasks and orders of samples; the data themselves depend on the seed of the run."""
        return derive(seed, "sequence", self.sequence) if self.sequence else seed

    @override
    def branched(self, branch: int) -> Self:
        return self.model_copy(update={"sequence": self.sequence + branch})


class TaskStream(Labelled, abstract=True):
    """Labelled data in tasks of equal length."""

    task_updates: Annotated[int, Field(ge=1, le=10**9)] = 1_000
    """Length of a task in gradient updates, which are batches and environment steps too."""

    def describe(self) -> EnvironmentInfo:
        """Observations are inputs, the action size is the number of classes (or 1), and a task is an episode."""
        answers = 1 if self.regression else self.data.info.classes
        return EnvironmentInfo(self.data.info.shape, answers, self.task_updates, 1, terminates=False)

    @property
    @override
    def task_interactions(self) -> int:
        return self.task_updates

    def epoch_interactions(self, batch_size: int) -> int:
        """Batches of the data; 1 where a batch is larger than the data."""
        return self.batches_of(self.data.info.size, batch_size)

    @override
    def smaller_batches(self, batch_size: int) -> tuple[SmallerBatches, ...]:
        size = self.data.info.size
        rest = self.rest_of(size, batch_size)
        return (SmallerBatches(0, self.batches_of(size, batch_size), rest),) if rest else ()

    def task_of(self, interactions: int) -> int:
        """The task, from 0, of batch number ``interactions`` (from 0)."""
        return interactions // self.task_updates

    @abstractmethod
    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        """The samples of task ``number``, made from all samples; ``seed`` is a result of ``stream``."""


class TaskSequence(TaskStream, kind="task_sequence"):
    """One task after another on the same data; the network of one task starts the next.

    ``change = "labels"`` draws every label anew at each task (random-label memorisation), ``"inputs"`` permutes the
    coordinates of the inputs by another permutation at each task, ``"nothing"`` is the stationary control. Source:
    Lyle et al., arXiv:2303.01486 (random labels); Goodfellow et al., arXiv:1312.6211 (permuted inputs).
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "task_sequence",
        "data": {"kind": "digits"},
        "change": "labels",
        "task_updates": 500,
    }

    change: Literal["labels", "inputs", "nothing"]
    """What differs from task to task."""

    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        """Drawn from a stream of seed and number; the first task of ``inputs`` is permuted too."""
        import numpy as np

        random: np.random.Generator = np.random.Generator(np.random.PCG64(derive(seed, "task", number)))
        if self.change == "labels":
            return samples._replace(labels=random.integers(0, self.data.info.classes, len(samples.labels)))
        if self.change == "inputs":
            flat = samples.inputs.reshape(len(samples.inputs), -1)
            permuted = flat[:, random.permutation(flat.shape[1])].reshape(samples.inputs.shape)
            return samples._replace(inputs=permuted)
        return samples
