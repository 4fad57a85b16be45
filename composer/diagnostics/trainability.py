"""The trainability measure; ``fitting.py`` does the fitting. Tests: tests/papers/test_trainability.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.diagnostics.base import EnvSteps, NetworkDiagnostic, Readings
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.diagnostics.interface import View


class Trainability(NetworkDiagnostic, kind="trainability"):
    """How well a copy of a network fits fresh random targets in a few steps: 1 is exact, 0 as a constant would.

    Targets on the probe batch are ``g(x) = mean f(x) + sin(1e5 f'(x))``, f the network and f' the same network freshly
    drawn, for each entry of its output. A copy of f takes ``steps`` steps of Adam on the mean squared error of the
    whole batch; the value is 1 minus the remaining error divided by the variance of the targets, a mean over
    ``targets`` random ones. The change is the value minus that of the network's first weights on targets drawn alike,
    negative where trainability was lost. The random functions are the same at each reading.

    Source: Lyle et al., arXiv:2303.01486, equations 4 and 5 and the targets of appendix A; theirs is 10 targets and
    2,000 steps of the agent's own optimizer. Costly: a step costs an update of the network, twice.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "trainability", "steps": 1_000, "every": 200_000}
    reported = ("trainability", "trainability_change")
    meanings = (
        Metric(reported[0], "how well a copy of the network fits fresh random targets; 1 is exact", high=1),
        Metric(reported[1], "the same minus that of the network's first weights"),
    )

    every: EnvSteps | None = 100_000
    """Environment steps between two readings."""
    steps: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Optimizer steps."""
    targets: Annotated[int, Field(ge=1, le=100)] = 1
    """Random targets, each fitted by a copy of its own."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Learning rate of Adam."""

    @override
    def measure(self, view: View, role: str) -> Readings:
        import torch

        from composer.diagnostics.fitting import random_wave, trainability

        inputs, first, outline = view.input(role), view.first(role), view.first_outline(role)
        waves = [
            random_wave(first.template, outline, view.seeds, first.copies, inputs, number)
            for number in range(self.targets)
        ]
        now, then = (
            torch.stack([trainability(*of, inputs, wave, self.steps, self.learning_rate) for wave in waves]).mean(0)
            for of in ((view.network(role), view.outline(role)), (first, outline))
        )
        return dict(zip(self.reported, (now, now - then), strict=True))
