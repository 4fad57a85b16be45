"""The measure of curvature.

Formulas: composer/diagnostics/formulas/curvature.py. Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.diagnostics.base import Diagnostic, EnvSteps, Memory, Readings

if TYPE_CHECKING:
    from composer.diagnostics.interface import View


class Curvature(Diagnostic, kind="curvature"):
    """Largest eigenvalue of the Hessian of a network's loss, by Lanczos' method on Hessian-vector products.

    On the probe batch with noise that is the same at each reading; targets, and the next actions in them, are frozen.
    Reported too: the eigenvalue divided by the squared norm of the parameters, and multiplied by it. The product is
    what stays the same where a network that normalises is rescaled. An eigenvalue from few iterations is a lower bound.
    Source: Lanczos, 1950; read as in Lyle et al., arXiv:2303.01486.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "curvature", "iterations": 20, "roles": ["critic"]}

    every: EnvSteps | None = 50_000
    """Environment steps between two readings."""
    iterations: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Hessian-vector products, each the cost of about two gradients."""

    def names(self) -> tuple[str, ...]:
        """Three."""
        top = "hessian_top_eigenvalue"
        return (top, f"{top}_by_squared_norm", f"{top}_times_squared_norm")

    def read(self, view: View, memory: Memory) -> Readings:
        """Eigenvalues."""
        from composer.diagnostics.formulas.curvature import largest_eigenvalue
        from composer.diagnostics.formulas.norms import squared_norm

        found = Readings()
        for role in self.chosen(view.networks):
            with view.twice_differentiable():
                product = view.hessian(role)
                value = largest_eigenvalue(product, view.direction(role), self.iterations)
            square = squared_norm(view.parameters(role).values())
            each = (value, value / square, value * square)
            found |= {f"{role}/{name}": one for name, one in zip(self.names(), each, strict=True)}
        return found
