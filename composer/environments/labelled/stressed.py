"""Regression tasks that stress one mechanism of plasticity loss, then plain ones.

Tests: tests/environments/test_stressed.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets import Samples
from composer.environments.labelled.task_sequence import TaskStream
from composer.spec.random_streams import derive


class StressedRegression(TaskStream, kind="stressed_regression"):
    """New targets at each task; the first ``stressed`` tasks stress the network in one way, all later ones are plain.

    Plain targets are ``y = sum_j a_j tanh(u_j x)`` with weights drawn anew at each task, standardised over the samples.
    ``target_offset`` adds ``strength`` to every target; ``input_shift`` moves all inputs of a task by ``strength``
    times one vector of random signs, which shifts preactivations; ``random_targets`` draws ``strength`` times a normal
    number for each sample, which is learned by heart with growing weights. What a plain task after them reaches, beside
    one after plain tasks, is the plasticity that was lost. The mechanisms, and the offset, are those of Lyle et al.,
    arXiv:2402.18762; the tasks are a construction of this project.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "stressed_regression",
        "data": {"kind": "digits", "samples": 500},
        "task_updates": 300,
        "stress": "target_offset",
        "stressed": 5,
        "strength": 32.0,
    }

    stress: Literal["none", "target_offset", "input_shift", "random_targets"]
    """What the first tasks do to the network."""
    stressed: Annotated[int, Field(ge=0, le=10**6)] = 10
    """Number of first tasks that are stressed."""
    strength: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Size of the offset, of the shift of each input, or of the random targets."""
    units: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Units of the target function."""

    @property
    @override
    def regression(self) -> bool:
        return True

    @override
    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        import numpy as np

        random = np.random.Generator(np.random.PCG64(derive(seed, "task", number)))
        flat = samples.inputs.reshape(len(samples.inputs), -1)
        inner = random.standard_normal((flat.shape[1], self.units)) * (2.0 / flat.shape[1] ** 0.5)
        raw = np.tanh((flat - flat.mean(0)) @ inner) @ random.standard_normal(self.units)
        targets = (raw - raw.mean()) / raw.std()
        inputs = samples.inputs
        if number < self.stressed:
            if self.stress == "target_offset":
                targets = targets + self.strength
            elif self.stress == "input_shift":
                signs = random.choice([-1.0, 1.0], flat.shape[1]).reshape(inputs.shape[1:])
                inputs = (inputs + self.strength * signs).astype(np.float32)
            elif self.stress == "random_targets":
                targets = self.strength * random.standard_normal(len(flat))
        return Samples(inputs, targets.astype(np.float32))
