"""The measure of curvature.

Formulas: composer/diagnostics/formulas/curvature.py. Tests: tests/diagnostics/test_readings.py.
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


class Curvature(NetworkDiagnostic, kind="curvature"):
    """Largest eigenvalue of the Hessian of a network's loss, by Lanczos' method on Hessian-vector products.

    The loss is that of the probe batch, with the same noise at each reading; targets, and the next actions in them, are
    frozen. The eigenvalue is also reported divided by the squared norm of the parameters and multiplied by it;
    rescaling a network that normalises leaves the product unchanged. Few iterations give a lower bound.
    Source: Lanczos, 1950; read as in Lyle et al., arXiv:2303.01486.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "curvature", "iterations": 20, "roles": ["critic"]}
    reported = (
        "hessian_top_eigenvalue",
        "hessian_top_eigenvalue_by_squared_norm",
        "hessian_top_eigenvalue_times_squared_norm",
    )
    meanings = (
        Metric(reported[0], "largest eigenvalue of the Hessian of the loss", "loss per squared norm"),
        Metric(reported[1], "the same divided by the squared norm of the parameters"),
        Metric(reported[2], "the same times the squared norm of the parameters", "loss"),
    )

    every: EnvSteps | None = 50_000
    """Environment steps between two readings."""
    iterations: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Hessian-vector products, each the cost of about two gradients."""

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas.curvature import largest_eigenvalue
        from composer.diagnostics.formulas.norms import squared_norm

        with view.twice_differentiable():
            value = largest_eigenvalue(view.hessian(role), view.direction(role), self.iterations)
        square = squared_norm(view.parameters(role).values())
        return dict(zip(self.reported, (value, value / square, value * square), strict=True))
