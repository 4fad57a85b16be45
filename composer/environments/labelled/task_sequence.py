"""Environments that are labelled data: an interaction is one batch, an answer is right or wrong.

A decision is the answer to an input, its action size the number of classes. Nothing here loads data; the tasks
themselves are made in ``composer.training.collect.task_batches``. Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.environments.labelled.datasets import Data, Samples
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np


class Labelled(Environment, abstract=True):
    """Labelled data, read in batches."""

    data: Data
    """What inputs and labels are made from."""
    sequence: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Which tasks and orders of their samples come: another number, others, made from the same data."""

    @property
    def regression(self) -> bool:
        """Whether an answer is a number instead of a class."""
        return self.data.info.classes == 1

    @property
    def metric(self) -> str:
        """What a model is judged by, as the journal calls it; higher is better."""
        return "evaluation/r_squared" if self.regression else "evaluation/accuracy"

    def stream(self, seed: int) -> int:
        """The seed of everything drawn for tasks and orders; the data themselves have the run's."""
        return derive(seed, "sequence", self.sequence) if self.sequence else seed

    def branched(self, branch: int) -> Self:
        """Other tasks and orders for each branch."""
        return self.model_copy(update={"sequence": self.sequence + branch})


class TaskStream(Labelled, abstract=True):
    """Labelled data that change from task to task, each of the same length."""

    task_updates: Annotated[int, Field(ge=1, le=10**9)] = 1_000
    """Gradient updates, and so batches, that a task lasts; one environment step is one batch."""

    def describe(self) -> EnvironmentInfo:
        """Inputs as observations, classes (or one number) as the action size, tasks as episodes."""
        answers = 1 if self.regression else self.data.info.classes
        return EnvironmentInfo(self.data.info.shape, answers, self.task_updates, 1, terminates=False)

    @property
    def task_interactions(self) -> int:
        """One batch is one interaction."""
        return self.task_updates

    def epoch_interactions(self, batch_size: int) -> int:
        """Whole batches of the data; one where the data are less than a batch."""
        return max(self.data.info.size // batch_size, 1)

    def task_of(self, interactions: int) -> int:
        """The number of the task that batch ``interactions`` (from 0) belongs to."""
        return interactions // self.task_updates

    @abstractmethod
    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        """The samples of one task, made from all that there are; ``seed`` is what ``stream`` gives."""


class TaskSequence(TaskStream, kind="task_sequence"):
    """One task after another on the same data, each to be learned from where the last one left the network.

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
    """What is another at each task."""

    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        """Under a stream of the seed and the task's number; the first task of ``inputs`` is permuted too."""
        import numpy as np

        random: np.random.Generator = np.random.Generator(np.random.PCG64(derive(seed, "task", number)))
        if self.change == "labels":
            return samples._replace(labels=random.integers(0, self.data.info.classes, len(samples.labels)))
        if self.change == "inputs":
            flat = samples.inputs.reshape(len(samples.inputs), -1)
            permuted = flat[:, random.permutation(flat.shape[1])].reshape(samples.inputs.shape)
            return samples._replace(inputs=permuted)
        return samples
