"""A learner of labelled images with convolutions, and its surgery, without the loop around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tiny_runs import EAGER

from composer.blueprint import load
from composer.environments.labelled.datasets import Data, DataInfo, Samples
from composer.training.assemble import make_surgery
from composer.training.collect.task_stream import TaskBatches
from composer.training.learner import Learner

SHUFFLED = Path(__file__).parents[1] / "blueprints" / "plasticity" / "shuffled_labels.toml"
CONV = "{{ kind = 'conv', width = {}, kernel = 3, padding = 'same' }}"
TRUNK = (
    f"networks.model.trunk=[{CONV.format(4)}, {{ kind = 'relu' }}, {CONV.format(5)}, {{ kind = 'relu' }}, "
    "{ kind = 'flatten' }, { kind = 'linear', width = 6 }, { kind = 'relu' }]"
)


class Images(Data, kind="test/images"):
    """Unit-normal images of two channels and nine places, under three labels."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/images"}

    @property
    def info(self) -> DataInfo:
        """Channels, rows, columns; three classes; sixty samples."""
        return DataInfo((2, 3, 3), 3, 60)

    def load(self, seed: int) -> Samples:
        """The same for every seed."""
        random = np.random.default_rng(0)
        inputs = random.standard_normal((60, 2, 3, 3)).astype(np.float32)
        return Samples(inputs, random.integers(0, 3, 60))


class Pupil:
    """Two seeds that learn from images."""

    def __init__(self, *overrides: str) -> None:
        small = ("seeds=[0, 5]", "environment.data={ kind = 'test/images' }", "networks.model.head.classes=3")
        self.blueprint = load(
            SHUFFLED, (*small, TRUNK, "training.env_steps=1_000", "training.log_every=1", *overrides)
        ).blueprint
        environment: Any = self.blueprint.environment
        self.learner = Learner(self.blueprint.agent, "cpu", EAGER)
        self.events: list[dict[str, Any]] = []
        self.surgery = make_surgery(
            self.blueprint,
            self.learner,
            lambda seed, event: self.events.append({"seed": seed, **event}),
            self.tasks(environment),
        )

    def tasks(self, environment: Any) -> TaskBatches:
        """The first task."""
        tasks = TaskBatches(environment, self.learner.seeds, 20, "cpu")
        tasks.enter(0)
        return tasks
