"""Norms of parameters and gradients, effective learning rates, and distances from initialisation.

They take trainable parameters; the copies of a network count as one vector, and a layer is a module with parameters of
its own. Gradients are those of the network's own loss on the probe batch, in evaluation mode. Formulas:
composer/diagnostics/formulas/norms.py. Tests: tests/diagnostics/test_readings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.diagnostics.base import LayerDiagnostic, Readings
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from composer.diagnostics.interface import View


def _norms(name: str, tensors: Mapping[str, Tensor], layers: bool) -> Readings:
    """The norm of all tensors and, if asked for, of each layer."""
    from composer.diagnostics.formulas import norms

    found = {name: norms.norm(tensors.values())}
    if layers:
        for layer, paths in norms.layers(tensors).items():
            found[f"layers/{layer}/{name}"] = norms.norm(tensors[path] for path in paths)
    return found


class ParameterNorm(LayerDiagnostic, kind="parameter_norm"):
    """Euclidean norm of a network's parameters."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "parameter_norm"}
    reported = ("parameter_norm",)
    meanings = (Metric("parameter_norm", "Euclidean norm of the parameters", "norm", 0),)

    @override
    def measure(self, view: View, role: str) -> Readings:
        return _norms("parameter_norm", view.parameters(role), self.layers)


class GradientNorm(LayerDiagnostic, kind="gradient_norm"):
    """Euclidean norm of the gradient of a network's loss, on the whole probe batch."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "gradient_norm"}
    reported = ("gradient_norm",)
    meanings = (Metric("gradient_norm", "Euclidean norm of the gradient of the loss", "norm", 0),)

    @override
    def measure(self, view: View, role: str) -> Readings:
        return _norms("gradient_norm", view.gradients(role), self.layers)


class EffectiveLearningRate(LayerDiagnostic, kind="effective_learning_rate"):
    """Norm of the gradient divided by norm of the weights, layer by layer: how far a step of unit rate turns a layer.

    A network's value is the mean over layers, weighted by their numbers of entries, without layers of weights zero. The
    gradient is the raw one, before the optimizer. Source: arXiv:2407.01800, and SimbaV2, arXiv:2502.15280.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "effective_learning_rate"}
    reported = ("effective_learning_rate",)
    meanings = (Metric("effective_learning_rate", "norm of the gradient by norm of the weights", "", 0),)

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas import norms

        (name,), parameters = self.reported, view.parameters(role)
        rates = norms.effective_rates(view.gradients(role), parameters)
        found = {name: norms.weighted_mean(rates, parameters)}
        if self.layers:
            found |= {f"layers/{at}/{name}": rate for at, rate in zip(norms.layers(parameters), rates, strict=True)}
        return found


class DistanceToInit(LayerDiagnostic, kind="distance_to_init"):
    """Euclidean distance of a network's parameters from their first values; also divided by the norm of those.

    The first weights are drawn anew from their random stream: none are kept. Parameters whose shape has grown since are
    left out, with those that are new. Source: Nagarajan and Kolter,
    arXiv:1901.01672.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "distance_to_init"}
    reported = ("distance_to_init", "relative_distance_to_init")
    meanings = (
        Metric(reported[0], "Euclidean distance of the parameters from their first values", "norm", 0),
        Metric(reported[1], "that distance divided by the norm of the first values", "", 0),
    )

    @override
    def measure(self, view: View, role: str) -> Readings:
        from composer.diagnostics.formulas import norms

        initial, now = view.initial(role), view.parameters(role)
        moved = {path: now[path] - value for path, value in initial.items()}
        relative = norms.norm(moved.values()) / norms.norm(initial.values())
        return _norms("distance_to_init", moved, self.layers) | {"relative_distance_to_init": relative}
