"""Measures of sizes: of parameters, gradients, effective steps and the way from the beginning.

They are about trainable parameters; the copies of a network count as one vector. Gradients are those of the network's
own loss on the probe batch, as the networks stand, in evaluation mode. Formulas:
composer/diagnostics/formulas/norms.py. Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from composer.diagnostics.base import Diagnostic, Memory, Readings

if TYPE_CHECKING:
    from torch import Tensor

    from composer.diagnostics.interface import View


def _norms(role: str, name: str, tensors: Mapping[str, Tensor], layers: bool) -> Readings:
    """The norm of all and, if asked for, of each layer."""
    from composer.diagnostics.formulas import norms

    found = {f"{role}/{name}": norms.norm(tensors.values())}
    if layers:
        for layer, paths in norms.layers(tensors).items():
            found[f"{role}/layers/{layer}/{name}"] = norms.norm(tensors[path] for path in paths)
    return found


class ParameterNorm(Diagnostic, kind="parameter_norm"):
    """Euclidean norm of a network's parameters."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "parameter_norm"}

    layers: bool = False
    """Whether each layer, a module with parameters of its own, is reported too."""

    def names(self) -> tuple[str, ...]:
        """One."""
        return ("parameter_norm",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Norms."""
        found = Readings()
        for role in self.chosen(view.networks):
            found |= _norms(role, "parameter_norm", view.parameters(role), self.layers)
        return found


class GradientNorm(Diagnostic, kind="gradient_norm"):
    """Euclidean norm of the gradient of a network's loss, on the whole probe batch."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "gradient_norm"}

    layers: bool = False
    """Whether each layer, a module with parameters of its own, is reported too."""

    def names(self) -> tuple[str, ...]:
        """One."""
        return ("gradient_norm",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Norms."""
        found = Readings()
        for role in self.chosen(view.networks):
            found |= _norms(role, "gradient_norm", view.gradients(role), self.layers)
        return found


class EffectiveLearningRate(Diagnostic, kind="effective_learning_rate"):
    """Norm of the gradient by norm of the weights, layer by layer: how far a step of unit rate turns a layer.

    A network's value is the mean over layers, each weighted by its number of entries; layers of weights zero are left
    out. It is the quotient of the raw gradient, whatever the optimizer makes of it. Source: arXiv:2407.01800, and
    SimbaV2, arXiv:2502.15280.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "effective_learning_rate"}

    layers: bool = False
    """Whether each layer, a module with parameters of its own, is reported too."""

    def names(self) -> tuple[str, ...]:
        """One."""
        return ("effective_learning_rate",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Quotients."""
        from composer.diagnostics.formulas import norms

        (name,), found = self.names(), Readings()
        for role in self.chosen(view.networks):
            parameters = view.parameters(role)
            rates = norms.effective_rates(view.gradients(role), parameters)
            found[f"{role}/{name}"] = norms.weighted_mean(rates, parameters)
            if self.layers:
                each = zip(norms.layers(parameters), rates, strict=True)
                found |= {f"{role}/layers/{layer}/{name}": rate for layer, rate in each}
        return found


class DistanceToInit(Diagnostic, kind="distance_to_init"):
    """Euclidean distance of a network's parameters from those that the run began with; also divided by their norm.

    The first weights are drawn anew from their random stream: none are kept. Source: Nagarajan and Kolter,
    arXiv:1901.01672.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "distance_to_init"}

    layers: bool = False
    """Whether each layer, a module with parameters of its own, is reported too."""

    def names(self) -> tuple[str, ...]:
        """The distance, and its quotient."""
        return ("distance_to_init", "relative_distance_to_init")

    def read(self, view: View, memory: Memory) -> Readings:
        """Distances."""
        from composer.diagnostics.formulas import norms

        found = Readings()
        for role in self.chosen(view.networks):
            initial, now = view.initial(role), view.parameters(role)
            moved = {path: now[path] - value for path, value in initial.items()}
            found |= _norms(role, "distance_to_init", moved, self.layers)
            found[f"{role}/relative_distance_to_init"] = norms.norm(moved.values()) / norms.norm(initial.values())
        return found
