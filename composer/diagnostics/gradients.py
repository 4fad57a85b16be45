"""The measure of gradient covariance. Formulas: composer/diagnostics/formulas/gradients.py.

Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.diagnostics.base import EnvSteps, NetworkDiagnostic, Readings
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.diagnostics.interface import View


class GradientCovariance(NetworkDiagnostic, kind="gradient_covariance"):
    """Cosines between the gradients of single samples: mean magnitude off the diagonal, and mean with its sign.

    A magnitude near 1 means that all samples pull the weights along one line. The gradients are of a network's loss on
    one sample each, over all its copies. It takes ``samples`` times the memory of a network's parameters. Source: Lyle
    et al., arXiv:2303.01486.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gradient_covariance", "samples": 32}
    reported = ("gradient_covariance_magnitude", "gradient_covariance_mean")
    meanings = (
        Metric(reported[0], "mean magnitude of the cosines between gradients of samples", "cosine", 0, 1),
        Metric(reported[1], "mean cosine between gradients of samples", "cosine", -1, 1),
    )

    every: EnvSteps | None = 50_000
    """Environment steps between two readings."""
    samples: Annotated[int, Field(ge=2, le=1_024)] = 32
    """Samples of the probe batch, the first ones."""

    @override
    def measure(self, view: View, role: str) -> Readings:
        import torch

        from composer.diagnostics.formulas.gradients import cosines, flat, interference

        parameters = list(view.parameters(role).values())
        rows = [
            flat(list(torch.autograd.grad(view.loss(role, sample=index).sum(), parameters)))
            for index in range(min(self.samples, view.samples))
        ]
        return dict(zip(self.reported, interference(cosines(torch.stack(rows, 1))), strict=True))
