"""Regression on targets that change from task to task: bit flipping, drifting targets.

Both depend on the seed and the number of the task alone. Tests: tests/environments/test_regression_tasks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets import Data, Samples
from composer.environments.labelled.datasets.bits import Bits
from composer.environments.labelled.task_sequence import TaskStream
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Units = Annotated[int, Field(ge=1, le=10_000)]


class BitFlipping(TaskStream, kind="bit_flipping"):
    """Slowly changing regression: at each task one of the first ``slow`` bits flips; the others are drawn anew.

    The target is a fixed network of linear threshold units: weights of -1 and 1 on the bits and a constant; a unit is
    on where its sum exceeds ``beta * (bits + 1)`` less the number of its negative weights; outputs are summed under
    weights of -1 and 1. After the slowly-changing regression problem of Dohare et al., arXiv:2108.06325; its constants
    were not checked against the paper.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "bit_flipping", "task_updates": 500}

    data: Data = Bits()
    """The data of the kind ``bits``."""
    slow: Annotated[int, Field(ge=1, le=4_096)] = 15
    """Number of bits that all samples of a task share."""
    units: Units = 100
    """Threshold units of the target."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of agreeing bits above which a unit is on."""

    @override
    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        import numpy as np

        fixed = np.random.Generator(np.random.PCG64(derive(seed, "target")))
        width = samples.inputs.shape[1]
        slow = min(self.slow, width - 1)
        weights = fixed.choice([-1.0, 1.0], (width + 1, self.units))
        thresholds = (width + 1) * self.beta - (weights < 0).sum(0)
        outputs = fixed.choice([-1.0, 1.0], self.units)
        state = fixed.integers(0, 2, slow)
        for flip in fixed.integers(0, slow, number):
            state[flip] = 1 - state[flip]
        random = np.random.Generator(np.random.PCG64(derive(seed, "task", number)))
        bits = random.integers(0, 2, samples.inputs.shape).astype(np.float32)
        bits[:, :slow] = state
        on = np.concatenate([bits, np.ones((len(bits), 1))], 1) @ weights > thresholds
        return Samples(bits, (on @ outputs).astype(np.float32))


class DriftingTargets(TaskStream, kind="drifting_targets"):
    """Targets of fixed inputs that drift: ``y = sum_j a_j tanh(u_j x)`` with outer weights in a random walk.

    From task to task ``a <- sqrt(1 - drift^2) a + drift e`` with unit-normal ``e``, so that the size of targets stays;
    with ``drift = 1`` each task is unrelated to the one before. A construction of this project.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "drifting_targets",
        "data": {"kind": "bits", "samples": 500, "width": 32},
        "task_updates": 500,
    }

    drift: Annotated[float, Field(gt=0, le=1)] = 0.5
    """How far the targets drift from task to task."""
    units: Units = 32
    """Units of the target function."""

    @property
    @override
    def regression(self) -> bool:
        return True

    @override
    def samples_of(self, samples: Samples, seed: int, number: int) -> Samples:
        import numpy as np

        fixed = np.random.Generator(np.random.PCG64(derive(seed, "target")))
        flat = samples.inputs.reshape(len(samples.inputs), -1)
        inner = fixed.standard_normal((flat.shape[1], self.units)) * (2.0 / flat.shape[1] ** 0.5)
        outer: NDArray[np.float64] = fixed.standard_normal(self.units)
        for step in fixed.standard_normal((number, self.units)):
            outer = (1 - self.drift**2) ** 0.5 * outer + self.drift * step
        targets = np.tanh((flat - flat.mean(0)) @ inner) @ outer / self.units**0.5
        return Samples(samples.inputs, targets.astype(np.float32))
